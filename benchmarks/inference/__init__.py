"""Level, coverage and power of what is published."""
