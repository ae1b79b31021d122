"""HTTP: the application, its pages and what all routes share."""
