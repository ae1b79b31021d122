"""Labels and pixels ► one row per cell and per field."""
