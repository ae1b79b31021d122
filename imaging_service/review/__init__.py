"""A run as a reviewer sees it, from its folder or from a service: all that napari may import."""
