"""A run looks at its scan before it calibrates: well by well, then the plate."""
