"""Sheets of text: whatever the delimiter, the encoding or the workbook, and what is refused."""

from __future__ import annotations

import zipfile

import pytest
from openpyxl import Workbook

from plate_maps import PlateMapError, Well, read_plate_map
from plate_maps.readers import sheets
from plate_maps.readers.sheets import MAX_BYTES, Sheet, check_size, parse_xml, read_sheets
from tests.effort import count_calls
from tests.messages import says, states
from tests.plate_maps.written_maps import LONG, write

HEADER = ["well", "line", "compound", "dose", "unit", "control"]


def workbook(tmp_path, rows, merge=""):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    if merge:
        book.active.merge_cells(merge)
    book.save(tmp_path / "map.xlsx")
    return tmp_path / "map.xlsx"


def refused(path):
    """The problems for which a file is refused."""
    with pytest.raises(PlateMapError) as caught:
        read_sheets(path)
    assert caught.value.source.endswith(path.name)
    return caught.value.problems


def test_a_row_is_placed_by_the_line_of_its_file():
    assert Sheet("map.csv", [["a"]]).place(0) == "map.csv, row 1"
    assert Sheet("map.xlsx, sheet line", [], first_row=5).place(2) == "map.xlsx, sheet line, row 7"


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


def test_the_header_decides_about_the_delimiter_and_cells_are_stripped(tmp_path):
    text = '\n  \nwell;note\n A1 ;"1,5, 2,5, 3,5; 4"\n'
    assert read_sheets(write(tmp_path, text)) == [
        Sheet(
            "map.csv", [[], [""], ["well", "note"], ["A1", "1,5, 2,5, 3,5; 4"]], decimal_comma=True
        )
    ]


def test_a_line_break_inside_quotes_does_not_end_the_row(tmp_path):
    (sheet,) = read_sheets(write(tmp_path, 'well,note\r\nA1,"two\nlines"\r\nA2,\r\n'))
    assert sheet.rows == [["well", "note"], ["A1", "two\nlines"], ["A2", ""]]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("map.pdf", b"x", "files ending in .pdf are not read; save the map as .csv, .tsv or .xlsx"),
        ("map", b"x", "files ending in nothing are not read"),
        ("map.csv", b"a\x00b", "the file holds binary data, not text"),
        ("map.csv", b"well\x81", "the text is neither UTF-8, UTF-16 nor Windows-1252"),
        ("map.csv", b"\xff\xfea", "the text is neither UTF-8, UTF-16 nor Windows-1252"),
        ("map.xlsx", b"PK no", "the workbook cannot be read: File is not a zip file"),
    ],
)
def test_other_files_are_refused_with_what_is_wrong(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    (sentence,) = refused(tmp_path / name)
    assert sentence.startswith(problem)


@pytest.mark.parametrize("name", ["none.csv", "none.xlsx", "none.pdf"])
def test_an_absent_file_is_refused(tmp_path, name):
    (absent,) = refused(tmp_path / name)
    (tmp_path / name).mkdir()
    (folder,) = refused(tmp_path / name)
    assert states("map.no_file", absent)
    assert states("map.folder", folder)


def test_a_cell_of_more_text_than_the_csv_reader_takes_is_refused_by_file(tmp_path):
    (tmp_path / "map.csv").write_text("well,line\nA01," + "x" * 200_000)
    (sentence,) = refused(tmp_path / "map.csv")
    assert states("map.cell_too_long", sentence, line=2, most=131072)


def test_a_file_may_have_as_many_bytes_as_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "MAX_BYTES", 1200)
    path = write(tmp_path, "x" * 1200)
    check_size(path)
    assert read_sheets(path) == [Sheet("map.csv", [["x" * 1200]])]
    path.write_text("x" * 1201)
    (sentence,) = refused(path)
    assert states("map.bytes_too_many", sentence, bytes="1,201", most="1,200")


ROW = "A01,L1,x,1,uM,," + "y" * 60 + "\n"


@pytest.mark.parametrize(
    ("text", "most", "what"),
    [
        (50_001 * "A01,L1\n", "50,000", "rows"),
        ("well,line" + 100_000 * ",x" + "\nB02,L1\n", "500", "columns"),
        (2_100 * (500 * "x,")[:-1].join(["", "\n"]), "1,000,000", "cells"),
    ],
)
def test_a_sheet_larger_than_any_map_is_refused_at_once(tmp_path, text, most, what):
    path = write(tmp_path, text)
    with count_calls() as calls:
        (sentence,) = refused(path)
    assert states("map.more_than", sentence, most=most, what=what)
    assert calls.count < 3_000_000


@pytest.mark.slow
def test_a_sheet_as_large_as_allowed_is_read_in_seconds(tmp_path):
    text = "well,line,compound,dose,unit,control,note\n" + ROW * (sheets.MOST_ROWS - 1)
    path = write(tmp_path, text)
    with (
        count_calls() as calls,
        pytest.raises(PlateMapError, match=says("map.more_rows_than_wells")),
    ):
        read_plate_map(path)
    assert calls.count < 100 * 7 * sheets.MOST_ROWS


