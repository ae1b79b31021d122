"""The plate in the terminal: each sign stands for its well."""

from __future__ import annotations

from dataclasses import replace

from imaging_service.inspection.drawing import describe, plate
from imaging_service.inspection.survey import survey
from plate_maps import Well, plate_format
from tests.imaging_service.inspection.test_survey import draw, names


def test_a_sign_stands_in_the_row_and_the_column_of_its_well():
    present = {Well(1, 12): 1.0, Well(2, 3): 0.5, Well(8, 1): 0.0}
    lines = plate(plate_format(96), present)
    assert lines[0].split() == [str(c) for c in range(1, 13)]
    assert [line.split()[0] for line in lines[1:]] == list("ABCDEFGH")
    assert lines[1].split()[1:] == ["·"] * 11 + ["●"]
    assert lines[2].split()[1:] == ["·", "·", "◐"] + ["·"] * 9
    assert lines[8].split()[1:] == ["○"] + ["·"] * 11


def test_a_plate_of_1536_wells_has_a_sign_for_each():
    lines = plate(plate_format(1536), {Well(32, 48): 1.0})
    assert len(lines) == 33
    assert lines[32].split() == ["AF", *["·"] * 47, "●"]
    assert {len(line) for line in lines[1:]} == {3 + 3 * 48}


def test_what_a_scan_is_stands_in_its_lines(tmp_path):
    scan = draw(tmp_path / "Plate-7", names())
    (scan / "p_C05_s2_w1.tif").unlink()
    seen = survey(scan)
    lines = describe(seen)
    facts = dict(line.split(None, 1) for line in lines if line.startswith(("Plate", "Holds")))
    assert facts["Plate"] == "Plate-7, 24-well (4 × 6), read by tiff"
    assert facts["Holds"] == "2 wells × 2 field(s) × 2 channel(s) × 1 plane(s) × 1 time point(s)"
    assert any(line.split() == ["C", "·", "·", "·", "·", "◐", "·"] for line in lines)
    assert any(line.split() == ["B", "·", "●", "·", "·", "·", "·"] for line in lines)
    assert [line for line in lines if line.startswith("1 image(s) are missing")]
    assert f"  - {seen.plan.findings[0].message}" in lines
    asked = describe(replace(seen, needs=("the number",)))
    assert asked[-1] == "  - the number"
