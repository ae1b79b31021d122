"""HTTP: the application, what surrounds it, its pages; the routes are in `routes`."""