def test_a_file_of_more_bytes_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(PlateMapError, match=says("map.file_too_large")):
        read_plate_map(write(tmp_path, ROW * (MAX_BYTES // len(ROW) + 10)))


def packed(tmp_path, sheet):
    """A workbook whose first sheet's XML is `sheet`."""
    whole = workbook(tmp_path, [["x"]])
    made = tmp_path / "bomb.xlsx"
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            with target.open(name, "w") as part:
                pieces = sheet if name.endswith("sheet1.xml") else [source.read(name)]
                for piece in pieces:
                    part.write(piece)
    return made


BEGIN = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    b'<dimension ref="A1:XFD1048576"/><sheetData>'
)
END = b"</sheetData></worksheet>"


@pytest.mark.parametrize(
    ("sheet", "sentence"),
    [
        (
            [BEGIN, *3_000 * [1_000 * b"<row><c><v>1</v></c></row>"], END],
            says("map.unpacks_to", size="78,"),
        ),
        (
            [BEGIN, *60 * [1_000 * b"<row><c><v>1</v></c></row>"], END],
            says("map.more_than", most="50,000", what="rows"),
        ),
        (
            [BEGIN, b"<row>", 501 * b"<c><v>1</v></c>", b"</row>", END],
            says("map.more_than", most="500", what="columns"),
        ),
        (
            [BEGIN, b'<row r="99999999999"><c><v>1</v></c></row>', END],
            says("map.empty_rows"),
        ),
    ],
)
def test_a_workbook_that_swells_is_refused(tmp_path, sheet, sentence):
    made = packed(tmp_path, sheet)
    assert made.stat().st_size < 400_000
    with count_calls() as calls, pytest.raises(PlateMapError, match=sentence):
        read_sheets(made)
    assert calls.count < 10_000_000


def test_empty_cells_at_the_end_of_a_row_count_for_nothing(tmp_path):
    row = b"<row><c><v>1</v></c>" + 900 * b"<c s='1'/>" + b"</row>"
    made = packed(tmp_path, [BEGIN, row, END])
    assert [s.rows for s in read_sheets(made)] == [[["1"]]]


def test_a_workbook_of_numbers_gives_the_same_map_as_the_text(tmp_path):
    rows = [
        [float(c) if c.replace(".", "").isdigit() else c or None for c in line.split(",")]
        for line in LONG.splitlines()
    ]
    assert (
        read_plate_map(workbook(tmp_path, rows)).digest()
        == read_plate_map(write(tmp_path, LONG)).digest()
    )


def test_a_workbook_s_cells_are_text_and_its_empty_sheets_left_out(tmp_path):
    book = Workbook()
    book.active.title = "first"
    book.active.append([1, 2.0, 0.25, None, "  A1 ", True])
    book.create_sheet("empty")
    book.create_sheet("blank").append(["", " "])
    book.create_sheet("last").append(["x"])
    book.save(tmp_path / "map.xlsx")
    assert read_sheets(tmp_path / "map.xlsx") == [
        Sheet("map.xlsx, sheet first", [["1", "2", "0.25", "", "A1", "True"]]),
        Sheet("map.xlsx, sheet last", [["x"]]),
    ]


def test_merged_cells_are_named_and_never_carried_over(tmp_path):
    """A line merged over two rows stands in the first only; the second well would silently get
    none, or a wrong one.
    """
    path = workbook(
        tmp_path,
        [HEADER, ["A01", "L1", "DMSO", "", "", "vehicle"], ["A02", "L1", "x", 1, "uM", ""]],
        "B2:B3",
    )
    with pytest.raises(PlateMapError, match=says("map.line_missing", row=3, well="A02")):
        read_plate_map(path)


def test_formulas_without_a_stored_value_are_all_named(tmp_path):
    path = workbook(
        tmp_path,
        [HEADER, ["A01", '="L"&1', "DMSO", "", "", "vehicle"], ["A02", "L1", "x", "=1*3", "uM"]],
    )
    place, formulas = "map.xlsx, sheet Sheet, row {}", {2: '="L"&1', 3: "=1*3"}
    for sentence, (row, formula) in zip(refused(path), formulas.items(), strict=True):
        assert states(
            "map.formula_without_value", sentence, place=place.format(row), formula=formula
        )


def test_a_workbook_whose_sheet_breaks_off_is_refused_by_name(tmp_path):
    """The archive opens; its XML ends in the middle, which shows only while rows are read."""
    whole = workbook(tmp_path, [HEADER, ["A01", "L1", "DMSO", "", "", "vehicle"]])
    broken = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(
                name, content[: len(content) // 2] if name.endswith("sheet1.xml") else content
            )
    with pytest.raises(PlateMapError, match=says("map.workbook_unreadable")):
        read_plate_map(broken)


@pytest.mark.parametrize("error", [OSError("no such device"), MemoryError()])
def test_an_error_of_the_disk_or_the_memory_is_not_taken_for_a_broken_workbook(
    tmp_path, monkeypatch, error
):
    def fail(*_, **__):
        raise error

    path = workbook(tmp_path, [HEADER])
    monkeypatch.setattr("openpyxl.load_workbook", fail)
    with pytest.raises(type(error)) as raised:
        read_sheets(path)
    assert raised.value is error


def test_xml_gives_its_root(tmp_path):
    root = parse_xml(write(tmp_path, "<plate><well row='1'/></plate>", "map.xml"))
    assert (root.tag, [(child.tag, child.attrib) for child in root]) == (
        "plate",
        [("well", {"row": "1"})],
    )


@pytest.mark.parametrize(
    "text", ["", "<plate>", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<a>\x00</a>"]
)
def test_broken_xml_and_entities_are_refused_by_file(tmp_path, text):
    with pytest.raises(PlateMapError) as caught:
        parse_xml(write(tmp_path, text, "map.xml"))
    assert caught.value.source == "map.xml"
    (problem,) = caught.value.problems
    assert states("map.not_xml", problem)


def test_xml_beyond_the_limit_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "MAX_BYTES", 3)
    with pytest.raises(PlateMapError, match=says("map.bytes_too_many", bytes=4, most=3)):
        parse_xml(write(tmp_path, "<a/>", "map.xml"))
