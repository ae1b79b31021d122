"""One row per well: the words over the columns, one plate of several, and what a row must hold."""

from __future__ import annotations

import pytest

from plate_maps import Condition, Control, PlateMapError, Well, plate_format, read_plate_map
from plate_maps.readers.long import (
    MOST_ROWS,
    choose_plate,
    find_header,
    header_name,
    plate_names,
    read_long,
    unknown_plate,
)
from plate_maps.readers.sheets import Sheet
from tests.messages import says, states
from tests.plate_maps.written_maps import LONG, write


def sheet(text):
    return Sheet("map.csv", [line.split(",") for line in text.splitlines()])


def conditions(text, line="", plate=""):
    """Well's name ► Condition of a sheet without a fault."""
    entries, problems = read_long(sheet(text), line, plate)
    assert problems == []
    return {well.name: condition for _, well, condition in entries}


def test_one_row_per_well_is_read_with_all_that_it_says(tmp_path):
    plate_map = read_plate_map(write(tmp_path, LONG), plate_format(96))
    assert [w.name for w in plate_map] == ["B03", "B04", "B05", "C03", "C04", "C05"]
    treated = plate_map[Well.parse("C04")]
    assert (
        treated.line,
        treated.genotype,
        treated.compound,
        treated.dose_molar,
        treated.batch,
    ) == (
        "L2",
        "corrected",
        "riluzole",
        5e-7,
        "d2",
    )
    assert treated.annotations == (("operator", "kim"),)
    assert plate_map[Well.parse("B03")].dose_molar == 0.0  # a vehicle's per cent is no dose
    assert plate_map.vehicle_wells("L2") == (Well(3, 3),)
    assert plate_map.compounds == ("riluzole",)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("riluzole,10,µM", "riluzole,10,"), says("map.dose_without_unit_at")),
        (
            ("riluzole,1,uM", "riluzole,,uM"),
            says("map.compound_without_dose", what="row 3, well B04: compound riluzole"),
        ),
        (
            ("positive", "postive"),
            says("map.control_unknown_at", place="row 7, well C05", control="postive"),
        ),
        (("b4,L1", "b4,"), says("map.line_missing", row=3, well="B04")),
        (("b4,", "4b,"), says("map.well_name_unreadable_at")),
        (("line,genotype", "strain,genotype"), says("map.no_column_of_lines")),
        (("riluzole,1,uM", "riluzole,0,uM"), says("map.dose_zero_is_vehicle")),
        (
            ("riluzole,1,uM", ",1,uM"),
            says("map.neither_compound_nor_control", place="row 3, well B04"),
        ),
        (("well,line", "well,well"), says("map.column_twice")),
    ],
)
def test_faults_of_a_row_are_named_by_file_row_and_well(tmp_path, change, sentence):
    with pytest.raises(PlateMapError, match=sentence):
        read_plate_map(write(tmp_path, LONG.replace(*change)), plate_format(96))


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("Well-ID", "well"),
        (" well position ", "well"),
        ("Cell Line", "line"),
        ("Drug", "compound"),
        ("CONC", "dose"),
        ("dose unit", "unit"),
        ("Well Type", "control"),
        ("Assay_Plate_Barcode", "plate"),
        ("mmoles_per_liter", "dose_mm"),
        ("Plated by", "plated_by"),
    ],
)
def test_the_words_that_labs_write_over_a_column_are_known_and_others_are_annotations(cell, name):
    assert header_name(cell) == name


def test_the_header_is_the_first_row_with_a_well_or_with_row_and_column():
    assert find_header(sheet("Plate 7,kim\n\nWell ID,line\nA1,L1\nwell,line")) == 2
    assert find_header(sheet("row,line\nrow,col")) == 1
    assert find_header(sheet("line\n" * 49 + "well,line")) == 49
    assert find_header(sheet("line\n" * 50 + "well,line")) is None  # no map has a page of preface
    assert find_header(sheet("Position,says where the well is")) is None  # a readme
    entries, (problem,) = read_long(sheet("line,dose\nL1,1"))
    assert entries == []
    assert states("map.no_column_of_wells", problem)


def test_row_and_column_name_a_well_and_rows_without_text_are_passed_over():
    wells = conditions('row,column,line,control\n,,,\nA,3,L1,dmso\naa,"04",L1,dmso\n')
    assert list(wells) == ["A03", "AA04"]
    entries, problems = read_long(sheet("row,column,line,control\n,,,\nA,3,L1,dmso,x\nB,1\n"))
    assert [place for place, _, _ in entries] == ["map.csv, row 3"]
    (problem,) = problems
    assert states("map.line_missing", problem, row=4, well="B01")


def test_a_line_for_all_wells_stands_in_where_a_row_has_none():
    assert conditions("well,control\nA1,veh\n", "L1")["A01"].line == "L1"
    wells = conditions("well,line,control\nA1,,veh\nA2,L2,veh\n", "L1")
    assert [c.line for c in wells.values()] == ["L1", "L2"]


