"""What a screen says across lines: donors, genes, sites, rescue of a window, potency shifts."""
