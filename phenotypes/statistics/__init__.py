"""Statistics for plates and screens: curves, meta-analysis, mixed model, false discovery rate."""
