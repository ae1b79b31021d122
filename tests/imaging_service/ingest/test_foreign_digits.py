"""File names and indices with digits other than 0 to 9 are refused by name, never read as numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from hypothesis import example, given
from hypothesis import strategies as st

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan
from imaging_service.protocol import Acquisition
from tests.messages import says, states

OWN = r"(?P<row>[^_]+)_(?P<column>[^_]+)_(?P<field>[^_]+)_(?P<channel>[^_]+)\.tif"
INDEX = (
    "<E><Plates><Plate><Name>p</Name><PlateRows>{rows}</PlateRows><PlateColumns>12</PlateColumns></Plate></Plates><Images><Image>"
    "<URL>x.tiff</URL><Row>{row}</Row><Col>2</Col><FieldID>1</FieldID><PlaneID>{plane}</PlaneID><ChannelID>1</ChannelID>"
    "<ImageResolutionX>{size}</ImageResolutionX><ImageResolutionY>{size}</ImageResolutionY></Image></Images></E>"
)


def plan(folder, name, pattern=OWN):
    tifffile.imwrite(folder / name, np.ones((4, 4), np.uint16))
    return plan_scan(folder, Acquisition(file_pattern=pattern))


@pytest.mark.parametrize(
    "name",
    [
        "²_1_1_1.tif",
        "٣_1_1_1.tif",
        "ß_1_1_1.tif",
        "A_²_1_1.tif",
        "A_٣_1_1.tif",
        "A_1_①_1.tif",
        "A_1_٣_1.tif",
    ],
)
def test_places_in_names_are_in_digits_0_to_9(tmp_path, name):
    with pytest.raises(ScanError) as refused:
        plan(tmp_path, name)
    assert name in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "p_B02_s٣_w1.tif",
        "r٠3c04f05p02-ch3sk1fk1fl1.tiff",
        "Channel2-13-B-٠1.tif",
        "p_ſ02_s1_w1.tif",
    ],
)
def test_shipped_patterns_refuse_them_too(tmp_path, name):
    with pytest.raises(ScanError) as refused:
        plan(tmp_path, name, "auto")
    assert name in str(refused.value)


@given(
    st.lists(
        st.text(st.characters(categories=("L", "N")), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
        unique_by=str.casefold,
    )
)
@example(["²", "10", "9", "①", "٣", "dapi"])
def test_channels_of_any_name_are_put_in_order(tmp_path_factory, channels):
    folder = tmp_path_factory.mktemp("scan")
    for channel in channels:
        tifffile.imwrite(folder / f"A_1_1_{channel}.tif", np.ones((4, 4), np.uint16))
    try:
        found = plan_scan(folder, Acquisition(file_pattern=OWN)).channels
    except ScanError as error:  # 1 and 01 are one channel
        assert states("tiff_folder.one_plane_twice", str(error))
    else:
        numbers = [int(c) for c in found if c.isascii() and c.isdecimal()]
        assert [int(c) for c in found[: len(numbers)]] == sorted(numbers)
        assert sorted(found[len(numbers) :]) == list(found[len(numbers) :])


@pytest.mark.parametrize(
    "fault",
    [
        {"row": "²"},
        {"row": "٣"},
        {"row": "0"},
        {"plane": "①"},
        {"rows": "٨"},
        {"rows": "x"},
        {"size": "wide"},
    ],
)
def test_an_index_with_other_digits_is_refused_by_file(tmp_path, fault):
    (tmp_path / "Index.idx.xml").write_text(
        INDEX.format(**({"rows": 8, "row": 1, "plane": 1, "size": "1e-6"} | fault)),
        encoding="utf-8",
    )
    with pytest.raises(ScanError, match=says("harmony.index_named")):
        plan_scan(tmp_path, Acquisition())


@pytest.mark.parametrize("path", ["B/²", "B/٣", "ß/3", "/3", "B/"])
def test_a_well_path_with_other_digits_is_refused(tmp_path, path):
    root = tmp_path / "p.zarr"
    root.mkdir()
    plate = {"version": "0.5", "plate": {"wells": [{"path": path}], "rows": [], "columns": []}}
    (root / "zarr.json").write_text(
        json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": plate}})
    )
    with pytest.raises(ScanError, match=says("ome_zarr.well_path_unreadable")):
        plan_scan(root, Acquisition())
