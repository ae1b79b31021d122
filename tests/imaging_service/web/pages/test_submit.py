from __future__ import annotations

from imaging_service.web.pages.submit import not_in_both, scan_plate
from plate_maps import plate_format

PRESENT = {"A01": 1.0, "A02": 0.5, "A03": 0.0}


def test_a_scan_is_drawn_by_what_is_there():
    plate = scan_plate("P", plate_format(96), PRESENT)
    assert [(w.name, w.kind, w.sign) for w in plate.wells] == [
        ("A01", "whole", ""),
        ("A02", "part", "◐"),
        ("A03", "none", "×"),
    ]
    assert "50%" in plate.wells[1].words


def test_wells_of_scan_and_map_are_compared():
    assert not_in_both(PRESENT, {"A02", "A03", "B01"}) == (["A01"], ["A03", "B01"])
