from __future__ import annotations

import pytest

from imaging_service.errors import ScanError
from imaging_service.ingest.plate_size import plate_of
from plate_maps import PlateFormat
from tests.messages import says


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ("8", "12", PlateFormat(8, 12)),
        (2, 4, PlateFormat(2, 4)),
        ("32", "48", PlateFormat(32, 48)),
        ("", "", None),
    ],
)
def test_plates(rows, columns, expected):
    assert plate_of(rows, columns, "Index.xml") == expected


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("eight", says("plate_size.not_a_number")),
        ("-8", says("plate_size.not_a_number")),
        ("1000000000", says("plate_size.too_large")),
        ("33", says("plate_size.too_large")),
        ("", says("plate_size.too_large")),
    ],
)
def test_what_is_no_plate_is_refused(rows, sentence):
    with pytest.raises(ScanError, match=sentence):
        plate_of(rows, "12", "Index.xml")
