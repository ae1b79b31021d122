"""What is in each well of a plate: text in, typed values out.

Examples
--------
>>> from plate_maps import FORMATS
>>> list(FORMATS)
[6, 12, 24, 48, 96, 384, 1536]
"""

from plate_maps.check import Finding, check
from plate_maps.conditions import Condition, Control, parse_dose
from plate_maps.plate_map import Join, PlateMap, PlateMapError
from plate_maps.readers import plates_of_map, read_plate_map
from plate_maps.wells import FORMATS, PlateFormat, Well, plate_format

__all__ = [
    "FORMATS",
    "Condition",
    "Control",
    "Finding",
    "Join",
    "PlateFormat",
    "PlateMap",
    "PlateMapError",
    "Well",
    "check",
    "parse_dose",
    "plate_format",
    "plates_of_map",
    "read_plate_map",
]
