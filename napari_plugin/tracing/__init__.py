"""Tracing neurites: clicks, the way between them, and the strokes they become."""
