"""Statistics that plates and screens share: curves, meta-analysis, mixed model, false discovery
rate.
"""
