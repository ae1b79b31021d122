"""Dose-response curves: the Hill model, its fits over wells and over batches, and their tests."""
