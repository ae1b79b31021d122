from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from imaging_service.errors import StoreError
from imaging_service.files import staged
from imaging_service.store import plates
from imaging_service.store.labels import LabelWriter, read_labels
from plate_maps import Well, plate_format
from tests.messages import says

RNG = np.random.default_rng(0)
FIELD = RNG.poisson(300, (2, 1300, 700)).astype(np.uint16)
LABELS = {"nuclei": RNG.integers(0, 9, (1300, 700)).astype(np.int32)}
WELL = Well(2, 3)


@pytest.fixture
def plate(tmp_path):
    root = tmp_path / "plate.zarr"
    plates.begin_plate(root)
    with staged(root / plates.well_path(WELL)) as scratch:
        plates.write_well(
            scratch, [FIELD, np.zeros_like(FIELD)], ["w1", "w2"], ["dna", "neurite"], 0.325
        )
    plates.finish_plate(root, "Plate 1", plate_format(96))
    return root


def shard(root):
    return next(
        p for p in sorted((root / "B/3/0/0").rglob("*")) if p.is_file() and p.name != "zarr.json"
    )


def test_pixels_roles_and_size_come_back(plate):
    pixels, roles, size = plates.read_field(plate, WELL, 1)
    assert np.array_equal(pixels, FIELD)
    assert roles == ("dna", "neurite")
    assert size == 0.325
    assert plates.field_count(plate, WELL) == 2
    assert plates.field_count(plate, Well(1, 1)) == 0


@pytest.mark.parametrize("swap", [("B/3/0/0/c/0", "B/3/0/0/c/1"), ("B/3/0", "B/3/1")])
def test_pixels_that_took_each_others_place_are_refused(plate, swap):
    one, other = (plate / name for name in swap)
    one.rename(plate / "away")
    other.rename(one)
    (plate / "away").rename(other)
    with pytest.raises(StoreError, match=says("store.not_as_converted", well="B03", field=1)):
        plates.read_field(plate, WELL, 1)


def test_a_plate_of_an_earlier_version_is_read_without_digests(plate):
    group = zarr.open_group(plate / "B/3/0")
    group.attrs["motor_neuron"] = {"roles": ["dna", "neurite"]}
    assert np.array_equal(plates.read_field(plate, WELL, 1)[0], FIELD)


def test_arrays_are_sharded_checked_and_hold_their_empty_chunks(plate):
    array = zarr.open_array(plate / "B/3/1/0", mode="r")  # all zeros
    assert array.shards == (1, 1300, 700)
    assert array.chunks == (1, 650, 700)
    assert array.nchunks_initialized == array.nchunks == 4
    assert "Crc32c" in str(array.metadata.codecs)


def test_opens_in_ngio_and_validates_with_ome_zarr_models(plate):
    from ome_zarr_models.v05 import HCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ngio's own dependencies
        from ngio import open_ome_zarr_plate

        opened = open_ome_zarr_plate(plate)
        assert opened.wells_paths() == ["B/3"]
        image = opened.get_image("B", 3, "0").get_image()
    assert image.shape == FIELD.shape
    assert image.pixel_size.x == 0.325
    hcs = HCS.from_zarr(zarr.open_group(plate, mode="r"))
    assert hcs.ome_attributes.plate.name == "Plate 1"
    image_ome = zarr.open_group(plate / "B/3/0", mode="r").attrs["ome"]
    assert [c["label"] for c in image_ome["omero"]["channels"]] == ["dna (w1)", "neurite (w2)"]
    assert [a["name"] for a in image_ome["multiscales"][0]["axes"]] == ["c", "y", "x"]


def test_finishing_a_plate_opens_no_well(tmp_path, monkeypatch):
    """What a well costs must not wait for the last one, and not be paid twice."""
    root = tmp_path / "plate.zarr"
    plates.begin_plate(root)
    for column in range(1, 6):
        with staged(root / plates.well_path(Well(2, column))) as scratch:
            plates.write_well(scratch, [FIELD[:, :20, :20]], ["w1", "w2"], ["dna", None], 0.325)
    opened = []
    open_group = zarr.open_group

    def counted(path, **more):
        opened.append(Path(path).relative_to(root).as_posix())
        return open_group(path, **more)

    monkeypatch.setattr(zarr, "open_group", counted)
    plates.finish_plate(root, "Plate 1", plate_format(96))
    assert opened == [".", "B"]
    ome = open_group(root, mode="r").attrs["ome"]
    assert [w["path"] for w in ome["plate"]["wells"]] == [f"B/{c}" for c in range(1, 6)]
    assert ome["plate"]["field_count"] == 1


def test_a_plate_against_the_schema_is_not_written(tmp_path, monkeypatch):
    """What other programs refuse to read must not be taken for a plate."""
    import pydantic

    root = tmp_path / "plate.zarr"
    plates.begin_plate(root)
    monkeypatch.setattr(plates, "VERSION", "0.9")
    with pytest.raises(pydantic.ValidationError):
        plates.write_well(root / "B" / "3", [FIELD[:, :20, :20]], ["w1"] * 2, [None] * 2, 0.325)
    monkeypatch.undo()
    with staged(root / plates.well_path(WELL)) as scratch:
        plates.write_well(scratch, [FIELD[:, :20, :20]], ["w1"] * 2, [None] * 2, 0.325)
    monkeypatch.setattr(plates, "VERSION", "0.9")
    with pytest.raises(pydantic.ValidationError):
        plates.finish_plate(root, "Plate 1", plate_format(96))


