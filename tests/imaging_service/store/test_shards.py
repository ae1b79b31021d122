"""Arrays as this service writes them."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from imaging_service.store import shards
from tests.messages import says

RNG = np.random.default_rng(0)


def camera(shape, kind):
    return RNG.poisson(100, shape).astype(kind)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize(
    ("shape", "chunks", "shard"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((2, 1024, 1024), (1, 1024, 1024), (1, 1024, 1024)),
        ((3, 1025, 30), (1, 513, 30), (1, 1026, 30)),
        ((2, 2, 700, 2161), (1, 1, 700, 721), (1, 1, 700, 2163)),
    ],
)
def test_chunks_of_a_plane_are_of_one_size_and_its_shard_holds_them_all(
    tmp_path, kind, shape, chunks, shard
):
    pixels, axes = camera(shape, kind), "tcyx"[-len(shape) :]
    shards.create_array(tmp_path / "a", shape, kind, axes)[...] = pixels
    read = zarr.open_array(tmp_path / "a", mode="r")
    assert (read.chunks, read.shards) == (chunks, shard)
    assert np.array_equal(read[...], pixels)
    files = [p for p in (tmp_path / "a" / "c").rglob("*") if p.is_file()]
    assert len(files) == np.prod(shape[:-2])


@pytest.mark.parametrize(
    ("kind", "packed"),
    [("uint16", "blosc"), ("float32", "blosc"), ("uint8", "zstd"), ("int32", "zstd")],
)
def test_bytes_of_noise_are_packed_apart_from_bytes_of_light(tmp_path, kind, packed):
    shards.create_array(tmp_path / "a", (1, 300, 300), kind, "cyx")
    metadata = zarr.open_array(tmp_path / "a", mode="r").metadata
    inner = metadata.to_dict()["codecs"][0]["configuration"]["codecs"]
    assert [c["name"] for c in inner] == ["bytes", packed, "crc32c"]
    assert metadata.dimension_names == ("c", "y", "x")


@pytest.mark.parametrize("kind", ["uint16", "int32"])
def test_every_byte_of_a_shard_is_checked(tmp_path, kind):
    shards.create_array(tmp_path / "a", (40, 30), kind, "yx")[...] = camera((40, 30), kind)
    array = zarr.open_array(tmp_path / "a", mode="r")
    shard = tmp_path / "a" / "c" / "0" / "0"
    whole = shard.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 16
        shard.write_bytes(content)
        with pytest.raises(ValueError, match=says("stores.chunk_damaged")):
            array[...]
    shard.write_bytes(whole)
    assert array[...].shape == (40, 30)


def test_zeros_are_written_so_that_a_lost_plane_shows(tmp_path):
    array = shards.create_array(tmp_path / "a", (2, 40, 30), "uint16", "cyx")
    array[1] = np.zeros((40, 30), np.uint16)
    assert (array.nchunks_initialized, array.nchunks) == (1, 2)
    array[0] = np.zeros((40, 30), np.uint16)
    read = zarr.open_array(tmp_path / "a", mode="r")
    for audited in (array, read):
        assert audited.nchunks_initialized == audited.nchunks == 2
    again = shards.open_array(tmp_path / "a")
    again[1] = np.full((40, 30), 7, np.uint16)
    assert [int(plane.max()) for plane in read[...]] == [0, 7]
    again[1] = np.zeros((40, 30), np.uint16)
    assert read.nchunks_initialized == 2


def test_an_array_is_made_again_only_where_it_is_to_be_replaced(tmp_path):
    shards.create_array(tmp_path / "a", (40, 30), "uint16", "yx")[...] = camera((40, 30), "uint16")
    with pytest.raises(zarr.errors.ContainsArrayError):
        shards.create_array(tmp_path / "a", (20, 30), "uint16", "yx")
    replaced = shards.create_array(tmp_path / "a", (20, 30), "uint16", "yx", replace=True)
    assert (replaced.shape, replaced.nchunks_initialized) == ((20, 30), 0)
