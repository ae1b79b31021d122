"""Tables of fields in words; mosaics as ngio writes them are in test_ome_zarr.py."""

from __future__ import annotations

import pytest

from imaging_service.ingest.optics.mosaic import covered_by

ROWS = "FieldIndex,x_micrometer,y_micrometer,len_x_micrometer,len_y_micrometer\n"


def table(folder, text):
    (folder / "FOV_ROI_table").mkdir(exist_ok=True)
    (folder / "FOV_ROI_table" / "table.csv").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("box", "covered"),
    [
        ((0, 0, 16, 16), True),
        ((0, 16, 16, 32), True),
        ((16, 0, 32, 16), False),
        ((15, 0, 31, 16), True),
    ],
)
def test_boxes_and_fields(tmp_path, box, covered):
    # One field of 16 rows and 32 columns at 0.5 µm: y goes down, x to the right.
    tables = table(tmp_path, ROWS + "1,0,0,16.01,8.01\n")
    assert covered_by(tables, (0.5, 0.5), [box]) is covered


@pytest.mark.parametrize("text", ["", ROWS, "a,b\n1,2\n", ROWS + "1,nan,0,8,8\n"])
def test_no_table_tells_nothing(tmp_path, text):
    assert covered_by(tmp_path, (0.5, 0.5), [(0, 0, 8, 8)]) is None
    assert covered_by(table(tmp_path, text), (0.5, 0.5), [(0, 0, 8, 8)]) is None