def test_a_control_needs_no_dose_and_keeps_the_one_that_it_has():
    wells = conditions(
        "well,line,compound,dose,control\nA1,L1,ref,,pos\nA2,L1,ref,30 uM,pos\nA3,L1,,,neg\n"
        "A4,L1,water,2 uM,vehicle\n"
    )
    assert {w: (c.control, c.compound, c.dose_molar) for w, c in wells.items()} == {
        "A01": (Control.POSITIVE, "ref", None),
        "A02": (Control.POSITIVE, "ref", 3e-5),
        "A03": (Control.NEGATIVE, "", None),
        "A04": (Control.VEHICLE, "water", 0.0),
    }


def test_annotations_are_in_the_order_of_their_names_and_empty_ones_left_out():
    wells = conditions("well,line,control,zone,Plated by,note\nA1,L1,veh,3,kim,\n")
    assert wells["A01"].annotations == (("plated_by", "kim"), ("zone", "3"))


@pytest.mark.parametrize(
    ("sample", "kind", "solvent", "condition"),
    [
        ("", "", "", Condition("L1", "DMSO", 0.0, Control.VEHICLE)),
        ("", "control", "water", Condition("L1", "water", 0.0, Control.VEHICLE)),
        ("", "negcon", "DMSO", Condition("L1", "DMSO", 0.0, Control.VEHICLE)),
        ("BRD-1", "trt", "DMSO", Condition("L1", "BRD-1", 5e-6)),
        ("BRD-2", "poscon", "DMSO", Condition("L1", "BRD-2", 5e-6, Control.POSITIVE)),
    ],
)
def test_in_a_broad_platemap_a_well_without_a_sample_is_a_vehicle(sample, kind, solvent, condition):
    header = "well_position,broad_sample,mmoles_per_liter,pert_type,solvent\n"
    assert conditions(f"{header}A1,{sample},0.005,{kind},{solvent}", "L1") == {"A01": condition}


def test_in_a_broad_platemap_a_treated_well_without_a_sample_is_refused():
    text = "well_position,broad_sample,mmoles_per_liter,pert_type\nA1,,0.005,trt"
    entries, (problem,) = read_long(sheet(text), "L1")
    assert entries == []
    place = "map.csv, row 2, well A01"
    assert states("map.neither_compound_nor_control", problem, place=place)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("", None),
        ("bc1", "BC1"),
        ("BC12", "BC12"),
        ("run_BC12", "BC12"),
        ("BC123", None),
        ("BC1-BC12", None),
        ("other", None),
    ],
)
def test_names_of_plates_match_whole_words_only(wanted, chosen):
    assert choose_plate(["BC1", "BC12"], wanted) == chosen


def test_the_only_plate_needs_no_name_but_is_not_taken_for_another():
    assert choose_plate(["BC1"], "") == "BC1"
    assert choose_plate(["BC1"], "BC2") is None
    assert choose_plate([], "") is None


def test_plates_are_named_once_and_in_order():
    assert plate_names(sheet("well,Barcode\nA1,BC2\nA2,BC1\nA3\nA4,\nA5,BC2\n")) == ["BC2", "BC1"]
    assert plate_names(sheet("well,line\nA1,L1\n")) == []
    assert plate_names(sheet("plate,line\nBC1,L1\n")) == []


@pytest.mark.parametrize(
    ("known", "wanted", "words"),
    [
        ([], "BC1", "the map is of plates (none named); none of them is called 'BC1'"),
        (["P1", "P2"], "", "the map is of plates P1, P2; name the plate to be read"),
        (
            [f"P{i}" for i in range(1, 16)],
            "",
            "the map is of plates P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12 and 3 more;"
            " name the plate to be read",
        ),
    ],
)
def test_a_plate_that_is_not_known_is_refused_with_twelve_of_those_that_are(known, wanted, words):
    assert unknown_plate(known, wanted) == words


def test_rows_are_counted_for_the_plate_that_is_read():
    head, full = "plate,well,line,control\n", "{},A1,L1,veh\n" * MOST_ROWS
    both = head + full.replace("{}", "BC1") + full.replace("{}", "BC2")
    entries, problems = read_long(sheet(both), plate="BC2")
    assert (len(entries), problems) == (MOST_ROWS, [])
    assert entries[0][0] == f"map.csv, row {MOST_ROWS + 2}"
    entries, problems = read_long(sheet(both + "BC1,A1,L1,veh\n" * 2), plate="BC1")
    assert len(entries) == MOST_ROWS
    (problem,) = problems
    assert problem.startswith(f"map.csv, row {2 * MOST_ROWS + 2}: ")
    assert states("map.more_rows_than_wells", problem)
