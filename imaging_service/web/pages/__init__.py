"""What each page shows: pure functions from tables to the values of a template."""
