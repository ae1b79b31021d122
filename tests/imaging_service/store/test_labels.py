from __future__ import annotations

import numpy as np
import pytest
import zarr

from imaging_service.errors import StoreError
from imaging_service.files import staged
from imaging_service.review.log import GRAPH
from imaging_service.store import plates
from imaging_service.store.labels import LabelWriter, read_labels, show
from plate_maps import Well, plate_format
from tests.messages import says

RNG = np.random.default_rng(0)
LABELS = {"nuclei": RNG.integers(0, 9, (1300, 700)).astype(np.int32)}
WELL = Well(2, 3)


def test_labels_come_back_and_are_valid_label_images(tmp_path):
    from ome_zarr_models.v05 import ImageLabel

    root = tmp_path / "labels.zarr"
    with staged(root / plates.well_path(WELL)) as scratch:
        writer = LabelWriter(scratch, 0.325, version=1)
        writer.write(1, LABELS)
        writer.finish()
    assert np.array_equal(read_labels(root, WELL, 1)["nuclei"], LABELS["nuclei"])
    ImageLabel.from_zarr(zarr.open_group(root / "B/3/0/labels/nuclei", mode="r"))
    coarse = zarr.open_group(root / "B/3/0/labels/nuclei", mode="r")["1"][...]
    assert set(np.unique(coarse)) <= set(np.unique(LABELS["nuclei"]))


def test_numbers_over_16_bits_stay_what_they_are(tmp_path):
    labels = np.zeros((40, 40), np.int32)
    labels[3, 4], labels[7, 8] = 70_000, 1_000_000
    writer = LabelWriter(tmp_path / "B" / "3", 0.5, version=1)
    writer.write(1, {"nuclei": labels})
    writer.finish()
    assert np.array_equal(read_labels(tmp_path, WELL, 1)["nuclei"], labels)


def written(folder, frames=1):
    hours = [6.0 * frame for frame in range(frames)]
    writer = LabelWriter(folder / "B" / "3", 0.5, version=1, frames=frames, hours=hours)
    for frame in range(1, frames + 1):
        writer.write(1, {"nuclei": np.full((300, 300), frame, np.int32)}, frame)
    writer.finish()
    return folder


def test_levels_halve_and_say_so(tmp_path):
    group = zarr.open_group(written(tmp_path, 2) / "B/3/0/labels/nuclei", mode="r")
    scales = [
        d["coordinateTransformations"][0]["scale"]
        for d in group.attrs["ome"]["multiscales"][0]["datasets"]
    ]
    assert scales == [[6.0, 0.5, 0.5], [6.0, 1.0, 1.0]]
    assert group["1"].shape == (2, 150, 150)
    assert [read_labels(tmp_path, WELL, 1, frame)["nuclei"].max() for frame in (1, 2)] == [1, 2]


@pytest.mark.parametrize("frames", [1, 2])
def test_a_field_shows_its_first_compartment_as_its_own_levels(tmp_path, monkeypatch, frames):
    """As other programs look for pixels: arrays 0, 1 … in the field's folder."""
    root = written(tmp_path, frames)
    field, labels = root / "B/3/0", root / "B/3/0/labels/nuclei"
    files = [p.relative_to(labels) for p in labels.glob("[01]/**/*") if p.is_file()]
    assert len(files) == 2 * (1 + frames)

    def is_shown():
        (shown,) = zarr.open_group(field, mode="r").attrs["ome"]["multiscales"]
        (scales,) = zarr.open_group(labels, mode="r").attrs["ome"]["multiscales"]
        assert [d["path"] for d in shown["datasets"]] == ["0", "1"]
        assert all((field / p).read_bytes() == (labels / p).read_bytes() for p in files)
        return shown == scales | {"name": "nuclei of field 1"}

    assert is_shown()
    assert all((field / p).samefile(labels / p) for p in files)

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    show(field)
    assert is_shown()
    assert not any((field / p).samefile(labels / p) for p in files)


def test_a_field_of_lines_alone_shows_them(tmp_path):
    writer = LabelWriter(tmp_path / "B" / "3", 0.5, version=1)
    writer.write(1, {GRAPH: np.eye(300, dtype=np.int32)})
    writer.finish()
    assert (zarr.open_array(tmp_path / "B/3/0/0", mode="r")[...] == np.eye(300)).all()


def test_a_lost_chunk_and_a_flipped_bit_are_said(tmp_path):
    chunk = next(
        p
        for p in sorted((written(tmp_path) / "B/3/0/labels/nuclei/0").rglob("*"))
        if p.is_file() and p.name != "zarr.json"
    )
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(StoreError):
        read_labels(tmp_path, WELL, 1)
    chunk.unlink()
    with pytest.raises(StoreError, match=says("stores.chunks_missing")):
        read_labels(tmp_path, WELL, 1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("frames", [1, 3])
def test_the_labels_of_a_run_open_in_ngio_and_are_listed(tmp_path, frames):
    from ngio import open_ome_zarr_plate

    labels = np.arange(333 * 301, dtype=np.int32).reshape(333, 301)
    lines = np.zeros_like(labels)
    lines[101, 7:200] = 5
    for n, well in enumerate(("B/3", "C/4")):
        writer = LabelWriter(tmp_path / "labels.zarr" / well, 0.5, 1, frames)
        for field in (1, 2):
            for frame in range(1, frames + 1):
                masks = {"nuclei": labels + 10 * n + field, "somas": labels, GRAPH: lines}
                writer.write(field, masks, frame)
        writer.finish()
    plates.finish_plate(tmp_path / "labels.zarr", "p", plate_format(96))
    images = open_ome_zarr_plate(tmp_path / "labels.zarr").get_images()
    assert list(images) == ["B/3/0", "B/3/1", "C/4/0", "C/4/1"]
    for n, image in enumerate(images.values()):
        assert image.list_labels() == ["nuclei", "somas", GRAPH]
        # A line one pixel wide is whole in every level.
        coarse = image.get_label(GRAPH, path="1").get_as_numpy()
        assert (coarse[..., 50, 4:99] == 5).all()
        stored = image.get_label("nuclei").get_as_numpy()
        assert (stored == labels + 10 * (n // 2) + n % 2 + 1).all()
        assert image.get_image().pixel_size.x == 0.5
