"""Reading plate maps from the files that labs have."""

from plate_maps.readers.reading import plates_of_map, read_plate_map

__all__ = ["plates_of_map", "read_plate_map"]
