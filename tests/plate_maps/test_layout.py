from __future__ import annotations

import numpy as np
import pytest

from plate_maps import Control, PlateFormat, check, plate_format, read_plate_map
from plate_maps.layout import Design, LayoutError, draw, lay_out, to_csv, vehicles_apart
from tests.messages import says

DESIGN = Design(
    {"SOD1-07": "SOD1 p.A5V", "SOD1-07-iso": "SOD1 corrected", "HC-01": "healthy, donor 3"},
    ("a", "b", "c", "d", "e"),
    (1e-8, 1e-7, 1e-6, 1e-5),
    positive="ref",
    positive_molar=1e-5,
)
PLATE = plate_format(384)


def test_every_line_and_its_vehicles_are_on_every_plate():
    plates = lay_out(DESIGN, plate_format(96), 1)
    assert len(plates) > 1
    seen = set()
    for plate in plates:
        assert set(plate.lines) == set(DESIGN.lines)
        for line in DESIGN.lines:
            assert len(plate.vehicle_wells(line)) == DESIGN.vehicles
            assert (
                sum(
                    c.control is Control.POSITIVE and c.line == line
                    for c in plate.conditions.values()
                )
                == DESIGN.positives
            )
        seen |= set(plate.compounds)
    assert seen == set(DESIGN.compounds)


def test_doses_are_complete_and_the_outer_wells_empty():
    (plate,) = lay_out(DESIGN, PLATE, 1)
    treated = [c for c in plate.conditions.values() if c.control is Control.NONE]
    assert len(treated) == 3 * 5 * 4 * 2
    assert all(1 < w.row < 16 and 1 < w.column < 24 for w in plate)
    assert any(w.row == 1 for w in lay_out(DESIGN, PLATE, 1, edge=True)[0])


@pytest.mark.parametrize(("wells", "vehicles"), [(96, 3), (96, 8), (384, 3)])
def test_vehicle_wells_of_a_line_are_never_all_at_the_edge_or_in_one_row_or_column(wells, vehicles):
    """Of 3 wells drawn on 96, all lie at the edge in one draw of 20, for every line."""
    lines = {"A": "", "B": "", "C": ""}
    small = Design(lines, ("a",), (1e-7, 1e-6, 1e-5, 1e-4), replicates=1, vehicles=vehicles)
    fmt = plate_format(wells)
    for seed in range(60):
        (plate,) = lay_out(small, fmt, seed, edge=True)
        assert vehicles_apart(list(plate.conditions.values()), list(plate), fmt) == []
        for line in lines:
            lie = plate.vehicle_wells(line)
            inside = [w for w in lie if 1 < w.row < fmt.rows and 1 < w.column < fmt.columns]
            assert inside
            assert len({w.row for w in lie}) > 1
            assert len({w.column for w in lie}) > 1


def test_a_plate_without_inner_wells_for_vehicle_is_refused():
    with pytest.raises(LayoutError, match=says("layout.vehicles_apart")):
        lay_out(
            Design({"A": ""}, ("a",), (1e-6,), replicates=3, vehicles=3),
            PlateFormat(1, 6),
            1,
            edge=True,
        )


def test_no_line_and_no_dose_follows_rows_or_columns():
    for seed in range(5):
        (plate,) = lay_out(DESIGN, PLATE, seed)
        place = np.array([(w.row, w.column) for w in plate])
        for line in plate.lines:
            own = np.array([c.line == line for c in plate.conditions.values()], float)
            assert max(abs(np.corrcoef(own, place[:, axis])[0, 1]) for axis in (0, 1)) < 0.25


def test_a_draw_in_which_a_line_follows_rows_or_columns_is_drawn_again():
    """On a small plate one draw in three has such a line."""
    small = Design({"A": "", "B": "", "C": ""}, ("a",), (1e-8, 1e-7, 1e-6, 1e-5), vehicles=6)
    for seed in range(12):
        (plate,) = lay_out(small, plate_format(96), seed)
        place = np.array([(w.row, w.column) for w in plate])
        for line in plate.lines:
            of_line = np.array([c.line == line for c in plate.conditions.values()], float)
            assert max(abs(np.corrcoef(of_line, place[:, axis])[0, 1]) for axis in (0, 1)) <= 0.25


def test_lines_that_do_not_fit_together_are_refused_not_split():
    many = Design({f"L{i}": "" for i in range(12)}, ("a",), (1e-7, 1e-6, 1e-5, 1e-4))
    with pytest.raises(LayoutError, match=says("layout.line_confounded_with_plate")):
        lay_out(many, plate_format(96), 1)
    with pytest.raises(LayoutError, match=says("layout.number_not_above_zero")):
        lay_out(Design({"L": ""}, ("a",), (0.0,)), PLATE, 1)
    with pytest.raises(LayoutError, match=says("layout.no_line")):
        lay_out(Design({}, ("a",), (1e-6,)), PLATE, 1)


def test_the_seed_is_the_layout():
    assert (
        to_csv(lay_out(DESIGN, PLATE, 7)[0])
        == to_csv(lay_out(DESIGN, PLATE, 7)[0])
        != to_csv(lay_out(DESIGN, PLATE, 8)[0])
    )


def test_the_written_map_is_read_back_and_passes_its_check(tmp_path):
    (plate,) = lay_out(DESIGN, PLATE, 1, batch="diff-3")
    (tmp_path / "map.csv").write_text(to_csv(plate))
    read = read_plate_map(tmp_path / "map.csv", PLATE)
    assert read.digest() == plate.digest()
    assert check(read) == []


def test_the_drawing_shows_lines_controls_and_what_is_empty():
    lines = draw(lay_out(DESIGN, plate_format(96), 1)[0]).splitlines()
    assert len(lines) == 10
    assert lines[1].split() == ["A", *["·"] * 12]
    cells = "".join(lines[1:9])
    assert all(letter in cells for letter in "aBbCc+")
    assert "A HC-01, B SOD1-07" in lines[9]
