from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from plate_maps import PlateMapError, plate_format, read_plate_map
from tests.plate_maps.written_maps import LONG, write


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("b4,", "B03,"), r"map.csv, row 3, well B03: given before, at map.csv, row 2"),
        (("b4,", "Q30,"), r"row 3, well Q30: outside the 96-well"),
        (("vehicle", "positive"), r"no well is marked as vehicle"),
        (
            ("B05,L1,SOD1 p.A5V", "B05,L1,healthy"),
            r"line L1 has more than one genotype: SOD1 p.A5V at B03, healthy at B05",
        ),
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


@pytest.mark.parametrize("text", ["", "\n\n", "just,words\n1,2\n"])
def test_a_sheet_in_neither_form_is_refused(tmp_path, text):
    with pytest.raises(PlateMapError) as caught:
        read_plate_map(write(tmp_path, text))
    assert caught.value.problems == [
        "the file has neither a column named well (long form) nor rows A, B, C … under columns 1,"
        " 2, 3 … (grid form); write the map in one of the two forms"
    ]


def test_a_workbook_without_a_filled_cell_is_empty(tmp_path):
    Workbook().save(tmp_path / "map.xlsx")
    with pytest.raises(PlateMapError) as caught:
        read_plate_map(tmp_path / "map.xlsx")
    assert caught.value.problems == ["the file is empty"]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_map_or_an_error_with_problems(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "map.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_plate_map(path)
    except PlateMapError as error:
        assert error.problems
