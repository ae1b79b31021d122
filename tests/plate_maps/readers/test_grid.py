"""Blocks that look like the plate: where they begin and end, and what is said of a faulty one."""

from __future__ import annotations

import pytest
from openpyxl import Workbook

from plate_maps import Condition, Control, PlateMapError, Well, read_plate_map
from plate_maps.readers.grid import find_blocks, read_grid
from plate_maps.readers.sheets import Sheet
from tests.messages import says, states
from tests.plate_maps.written_maps import GRID, write

PLATE = """line,1,2,3
A,L1,L1,L1
B,L1,L1,L1

compound,1,2,3
A,DMSO,ril,ril
B,DMSO,ril,ril

dose (uM),1,2,3
A,0,1,10
B,0,1,10

control,1,2,3
A,vehicle,,
B,vehicle,,
"""


def sheet(text, source="map.csv"):
    return Sheet(source, [line.split(",") for line in text.splitlines()])


def test_blocks_one_below_the_other_give_the_wells_that_hold_something(tmp_path):
    plate_map = read_plate_map(write(tmp_path, GRID))
    assert [w.name for w in plate_map] == ["A01", "A02", "A03", "B01", "B02"]
    assert plate_map[Well.parse("A03")].dose_molar == 1e-5
    assert plate_map[Well.parse("B01")].is_vehicle


def test_blocks_over_the_sheets_of_a_workbook_give_the_same_map(tmp_path):
    book = Workbook()
    book.remove(book.active)
    for block in GRID.strip().split("\n\n"):
        rows = [line.split(",") for line in block.splitlines()]
        page = book.create_sheet(rows[0][0].split(" ")[0])
        for row in rows:
            page.append([int(c) if c.isdigit() else c or None for c in row])
    book.save(tmp_path / "grid.xlsx")
    assert (
        read_plate_map(tmp_path / "grid.xlsx").digest()
        == read_plate_map(write(tmp_path, GRID)).digest()
    )


@pytest.mark.parametrize(
    ("row", "opens"),
    [
        ("line,1,2,3", True),
        (",1,2", True),
        ("line,01,002", True),
        ("line,1,2,3,,", True),
        ("line,1", False),
        ("line,2,3", True),
        ("line,1,3", True),
        ("line,1,,2", True),
        ("line,1,2,Total", True),
        ("line,3,2", False),
        ("line,1,1", False),
        ("line,1,2,note", False),
        ("1,2,3", False),
        ("", False),
    ],
)
def test_a_block_opens_with_rising_numbers_beside_its_corner(row, opens):
    assert find_blocks(sheet(f"title\n{row}\nA,L1,L1")) == [1] * opens


def test_the_name_of_a_sheet_names_the_block_whose_corner_is_empty():
    named = ("map.xlsx, sheet Cell line", "map.xlsx, sheet control", "map.xlsx, sheet plated by")
    blocks = (",1,2\nA,L1,", ",1,2\nA,vehicle,", ",1,2\nA,kim,")
    entries, problems = read_grid([sheet(t, name) for t, name in zip(blocks, named, strict=True)])
    assert problems == []
    assert entries == [
        (
            "map.xlsx, sheet Cell line, row 2, column 1 (Cell line block)",
            Well(1, 1),
            Condition("L1", "", 0.0, Control.VEHICLE, annotations=(("plated_by", "kim"),)),
        )
    ]


@pytest.mark.parametrize(
    ("corner", "molar"), [("dose (nM)", 1e-8), ("Conc. [µM]", 1e-5), ("concentration[ mM ]", 1e-2)]
)
def test_the_unit_of_a_dose_stands_in_brackets_behind_its_name(corner, molar):
    text = f"compound,1,2\nA,ril,\n\n{corner},1,2\nA,10,\n"
    entries, problems = read_grid([sheet(text)], "L1")
    assert ([c.dose_molar for _, _, c in entries], problems) == ([molar], [])


def test_a_unit_that_is_not_one_leaves_the_block_unread():
    entries, problems = read_grid([sheet("control,1,2\nA,pos,\n\ndose (mg/mL),1,2\nA,10,")], "L1")
    (problem,) = problems
    assert problem.startswith("map.csv, row 4: ")
    assert states("map.unit_unknown", problem, unit="mg/mL")
    assert [c.dose_molar for _, _, c in entries] == [None]


