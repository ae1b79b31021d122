"""Screens: many plates, batches, lines and donors in one table."""
