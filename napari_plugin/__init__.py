"""The reviewer in napari: shows the wells of a run with their labels, and corrects them."""