def test_levels_halve_until_small_and_keep_brightness(plate):
    group = zarr.open_group(plate / "B/3/0", mode="r")
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    shapes = [group[d["path"]].shape[-2:] for d in datasets]
    assert shapes == [(1300, 700), (650, 350), (325, 175), (163, 88)]
    assert [d["coordinateTransformations"][0]["scale"][-1] for d in datasets] == [
        0.325,
        0.65,
        1.3,
        2.6,
    ]
    assert group["3"][...].mean() == pytest.approx(FIELD.mean(), rel=0.01)


def test_time_points_are_read_one_by_one_and_a_label_that_was_not_segmented_reads_as_none(tmp_path):
    from ome_zarr_models.v05 import Image

    film = np.stack([FIELD, FIELD + 1, FIELD + 2])
    with staged(tmp_path / "plate.zarr" / plates.well_path(WELL)) as scratch:
        plates.write_well(
            scratch, iter([film]), ["w1", "w2"], ["dna", "neurite"], 0.325, (0.0, 6.0, 12.0)
        )
    plate = tmp_path / "plate.zarr"
    image = zarr.open_group(plate / "B/3/0", mode="r")
    Image.from_zarr(image)
    scales = image.attrs["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"][0][
        "scale"
    ]
    assert scales == [6.0, 1.0, 0.65, 0.65]
    assert image.attrs["ome"]["multiscales"][0]["axes"][0]["unit"] == "hour"
    assert image.attrs["motor_neuron"]["hours"] == [0.0, 6.0, 12.0]
    assert plates.frame_count(plate, WELL, 1) == 3
    for frame in (1, 2, 3):
        assert np.array_equal(plates.read_field(plate, WELL, 1, frame)[0], film[frame - 1])
    with pytest.raises(StoreError, match=says("stores.time_point_not_there")):
        plates.read_field(plate, WELL, 1, 4)
    with staged(tmp_path / "labels.zarr" / plates.well_path(WELL)) as scratch:
        writer = LabelWriter(scratch, 0.325, version=1, frames=3, hours=(0.0, 6.0, 12.0))
        for frame in (1, 2, 3):
            writer.write(1, {k: v for k, v in LABELS.items() if k == "nuclei" or frame != 2}, frame)
        writer.finish()
    for frame in (1, 2, 3):
        read = read_labels(tmp_path / "labels.zarr", WELL, 1, frame)
        for name, expected in LABELS.items():
            assert np.array_equal(
                read[name], expected if name == "nuclei" or frame != 2 else np.zeros_like(expected)
            )


def test_an_axis_of_uneven_times_has_no_unit_and_its_hours_are_listed(tmp_path):
    from ome_zarr_models.v05 import Image

    film, hours = np.stack([FIELD] * 4), (0.0, 10.0, 30.0, 96.0)
    folder = tmp_path / "plate.zarr" / plates.well_path(WELL)
    with staged(folder) as scratch:
        plates.write_well(scratch, iter([film]), ["w1", "w2"], ["dna", "neurite"], 0.325, hours)
    image = zarr.open_group(folder / "0", mode="r")
    Image.from_zarr(image)
    of_time = image.attrs["ome"]["multiscales"][0]
    assert of_time["axes"][0] == {"name": "t", "type": "time"}
    assert of_time["datasets"][0]["coordinateTransformations"][0]["scale"][0] == 1.0
    assert image.attrs["motor_neuron"]["hours"] == list(hours)


def test_a_lost_shard_is_said_and_not_read_as_zeros(plate):
    shard(plate).unlink()
    with pytest.raises(StoreError, match=says("stores.chunks_missing")):
        plates.read_field(plate, WELL, 1)


def test_a_flipped_bit_is_said(plate):
    path = shard(plate)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=says("stores.chunk_damaged")):
        plates.read_field(plate, WELL, 1)


def test_an_absent_well_is_said(plate):
    with pytest.raises(StoreError, match=says("stores.well_without_fields")):
        plates.read_field(plate, Well(8, 12), 1)


def test_the_light_of_a_run_is_kept_with_the_plate_and_pixels_stay_as_they_are(plate):
    before = {p: p.read_bytes() for p in (plate / "B").rglob("*") if p.is_file()}
    light = np.linspace(0.5, 1.5, 2 * 64 * 64, dtype=np.float32).reshape(2, 64, 64)
    for run, scale in (("a" * 64, 1.0), ("b" * 64, 2.0), ("a" * 64, 3.0)):  # the last one again
        plates.write_light(
            plate, run, ("DAPI", "Cy5"), ("instrument", "none"), light * scale, (scale, None)
        )
    channels, sources, profiles, dark = plates.read_light(plate, "a" * 64)
    assert (channels, sources, dark) == (("DAPI", "Cy5"), ("instrument", "none"), (3.0, None))
    assert (profiles == light * 3).all()
    assert (plates.read_light(plate, "b" * 64)[2] == light * 2).all()
    after = {p: p.read_bytes() for p in before}
    assert after == before
    with pytest.raises(StoreError, match=says("plates.no_light")):
        plates.read_light(plate, "c" * 64)
    kept = zarr.open_group(plate / "illumination" / ("b" * 12), mode="a")
    kept.attrs["motor_neuron"] = {"channels": ["DAPI"], "sources": ["none"]}
    assert plates.read_light(plate, "b" * 64)[3] == (None,)
