from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_maps.wells import (
    FORMATS,
    PlateFormat,
    Well,
    plate_format,
    row_letters,
    row_number,
    smallest_format,
)
from tests.messages import says


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("B3", "B03"),
        ("b03", "B03"),
        (" B-03 ", "B03"),
        ("AA01", "AA01"),
        ("af48", "AF48"),
        ("P24", "P24"),
    ],
)
def test_names_in_use_are_read(text, name):
    assert Well.parse(text).name == name


@pytest.mark.parametrize("text", ["", "B", "3", "B0", "B00", "3B", "AAA1", "B123", "B3.5", "Ä1"])
def test_other_text_is_refused_by_name(text):
    with pytest.raises(ValueError, match=says("well.text_is_no_name")):
        Well.parse(text)


@pytest.mark.parametrize("text", ["Aa1", "aB01", "Ad1"])
def test_a_row_in_mixed_case_is_a_slip(text):
    with pytest.raises(ValueError, match=says("well.mixes_upper_and_lower_case")):
        Well.parse(text)


@given(st.integers(1, 32), st.integers(1, 48))
def test_a_name_reads_back(row, column):
    well = Well(row, column)
    assert Well.parse(well.name) == well
    assert row_number(row_letters(row)) == row


def test_wells_sort_as_the_plate_is_read():
    wells = [Well.parse(n) for n in ("AA01", "B01", "A10", "A02", "Z48")]
    assert [w.name for w in sorted(wells)] == ["A02", "A10", "B01", "Z48", "AA01"]


def test_formats_hold_their_corners():
    for size, fmt in FORMATS.items():
        assert fmt.size == size
        assert Well(fmt.rows, fmt.columns) in fmt
        assert Well(fmt.rows + 1, 1) not in fmt
        assert Well(1, fmt.columns + 1) not in fmt


@pytest.mark.parametrize(
    ("wells", "rows", "columns", "last"),
    [
        (6, 2, 3, "B03"),
        (12, 3, 4, "C04"),
        (24, 4, 6, "D06"),
        (48, 6, 8, "F08"),
        (96, 8, 12, "H12"),
        (384, 16, 24, "P24"),
        (1536, 32, 48, "AF48"),
    ],
)
def test_formats_are_the_makers(wells, rows, columns, last):
    fmt = plate_format(wells)
    assert (fmt.rows, fmt.columns) == (rows, columns)
    assert Well(fmt.rows, fmt.columns).name == last


def test_unknown_format_lists_the_known():
    with pytest.raises(ValueError, match=says("plate.no_such_format")):
        plate_format(95)


def test_smallest_format():
    assert smallest_format([Well(8, 12)]) == PlateFormat(8, 12)
    assert smallest_format([Well(1, 13)]) == PlateFormat(16, 24)
    with pytest.raises(ValueError, match=says("plate.well_outside_every_format")):
        smallest_format([Well(1, 49)])