def test_a_line_for_all_wells_stands_in_where_a_well_has_none():
    entries, problems = read_grid([sheet("line,1,2\nA,,L2\n\ncontrol,1,2\nA,veh,veh")], "L1")
    assert ([c.line for _, _, c in entries], problems) == (["L1", "L2"], [])


def test_a_plate_without_lines_is_refused_with_the_blocks_that_it_has():
    entries, (problem,) = read_grid([sheet("Compound,1,2\nA,ril,\n\ndose (uM),1,2\nA,1,")])
    assert entries == []
    assert states("map.no_block_of_lines", problem, place="map.csv", blocks="compound, dose")


def test_a_batch_for_the_whole_plate_fills_no_well_but_a_line_or_a_note_does():
    batch = "batch,1,2,3\nA,d1,d1,d1\n\ngenotype,1,2,3\nA,wt,wt,wt\n\nreplicate,1,2,3\nA,1,1,1\n"
    text = f"control,1,2,3\nA,vehicle,,\n\nnote,1,2,3\nA,,bubble,\n\n{batch}"
    entries, problems = read_grid([sheet(text)], "L1")
    assert [(well.name, c.batch, c.genotype, c.replicate) for _, well, c in entries] == [
        ("A01", "d1", "wt", "1")
    ]
    # What was written beside an empty well is not dropped in silence.
    (problem,) = problems
    place = "map.csv, row 5, column 2 (note block), well A02"
    assert states("map.neither_compound_nor_control", problem, place=place)


def test_a_second_block_of_one_property_is_refused_and_the_first_is_kept():
    text = "line,1,2\nA,L1,\n\ncontrol,1,2\nA,vehicle,\n\nCell line,1,2\nA,L2,\n"
    entries, problems = read_grid([sheet(text)])
    (problem,) = problems
    places = {"place": "map.csv, row 7", "first": "map.csv, row 1"}
    assert states("map.block_twice", problem, block="Cell line", **places)
    assert [c.line for _, _, c in entries] == ["L1"]


def test_a_block_ends_at_a_row_without_a_letter():
    text = "line,1,2\nA,L1,\n,L9,L9\nB,L9,L9\n\ncontrol,1,2\nA,vehicle,\n"
    entries, problems = read_grid([sheet(text)])
    assert [well.name for _, well, _ in entries] == ["A01"]
    (problem,) = problems
    assert states("map.no_block", problem, place="map.csv, row 4", row="B")


def test_a_row_that_is_not_one_is_named_and_ends_the_block():
    text = "line,1,2\nA,L1,\n1,L1,\nC,L1,\n\ncontrol,1,2\nA,vehicle,\n"
    entries, problems = read_grid([sheet(text)])
    (problem,) = problems
    assert problem.startswith("map.csv, row 3: '1'")
    assert states("plate.row_name_unreadable", problem)
    assert [well.name for _, well, _ in entries] == ["A01"]


@pytest.mark.parametrize("row", ["A,L1,L1,L1", "A,L1,L1,,L1"])
def test_values_to_the_right_of_the_last_number_are_named(row):
    text = f"line,1,2\n{row}\nB,L1,,,\n\ncontrol,1,2\nA,vehicle,vehicle\nB,vehicle\n"
    entries, problems = read_grid([sheet(text)])
    (problem,) = problems
    assert states("map.under_no_column_number", problem, place="map.csv, row 2", value="L1")
    assert [well.name for _, well, _ in entries] == ["A01", "A02", "B01"]


def test_a_fault_is_placed_at_the_cell_that_its_message_quotes():
    text = "line,1,2\nA,L1,L1\n\ncontrol,1,2\nA,vehicle,postive\n"
    entries, problems = read_grid([sheet(text)])
    (problem,) = problems
    place = "map.csv, row 5, column 2 (control block), well A02"
    assert states("map.control_unknown_at", problem, place=place, control="postive")
    assert [well.name for _, well, _ in entries] == ["A01"]


def read(tmp_path, text):
    (tmp_path / "map.csv").write_text(text, encoding="utf-8")
    return read_plate_map(tmp_path / "map.csv")


