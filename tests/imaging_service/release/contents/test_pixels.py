from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import zarr

from imaging_service.errors import ReleaseRefused
from imaging_service.release.contents.pixels import copy_pixels
from imaging_service.store.labels import read_labels
from imaging_service.store.plates import field_count, read_field
from plate_maps import Well
from tests.imaging_service.release.drawn_release import PLATES, write_pixels
from tests.messages import says

FORMAT = {"rows": 16, "columns": 24}


@pytest.fixture
def run(tmp_path):
    write_pixels(tmp_path / "run", ["A01", "A02"], PLATES[0])
    return tmp_path / "run"


def test_pixels_and_labels_are_those_of_the_run_and_only_of_released_wells(run, tmp_path):
    facts = copy_pixels(run, tmp_path / "out", {"A01", "B05"}, "P-1", FORMAT)
    assert facts["channels"] == ["dna (DAPI)", "neurite (A488)"]
    assert (facts["wells"], facts["fields"], facts["labels"], facts["shape"]) == (
        1,
        2,
        ["nuclei"],
        [2, 24, 16],
    )
    well = Well.parse("A01")
    for field in (1, 2):
        ours, roles, size = read_field(tmp_path / "out" / "plate.zarr", well, field)
        theirs, *_ = read_field(run / "plate.zarr", well, field)
        np.testing.assert_array_equal(ours, theirs)
        assert (roles, size) == (("dna", "neurite"), 0.65)
        labels = read_labels(tmp_path / "out" / "labels.zarr", well, field)
        np.testing.assert_array_equal(labels["nuclei"], np.eye(24, 16))
        np.testing.assert_array_equal(shown(tmp_path / "out", field), np.eye(24, 16))
    assert field_count(tmp_path / "out" / "plate.zarr", Well.parse("A02")) == 0


def shown(folder, field):
    """What a field of `labels.zarr` is as an image."""
    group = zarr.open_group(folder / "labels.zarr" / "A" / "1" / str(field - 1), mode="r")
    (scales,) = group.attrs["ome"]["multiscales"]
    return group[scales["datasets"][0]["path"]][...]


def test_labels_of_an_earlier_version_are_shown_as_those_of_now(run, tmp_path):
    """They named their levels by paths into the labels, which not every program follows."""
    for field in (run / "labels.zarr" / "A" / "1").glob("[0-9]"):
        shutil.rmtree(field / "0")
        path = field / "zarr.json"
        path.write_text(path.read_text().replace('"path": "0"', '"path": "labels/nuclei/0"'))
    assert (shown(run, 2) == np.eye(24, 16)).all()
    copy_pixels(run, tmp_path / "out", {"A01"}, "P-1", FORMAT)
    assert (shown(tmp_path / "out", 2) == np.eye(24, 16)).all()
    assert (tmp_path / "out" / "labels.zarr" / "A" / "1" / "1" / "0").is_dir()


def test_without_an_image_of_a_released_well_there_is_no_store(run, tmp_path):
    assert copy_pixels(run, tmp_path / "out", {"B05"}, "P-1", FORMAT) == {}
    assert not (tmp_path / "out").exists()


def test_attributes_are_written_anew(run, tmp_path):
    copy_pixels(run, tmp_path / "out", {"A01"}, "P-1", FORMAT)
    text = "".join(p.read_text() for p in (tmp_path / "out").rglob("zarr.json"))
    assert PLATES[0] in "".join(p.read_text() for p in run.rglob("zarr.json"))
    assert PLATES[0] not in text
    assert "/mnt" not in text
    assert (
        json.loads((tmp_path / "out" / "plate.zarr" / "zarr.json").read_text())["attributes"][
            "ome"
        ]["plate"]["name"]
        == "P-1"
    )


def test_an_array_with_attributes_of_another_program_is_refused(run, tmp_path):
    path = run / "plate.zarr" / "A" / "1" / "0" / "0" / "zarr.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"attributes": {"user": "mkeller"}}))
    with pytest.raises(ReleaseRefused, match=says("release.array_attributes")):
        copy_pixels(run, tmp_path / "out", {"A01"}, "P-1", FORMAT)


def test_a_file_among_the_chunks_is_refused(run, tmp_path):
    (run / "plate.zarr" / "A" / "1" / "0" / "0" / "notes").write_text("x")
    with pytest.raises(ReleaseRefused, match=says("release.not_a_chunk")):
        copy_pixels(run, tmp_path / "out", {"A01"}, "P-1", FORMAT)
