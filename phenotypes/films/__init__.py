"""Neurons through time: tracks, deaths, survival, hazard ratios."""