def test_a_block_may_start_at_any_column(tmp_path):
    shifted = PLATE.replace(",1,2,3\n", ",2,3,4\n")
    assert [w.name for w in read(tmp_path, shifted)] == ["A02", "A03", "A04", "B02", "B03", "B04"]
    assert read(tmp_path, shifted)["B04"].dose_molar == 1e-5
    gaps = PLATE.replace(",1,2,3\n", ",2,4,6\n")
    assert [w.name for w in read(tmp_path, gaps)] == ["A02", "A04", "A06", "B02", "B04", "B06"]


def test_blocks_of_different_columns_are_joined_by_their_numbers(tmp_path):
    more = PLATE + "\ndensity,2,3\nA,20000,20000\nB,20000,20000\n"
    with pytest.raises(PlateMapError, match=says("map.treatment_differs")):
        read(tmp_path, more)
    full = PLATE + "\ndensity,1,2,3\nA,20000,20000,20000\nB,20000,20000,20000\n"
    assert dict(read(tmp_path, full)["A03"].annotations) == {"density": "20000"}


def test_empty_columns_to_the_left_and_totals_do_not_matter(tmp_path):
    margin = "".join(f",{line}\n" if line else "\n" for line in PLATE.split("\n"))
    assert read(tmp_path, margin).digest() == read(tmp_path, PLATE).digest()
    totals = PLATE.replace("dose (uM),1,2,3\n", "dose (uM),1,2,3,Total\n")
    totals = totals.replace("A,0,1,10\nB,0,1,10\n", "A,0,1,10,11\nB,0,1,10,11\nTotal,0,2,20,22\n")
    assert read(tmp_path, totals).digest() == read(tmp_path, PLATE).digest()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("control,1,2,3", "control,3,2,1", says("map.no_block", place="map.csv, row 14", row="A")),
        ("control,1,2,3", "control,1,1,2", says("map.no_block", place="row 14", row="A")),
        ("compound,1,2,3", "compound,1,2,x", says("map.no_block", place="row 6", row="A")),
        ("B,0,1,10", "\nB,0,1,10", says("map.no_block", place="row 12", row="B")),
        (
            "compound,1,2,3",
            "compound,1,2,",
            says("map.under_no_column_number", place="row 6", value="ril"),
        ),
        ("B,0,1,10", "Bb,0,1,10", says("well.mixes_upper_and_lower_case")),
        ("dose (uM),1,2,3", "dose (%),1,2,3", says("map.unit_unknown", unit="%")),
    ],
)
def test_what_is_no_block_is_refused_by_its_place(tmp_path, old, new, sentence):
    with pytest.raises(PlateMapError, match=sentence):
        read(tmp_path, PLATE.replace(old, new))


def test_a_second_compound_block_makes_combinations(tmp_path):
    second = "\ncompound 2,1,2,3\nA,,edaravone,\nB,,,edaravone\n\ndose 2 (uM),1,2,3\nA,,3,\nB,,,3\n"
    plate_map = read(tmp_path, PLATE + second)
    assert plate_map.compounds == ("edaravone 3 µM + ril 1 µM", "edaravone 3 µM + ril 10 µM", "ril")
    assert plate_map["A02"].dose_molar == 4e-6
    assert (plate_map["B02"].compound, plate_map["B02"].dose_molar) == ("ril", 1e-6)
    with pytest.raises(PlateMapError, match=says("map.vehicle_with_a_compound")):
        read(
            tmp_path,
            PLATE + second.replace("A,,edaravone,", "A,edaravone,,").replace("A,,3,", "A,3,,"),
        )


def test_a_decimal_comma_is_read_and_an_ambiguous_one_refused_by_cell(tmp_path):
    text = PLATE.replace(",", ";").replace(";1;10\n", ";0,5;1.000,5\n")
    plate_map = read(tmp_path, text)
    assert [plate_map[w].dose_molar for w in ("A02", "A03")] == [5e-7, 1.0005e-3]
    with pytest.raises(PlateMapError, match=says("map.dose_of_two_meanings", dose="1,000")):
        read(tmp_path, PLATE.replace(",", ";").replace("A;0;1;10", "A;0;1;1,000"))
    with pytest.raises(PlateMapError, match=says("map.dose_of_two_meanings", dose="1.000")):
        read(tmp_path, PLATE.replace(",", ";").replace("A;0;1;10", "A;0;1;1.000"))
