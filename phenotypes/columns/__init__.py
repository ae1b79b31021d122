"""Every output column, defined once."""
