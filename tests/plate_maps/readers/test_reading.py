from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from plate_maps import PlateMapError, check, plate_format, read_plate_map
from tests.messages import says, states
from tests.plate_maps.written_maps import LONG, write


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("b4,", "B03,"), says("map.well_twice")),
        (("b4,", "Q30,"), says("map.well_outside_plate")),
        (
            ("B05,L1,SOD1 p.A5V", "B05,L1,healthy"),
            says("map.two_genotypes"),
        ),
    ],
)
def test_faults_are_named_by_file_row_and_well(tmp_path, change, sentence):
    with pytest.raises(PlateMapError, match=sentence):
        read_plate_map(write(tmp_path, LONG.replace(*change)), plate_format(96))


def test_all_faults_at_once(tmp_path):
    text = LONG.replace("b4,", "B03,").replace("riluzole,10,µM", "riluzole,10,")
    with pytest.raises(PlateMapError) as caught:
        read_plate_map(write(tmp_path, text))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("text", ["", "\n\n", "just,words\n1,2\n"])
def test_a_sheet_in_neither_form_is_refused(tmp_path, text):
    with pytest.raises(PlateMapError) as caught:
        read_plate_map(write(tmp_path, text))
    (problem,) = caught.value.problems
    assert states("map.in_neither_form", problem)


def test_a_workbook_without_a_filled_cell_is_empty(tmp_path):
    Workbook().save(tmp_path / "map.xlsx")
    with pytest.raises(PlateMapError) as caught:
        read_plate_map(tmp_path / "map.xlsx")
    (problem,) = caught.value.problems
    assert states("map.empty", problem)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_map_or_an_error_with_problems(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "map.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_plate_map(path)
    except PlateMapError as error:
        assert error.problems


def test_the_headers_and_totals_of_bench_sheets_are_read(tmp_path):
    plain = LONG.replace("0.1,%", ",").replace("riluzole,1,uM", "riluzole,1 uM,")
    bench = (
        plain.replace("dose,unit", "Conc. [nM],x")
        .replace("1 uM", "1000")
        .replace("10,µM", "10000,")
        .replace("30,uM", "30000,")
        .replace("500 nM", "500")
    )
    expected = read_plate_map(write(tmp_path, plain)).digest()
    assert read_plate_map(write(tmp_path, bench + "Total,,,,6,,,,\n")).digest() == expected


def test_a_readme_sheet_is_passed_over_and_a_plate_without_numbers_is_not(tmp_path):
    book = Workbook()
    book.active.title = "Readme"
    book.active.append(["Position", "says where the well is"])
    book.active.append(["A", "first row"])
    sheet = book.create_sheet("Map")
    for line in LONG.splitlines():
        sheet.append([cell or None for cell in line.split(",")])
    book.save(tmp_path / "map.xlsx")
    expected = read_plate_map(write(tmp_path, LONG)).digest()
    assert read_plate_map(tmp_path / "map.xlsx").digest() == expected
    stray = book.create_sheet("compound 2")
    stray.append(["A", "edaravone", "edaravone"])
    book.save(tmp_path / "map.xlsx")
    with pytest.raises(
        PlateMapError, match=says("map.no_block", place="sheet compound 2, row 1", row="A")
    ):
        read_plate_map(tmp_path / "map.xlsx")


@pytest.mark.parametrize(("column", "name"), [("B", "line"), ("D", "compound"), ("E", "dose")])
def test_a_date_of_excel_is_refused_by_cell_and_kept_as_a_batch(tmp_path, column, name):
    book = Workbook()
    for line in LONG.splitlines():
        book.active.append([cell or None for cell in line.split(",")])
    book.active["H3"] = datetime(2025, 9, 1)
    book.save(tmp_path / "map.xlsx")
    assert read_plate_map(tmp_path / "map.xlsx")["B04"].batch == "2025-09-01"
    book.active[f"{column}3"] = datetime(2025, 9, 1)
    book.save(tmp_path / "map.xlsx")
    with pytest.raises(
        PlateMapError,
        match=says("map.entry_became", what=f"row 3, well B04: {name} '2025-09-01'", made="a date"),
    ):
        read_plate_map(tmp_path / "map.xlsx")


@pytest.mark.parametrize("other", ["Riluzole", "riluzole\u200b", "riluz\u043ele", "riluzole\u00ad"])
def test_look_alike_names_are_refused_with_their_wells(tmp_path, other):
    text = LONG.replace("B05,L1,SOD1 p.A5V,riluzole", f"B05,L1,SOD1 p.A5V,{other}")
    with pytest.raises(PlateMapError, match=says("map.names_that_look_alike")) as all_:
        read_plate_map(write(tmp_path, text))
    assert len(all_.value.problems) == 1
    with pytest.raises(PlateMapError, match=says("map.names_look_alike")):
        read_plate_map(write(tmp_path, LONG.replace("b4,L1,", "b4,l1,")))


def test_one_name_with_invisible_characters_throughout_is_the_name_without(tmp_path):
    text = LONG.replace("riluzole", "riluzole\u200b").replace("L2", "L2\ufeff")
    assert read_plate_map(write(tmp_path, text)).digest() == (
        read_plate_map(write(tmp_path, LONG)).digest()
    )


def test_a_second_compound_of_a_list_is_part_of_the_condition(tmp_path):
    rows = LONG.splitlines()
    more = [rows[0] + ",compound2,dose2", *(row + ",," for row in rows[1:])]
    assert read_plate_map(write(tmp_path, "\n".join(more))).compounds == ("riluzole",)
    more[2] = rows[2] + ",edaravone,3"
    plate_map = read_plate_map(write(tmp_path, "\n".join(more)))
    assert plate_map.compounds == ("edaravone 3 µM + riluzole 1 µM", "riluzole")
    more[1] = rows[1] + ",edaravone,3 uM"
    with pytest.raises(PlateMapError, match=says("map.vehicle_with_a_compound_at_its_row")):
        read_plate_map(write(tmp_path, "\n".join(more)))


@pytest.mark.parametrize("name", ["density", "Stimulus", "siRNA", "cells per well", "BDNF (ng/mL)"])
def test_a_treatment_column_that_differs_within_a_line_is_refused(tmp_path, name):
    rows = LONG.splitlines()
    values = ["10", "10", "20", "10", "10", "10"]
    text = "\n".join([f"{rows[0]},{name}", *map(",".join, zip(rows[1:], values, strict=True))])
    with pytest.raises(PlateMapError, match=says("map.column_differs")):
        read_plate_map(write(tmp_path, text))
    same = read_plate_map(write(tmp_path, text.replace(",20", ",10")))
    assert len(same["B05"].annotations) == 2


def test_the_positive_controls_decimal_comma_is_no_zero(tmp_path):
    text = LONG.replace("ref,30,uM,", 'ref,"0,5 µM",,')
    assert read_plate_map(write(tmp_path, text))["C05"].dose_molar == 5e-7


def test_a_map_without_a_vehicle_is_read_and_named(tmp_path):
    text = "well,line,genotype,compound,dose,unit\nB03,L1,SOD1,ril,1,uM\nB04,L1,SOD1,ril,10,uM\n"
    path = tmp_path / "map.csv"
    path.write_text(text, encoding="utf-8")
    mapped = read_plate_map(path)
    assert (len(mapped.conditions), mapped.vehicle_wells()) == (2, ())
    assert next((f.severity, f.code) for f in check(mapped)) == ("error", "no_vehicle")
