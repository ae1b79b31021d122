from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import zarr

from imaging_service.release.contents.corrected import write_corrected
from imaging_service.release.contents.pixels import copy_pixels
from imaging_service.review.crops import Crop
from imaging_service.review.log import ReviewLog
from imaging_service.store.labels import read_labels
from plate_maps import Well
from tests.imaging_service.release.drawn_release import PLATES, write_pixels


@pytest.fixture
def run(tmp_path):
    write_pixels(tmp_path / "run", ["A01", "A02"], PLATES[0])
    for well in ("A01", "A02"):
        crop = Crop("nuclei", 2, 3, np.full((4, 5), 77, np.int32), 1)
        ReviewLog(tmp_path / "run").commit(well, 2, 1, [crop], "mkeller", "a missed nucleus")
    return tmp_path / "run"


def test_a_bundle_shows_the_labels_that_its_tables_follow(run, tmp_path, monkeypatch):
    # As on a disk without links, where what a field shows is a file of its own.
    monkeypatch.setattr("imaging_service.store.labels.link", shutil.copyfile)
    copy_pixels(run, tmp_path / "out", {"A01"}, "P-1", {"rows": 16, "columns": 24})
    assert write_corrected(run, tmp_path / "out" / "labels.zarr", {"A01"}) == 1
    first, second = (
        read_labels(tmp_path / "out" / "labels.zarr", Well.parse("A01"), f)["nuclei"]
        for f in (1, 2)
    )
    np.testing.assert_array_equal(first, np.eye(24, 16))
    assert (second == 77).sum() == 20
    assert second[20, 15] == 0
    seen = zarr.open_array(tmp_path / "out" / "labels.zarr" / "A" / "1" / "1" / "0", mode="r")
    np.testing.assert_array_equal(seen[...], second)
    well = json.loads((tmp_path / "out" / "labels.zarr" / "A" / "1" / "zarr.json").read_text())
    assert well["attributes"]["motor_neuron"] == {"label_version": 2}
    assert "mkeller" not in "".join(p.read_text() for p in (tmp_path / "out").rglob("zarr.json"))


def test_a_field_of_which_every_object_was_erased_is_readable(tmp_path):
    """zarr leaves out chunks that are all zeros, and a missing chunk is refused."""
    write_pixels(tmp_path / "run", ["A01"], PLATES[0])
    nothing = Crop("nuclei", 0, 0, np.zeros((24, 16), np.int32), 1)
    ReviewLog(tmp_path / "run").commit("A01", 1, 1, [nothing], "mkeller", "debris")
    copy_pixels(tmp_path / "run", tmp_path / "out", {"A01"}, "P-1", {"rows": 16, "columns": 24})
    assert write_corrected(tmp_path / "run", tmp_path / "out" / "labels.zarr", {"A01"}) == 1
    labels = read_labels(tmp_path / "out" / "labels.zarr", Well.parse("A01"), 1)["nuclei"]
    assert not labels.any()


def test_a_run_without_a_review_keeps_its_labels(tmp_path):
    write_pixels(tmp_path / "run", ["A01"], PLATES[0])
    copy_pixels(tmp_path / "run", tmp_path / "out", {"A01"}, "P-1", {"rows": 16, "columns": 24})
    assert write_corrected(tmp_path / "run", tmp_path / "out" / "labels.zarr", {"A01"}) == 0
