"""What comes from outside: the gate for its paths, patterns of its names, its manifests."""
