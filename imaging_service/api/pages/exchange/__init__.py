"""Pages of what leaves the service: exports of tables, releases that are handed over."""
