"""Any map survives being written and read; any text is read or refused by name, and nothing else
ever happens.
"""

from __future__ import annotations

import csv
import io
import string
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from plate_maps import (
    Condition,
    Control,
    PlateMap,
    PlateMapError,
    Well,
    plate_format,
    read_plate_map,
)
from plate_maps.layout import to_csv
from plate_maps.readers.sheets import MAX_BYTES

NAMES = st.text(
    string.ascii_letters + string.digits + " -_.äµ,;\"'", min_size=1, max_size=12
).filter(lambda s: s.strip() == s and s)
DOSES = st.sampled_from([1e-9, 3e-9, 1e-8, 3.3e-7, 1e-6, 2.5e-5, 1e-3])
ODD = "\t;,\"\n\r '=+@0123456789AZaz.µ-\ufeff"


@st.composite
def maps(draw):
    fmt = plate_format(96)
    wells = [Well(r, c) for r in range(1, 9) for c in range(1, 13)]
    lines = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    chosen = draw(st.lists(st.sampled_from(wells), min_size=2, max_size=24, unique=True))
    conditions = {chosen[0]: Condition(lines[0], "DMSO", 0.0, Control.VEHICLE)}
    for well in chosen[1:]:
        conditions[well] = Condition(
            draw(st.sampled_from(lines)),
            draw(NAMES),
            draw(DOSES),
            replicate=draw(st.sampled_from(["", "1", "2"])),
        )
    return PlateMap(fmt, dict(sorted(conditions.items())))


def read_text(text, name="map.csv", encoding="utf-8"):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode(encoding, errors="replace"))
        return read_plate_map(path, plate_format(96))


@given(maps())
@settings(max_examples=60, deadline=None)
def test_a_map_comes_back_as_it_was_written(plate):
    assert read_text(to_csv(plate)).digest() == plate.digest()


@given(maps(), st.sampled_from(["\t", ";", ","]), st.sampled_from(["utf-8-sig", "utf-16"]))
@settings(max_examples=60, deadline=None)
def test_delimiter_byte_order_mark_and_encoding_make_no_difference(plate, delimiter, encoding):
    rows = list(csv.reader(io.StringIO(to_csv(plate))))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    assert read_text(out.getvalue(), encoding=encoding).digest() == plate.digest()


@given(
    st.text(ODD, max_size=300),
    st.sampled_from(["map.csv", "map.tsv", "map.toml", "map.xml", "map.PlateMap", "map.xlsx"]),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_by_name(text, name):
    try:
        found = read_text(text, name)
    except PlateMapError as error:
        assert name in str(error)
        assert error.problems
    else:
        assert len(found) >= 1


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    "",
                    "well",
                    "line",
                    "A01",
                    "B2",
                    "Z99",
                    "1",
                    "dose",
                    "-1",
                    "nan",
                    "1e999 uM",
                    "vehicle",
                    "control",
                    "=1+1",
                ]
            ),
            max_size=6,
        ),
        max_size=8,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_cells_are_read_or_refused(rows):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    try:
        found = read_text(out.getvalue())
    except PlateMapError as error:
        assert error.problems
    else:
        assert all(c.line for c in found.conditions.values())


def workbook(tmp_path, rows, merge=""):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    if merge:
        book.active.merge_cells(merge)
    book.save(tmp_path / "map.xlsx")
    return tmp_path / "map.xlsx"


HEADER = ["well", "line", "compound", "dose", "unit", "control"]


def test_merged_cells_are_named_and_never_carried_over(tmp_path):
    """A line merged over two rows stands in the first only; the second well would silently get
    none, or a wrong one.
    """
    path = workbook(
        tmp_path,
        [HEADER, ["A01", "L1", "DMSO", "", "", "vehicle"], ["A02", "L1", "x", 1, "uM", ""]],
        "B2:B3",
    )
    with pytest.raises(PlateMapError, match="row 3, well A02: the cell line is missing"):
        read_plate_map(path)


def test_formulas_without_a_stored_value_are_named(tmp_path):
    path = workbook(
        tmp_path,
        [HEADER, ["A01", "L1", "DMSO", "", "", "vehicle"], ["A02", "L1", "x", "=1*3", "uM", ""]],
    )
    with pytest.raises(
        PlateMapError, match=r"row 3: formula =1\*3 has no stored value; open and save it in Excel"
    ):
        read_plate_map(path)


def test_a_sheet_of_fifty_megabytes_is_refused_at_once_or_read_within_limits(tmp_path):
    row = "A01,L1,x,1,uM,," + "y" * 60 + "\n"
    text = "well,line,compound,dose,unit,control,note\n" + row * (MAX_BYTES // len(row) - 10)
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(PlateMapError, match="more than 3,072 rows for one plate"):
        read_plate_map(tmp_path / "map.csv")
    (tmp_path / "map.csv").write_text(text + row * 20)
    with pytest.raises(PlateMapError, match="a plate map is at most 52,428,800"):
        read_plate_map(tmp_path / "map.csv")


def test_a_workbook_whose_sheet_breaks_off_is_refused_by_name(tmp_path):
    """The archive opens; the XML inside ends in the middle, which shows only while rows are read."""
    whole = workbook(tmp_path, [HEADER, ["A01", "L1", "DMSO", "", "", "vehicle"]])
    broken = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(
                name, content[: len(content) // 2] if name.endswith("sheet1.xml") else content
            )
    with pytest.raises(
        PlateMapError, match=r"broken.xlsx cannot be used:\n  - the workbook cannot be read"
    ):
        read_plate_map(broken)
