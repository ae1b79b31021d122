from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from plate_maps import PlateMap, PlateMapError, Well, plate_format, read_plate_map

LONG = """well,line,genotype,compound,dose,unit,control,batch,operator
B03,L1,SOD1 p.A5V,DMSO,0.1,%,vehicle,d1,kim
b4,L1,SOD1 p.A5V,riluzole,1,uM,,d1,kim
B05,L1,SOD1 p.A5V,riluzole,10,µM,,d1,lee
C03,L2,corrected,DMSO,,,vehicle,d1,kim
C04,L2,corrected,riluzole,500 nM,,,d2,kim
C05,L2,corrected,ref,30,uM,positive,d1,
"""

GRID = """line,1,2,3
A,L1,L1,L1
B,L2,L2,

compound,1,2,3
A,DMSO,ril,ril
B,DMSO,ril,

dose (uM),1,2,3
A,0,1,10
B,0,1,

control,1,2,3
A,vehicle,,
B,vehicle,,
"""


def write(tmp_path, text, name="map.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_long_form(tmp_path):
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
    ("delimiter", "name"), [(",", "m.csv"), (";", "m.csv"), ("\t", "m.tsv"), ("\t", "m.txt")]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_encodings_give_the_same_map(tmp_path, delimiter, name, encoding):
    path = write(tmp_path, LONG.replace(",", delimiter), name, encoding)
    assert read_plate_map(path).digest() == read_plate_map(write(tmp_path, LONG)).digest()


def test_windows_text_is_read(tmp_path):
    assert (
        read_plate_map(write(tmp_path, LONG, encoding="cp1252"))[Well.parse("B05")].dose_molar
        == 1e-5
    )


def test_grid_form(tmp_path):
    plate_map = read_plate_map(write(tmp_path, GRID))
    assert [w.name for w in plate_map] == ["A01", "A02", "A03", "B01", "B02"]
    assert plate_map[Well.parse("A03")].dose_molar == 1e-5
    assert plate_map[Well.parse("B01")].is_vehicle


def test_excel_long_and_grid_over_sheets(tmp_path):
    book = Workbook()
    sheet = book.active
    for row in LONG.splitlines():
        sheet.append(
            [float(c) if c.replace(".", "").isdigit() else c or None for c in row.split(",")]
        )
    book.save(tmp_path / "long.xlsx")
    assert (
        read_plate_map(tmp_path / "long.xlsx").digest()
        == read_plate_map(write(tmp_path, LONG)).digest()
    )
    book = Workbook()
    book.remove(book.active)
    for block in GRID.strip().split("\n\n"):
        rows = [line.split(",") for line in block.splitlines()]
        sheet = book.create_sheet(rows[0][0].split(" ")[0])
        for row in rows:
            sheet.append([int(c) if c.isdigit() else c or None for c in row])
    book.save(tmp_path / "grid.xlsx")
    assert (
        read_plate_map(tmp_path / "grid.xlsx").digest()
        == read_plate_map(write(tmp_path, GRID)).digest()
    )


def test_a_formula_without_stored_value_is_named(tmp_path):
    book = Workbook()
    book.active.append(["well", "line", "control"])
    book.active.append(["A1", '="L"&1', "vehicle"])
    book.save(tmp_path / "f.xlsx")
    with pytest.raises(PlateMapError, match="row 2: formula"):
        read_plate_map(tmp_path / "f.xlsx")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("b4,", "B03,"), r"map.csv, row 3, well B03: given before, at map.csv, row 2"),
        (("b4,", "Q30,"), r"row 3, well Q30: outside the 96-well"),
        (("riluzole,10,µM", "riluzole,10,"), r"row 4, well B05: .*no unit"),
        (("riluzole,1,uM", "riluzole,,uM"), r"row 3, well B04: compound riluzole has no dose"),
        (("vehicle", "positive"), r"no well is marked as vehicle"),
        (("positive", "postive"), r"row 7, well C05: 'postive' is not a control"),
        (("b4,L1", "b4,"), r"row 3, well B04: the cell line is missing"),
        (("b4,", "4b,"), r"row 3: '4b' is not a well name"),
        (("line,genotype", "strain,genotype"), r"no column named line"),
        (
            ("B05,L1,SOD1 p.A5V", "B05,L1,healthy"),
            r"line L1 has more than one genotype: SOD1 p.A5V at B03, healthy at B05",
        ),
        (("riluzole,1,uM", "riluzole,0,uM"), r"dose 0 is a vehicle well"),
        (("well,line", "well,well"), r"occurs more than once"),
    ],
)
def test_faults_are_named_by_file_row_and_well(tmp_path, change, says):
    with pytest.raises(PlateMapError, match=says):
        read_plate_map(write(tmp_path, LONG.replace(*change)), plate_format(96))


def test_all_faults_at_once(tmp_path):
    text = LONG.replace("b4,", "B03,").replace("riluzole,10,µM", "riluzole,10,")
    with pytest.raises(PlateMapError) as caught:
        read_plate_map(write(tmp_path, text))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.pdf", b"x"),
        ("map.csv", b""),
        ("map.csv", b"a\x00b"),
        ("map.csv", b"just,words\n1,2\n"),
        ("map.xlsx", b"PK no"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PlateMapError):
        read_plate_map(tmp_path / name)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(PlateMapError, match="does not exist"):
        read_plate_map(tmp_path / "none.csv")


def test_records_read_back(tmp_path):
    plate_map = read_plate_map(write(tmp_path, LONG))
    again = PlateMap.from_records(plate_map.format, plate_map.records())
    assert again.digest() == plate_map.digest()
    assert again.conditions == plate_map.conditions


def test_join_names_strays_on_both_sides(tmp_path):
    join = read_plate_map(write(tmp_path, LONG)).join([Well.parse("B03"), Well.parse("H12")])
    assert join.matched == (Well(2, 3),)
    assert join.only_in_scan == (Well(8, 12),)
    assert len(join.only_in_map) == 5


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_map_or_an_error_with_problems(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "map.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_plate_map(path)
    except PlateMapError as error:
        assert error.problems
