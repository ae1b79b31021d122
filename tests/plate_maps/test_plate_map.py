"""What a map holds, by which names its wells are asked for, and when two maps are the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plate_maps import Condition, Control, PlateFormat, PlateMap, PlateMapError, Well, plate_format
from plate_maps.picture import picture
from tests.messages import says, states

CONDITIONS = {
    Well(2, 3): Condition("L2", "DMSO", 0.0, Control.VEHICLE, genotype="corrected", batch="d1"),
    Well(2, 4): Condition("L1", "DMSO", 0.0, Control.VEHICLE),
    Well(2, 5): Condition("L1", "riluzole", 1e-6, replicate="2", annotations=(("by", "kim"),)),
    Well(3, 3): Condition("L2", "edaravone", 5e-7),
    Well(3, 4): Condition("L2", "ref", 3e-5, Control.POSITIVE),
    Well(3, 5): Condition("L2", "", None, Control.NEGATIVE),
}
PLATE = PlateMap(plate_format(96), CONDITIONS, "map.csv")


def test_a_map_is_asked_by_a_well_or_by_any_spelling_of_its_name():
    assert PLATE[Well(2, 5)] is PLATE["B05"] is PLATE[" b-5 "] is CONDITIONS[Well(2, 5)]
    assert [well in PLATE for well in (Well(2, 5), "b5", Well(1, 1), "A01", "no well")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (list(PLATE), len(PLATE)) == (list(CONDITIONS), 6)


@pytest.mark.parametrize(
    ("well", "words"),
    [
        (
            "A01",
            "plate map map.csv has no well A01; it has 6 wells: B03, B04, B05, C03, C04, C05",
        ),
        (Well(9, 1), "plate map map.csv: I01 is not a well of a 96-well (8 × 12) plate"),
        (
            "5B",
            "plate map map.csv: '5B' is not a well name; write a row letter and a column number,"
            " as in B03",
        ),
    ],
)
def test_a_well_that_a_map_does_not_have_is_refused_with_what_it_has(well, words):
    with pytest.raises(KeyError) as refused:
        PLATE[well]
    assert refused.value.args == (words,)


def test_of_a_large_map_twelve_wells_are_named():
    row = PlateMap(plate_format(384), {Well(1, c): CONDITIONS[Well(2, 4)] for c in range(1, 14)})
    with pytest.raises(KeyError) as refused:
        row["B01"]
    names = ", ".join(f"A{c:02d}" for c in range(1, 13))
    (sentence,) = refused.value.args
    assert states("map.no_such_well", sentence, well="B01", count=13, wells=f"{names}, …")


def test_lines_and_compounds_are_in_the_order_of_the_alphabet_without_controls():
    assert PLATE.lines == ("L1", "L2")
    assert PLATE.compounds == ("edaravone", "riluzole")
    assert repr(PLATE) == "PlateMap('map.csv', 96-well (8 × 12), 6 wells, 2 lines, 2 compounds)"
    single = PlateMap(plate_format(96), {Well(2, 4): CONDITIONS[Well(2, 4)]})
    assert repr(single) == "PlateMap('', 96-well (8 × 12), 1 well, 1 line, 0 compounds)"


def test_vehicle_wells_are_those_of_the_line_or_of_all():
    assert PLATE.vehicle_wells() == (Well(2, 3), Well(2, 4))
    assert PLATE.vehicle_wells("L1") == (Well(2, 4),)
    assert PLATE.vehicle_wells("L2") == (Well(2, 3),)
    assert PLATE.vehicle_wells("L3") == ()


def test_join_names_strays_on_both_sides():
    join = PLATE.join([Well(8, 12), Well(3, 3), Well(1, 1), Well(2, 3)])
    assert join.matched == (Well(2, 3), Well(3, 3))
    assert join.only_in_scan == (Well(1, 1), Well(8, 12))
    assert join.only_in_map == (Well(2, 4), Well(2, 5), Well(3, 4), Well(3, 5))


def test_records_read_back():
    again = PlateMap.from_records(PLATE.format, PLATE.records(), "again")
    assert (again.conditions, again.source) == (CONDITIONS, "again")
    assert again.digest() == PLATE.digest()
    assert PLATE.records()[2] == {
        "well": "B05",
        "line": "L1",
        "genotype": "",
        "compound": "riluzole",
        "dose_molar": 1e-6,
        "control": "none",
        "batch": "",
        "replicate": "2",
        "annotations": [["by", "kim"]],
    }
    assert PLATE.records()[-1]["dose_molar"] is None


def test_records_in_any_order_give_a_map_in_well_order():
    again = PlateMap.from_records(PLATE.format, PLATE.records()[::-1])
    assert list(again) == list(CONDITIONS)
    assert PlateMap(PLATE.format, dict(reversed(CONDITIONS.items()))).records() == PLATE.records()


def test_a_record_whose_annotations_are_no_pairs_is_refused_by_its_well():
    records = PLATE.records()
    records[2]["annotations"] = "by kim"
    with pytest.raises(ValueError, match=says("map.record_annotations_not_pairs")):
        PlateMap.from_records(PLATE.format, records)


def test_the_digest_is_of_the_content_and_not_of_the_source_or_the_order():
    turned = dict(reversed(CONDITIONS.items()))
    assert PlateMap(PLATE.format, turned, "map.xlsx").digest() == PLATE.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"line": "L2"},
        {"compound": "Riluzole"},
        {"dose_molar": 2e-6},
        {"control": Control.POSITIVE},
        {"genotype": "SOD1"},
        {"batch": "d2"},
        {"replicate": "1"},
        {"annotations": (("by", "lee"),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_changes_with_everything_that_a_well_holds(change):
    changed = CONDITIONS | {Well(2, 5): replace(CONDITIONS[Well(2, 5)], **change)}
    assert PlateMap(PLATE.format, changed).digest() != PLATE.digest()


def test_the_digest_changes_with_the_plate_s_format_and_with_a_well():
    assert PlateMap(PlateFormat(16, 24), CONDITIONS).digest() != PLATE.digest()
    moved = {Well(w.row, w.column + 1): c for w, c in CONDITIONS.items()}
    assert PlateMap(PLATE.format, moved).digest() != PLATE.digest()


def test_a_notebook_draws_the_map_in_the_shape_of_the_plate():
    assert PLATE._repr_html_() == picture(PLATE)


def test_a_fault_of_many_wells_is_told_once_and_each_keeps_its_sentence():
    problems = [f"map.csv, row {row}, well B{row:02}: dose '9,5'" for row in range(2, 40)]
    other = "map.csv, row 3, well B03: dose '8: 5'"
    error = PlateMapError("map.csv", [*problems, other, "no wells"])
    assert str(error).split("\n  - ")[1:] == [
        "map.csv, row 2, well B02 and 37 more: dose '9,5'",
        other,
        "no wells",
    ]
    assert len(error.problems) == 40


@pytest.mark.parametrize(("count", "last"), [(20, "fault 20"), (23, "… and 3 more")])
def test_an_error_shows_twenty_problems_and_holds_all(count, last):
    problems = [f"fault {i}" for i in range(1, count + 1)]
    error = PlateMapError("map.csv", problems)
    lines = str(error).split("\n  - ")
    assert states("map.cannot_be_used", lines[0], source="map.csv")
    assert lines[1:21] == problems[:20]
    assert lines[-1] == last
    assert (error.source, error.problems) == ("map.csv", problems)
