"""Drawn fields, films and plates with exact ground truth."""
