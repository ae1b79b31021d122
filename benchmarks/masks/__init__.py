"""How good the masks are, on drawn, traced and annotated fields."""
