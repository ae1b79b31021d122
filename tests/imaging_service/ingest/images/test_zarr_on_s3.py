"""A zarr hierarchy on a real S3 server is the one on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from imaging_service.errors import ImageError, ScanError, Unavailable, damaged
from imaging_service.incoming.s3 import place
from imaging_service.ingest.images.zarr_on_s3 import listed_store, zarr_store
from tests.messages import says
from tests.s3 import Bucket

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


def write(folder, version):
    group = zarr.open_group(folder, mode="w", zarr_format=version)
    group.attrs["name"] = "g"
    made = group.create_group("B").create_array("x", shape=(6, 8), chunks=(3, 4), dtype="u2")
    made[...] = PLANE


@pytest.fixture(params=[2, 3])
def on_s3(bucket, request, tmp_path):
    """A group with an array, of both versions of zarr."""
    write(tmp_path / "g", request.param)
    return place(bucket.copy(tmp_path / "g", "g"))


def test_groups_and_arrays_are_read_as_from_a_disk(on_s3):
    group = zarr.open_group(zarr_store(on_s3), mode="r")
    assert group.attrs.asdict() == {"name": "g"}
    assert sorted(group["B"].array_keys()) == ["x"]
    array = zarr.open_array(zarr_store(on_s3 / "B" / "x"), mode="r")
    assert (array.nchunks_initialized, array.nchunks) == (4, 4)
    assert np.array_equal(array[1:5, 2:7], PLANE[1:5, 2:7])
    assert zarr_store(Path("g")) == Path("g")


def test_shards_are_read_in_parts(bucket, tmp_path):
    made = zarr.create_array(tmp_path / "x", shape=(6, 8), chunks=(3, 4), shards=(6, 8), dtype="u2")
    made[...] = PLANE
    folder = place(bucket.copy(tmp_path / "x", "x"))
    for store in (zarr_store, listed_store):
        array = zarr.open_array(store(folder), mode="r")
        assert np.array_equal(array[0:3, 4:8], PLANE[0:3, 4:8])


def test_what_is_listed_reads_as_what_is_asked_for(on_s3):
    asked, listed = (zarr.open_group(s(on_s3), mode="r") for s in (zarr_store, listed_store))
    assert listed.attrs.asdict() == {"name": "g"}
    assert list(listed.group_keys()) == list(asked.group_keys()) == ["B"]
    assert sorted(listed["B"].array_keys()) == ["x"]
    array = zarr.open_array(listed_store(on_s3 / "B" / "x"), mode="r")
    assert (array.nchunks_initialized, array.nchunks) == (4, 4)
    assert np.array_equal(array[1:5, 2:7], PLANE[1:5, 2:7])
    assert listed_store(Path("g")) == Path("g")


def test_a_chunk_that_is_not_listed_is_not_asked_for(on_s3, bucket, faulty_s3):
    (chunk, *_) = (name for name in bucket.names("g/B/x") if name[-1].isdigit())
    bucket.delete(chunk)
    array = zarr.open_array(listed_store(on_s3 / "B" / "x"), mode="r")
    faulty_s3.set("broken", "GET")
    assert array.nchunks_initialized == 3
    faulty_s3.well()
    assert not array[0:3, 0:4].any()
    assert faulty_s3.requests == 0


@pytest.mark.parametrize("shards", [None, (6, 8)])
@pytest.mark.parametrize(
    "fault", ["not there", "shortened", "other etag", "cut", "slow down", "flipped"]
)
def test_a_chunk_that_does_not_come_as_it_is_listed_is_waited_for(
    bucket, faulty_s3, tmp_path, fault, shards
):
    """Zarr would take it for zeros or for damaged data, or read what a cache has of before."""
    made = zarr.create_array(
        tmp_path / "x", shape=(6, 8), chunks=(3, 4), shards=shards, dtype="u2", compressors=None
    )
    made[...] = PLANE
    folder = place(bucket.copy(tmp_path / "x", "x"))
    array = zarr.open_array(listed_store(folder), mode="r")
    # A second answer shows a flipped bit in a part of an object, which has no ETag of its own.
    faulty_s3.set(fault, "GET .*/c/", times=1 if fault == "flipped" and shards else 10**9)
    with pytest.raises(Unavailable), damaged(ImageError, "x"):
        array[0:3, 4:8]
    assert faulty_s3.faults > 0
    faulty_s3.well()
    assert np.array_equal(array[...], PLANE)


def test_what_no_md5_confirms_is_asked_for_twice(bucket, faulty_s3, tmp_path):
    """Of an object that was sent in pieces the ETag is another sum."""
    made = zarr.create_array(tmp_path / "x", shape=(6, 8), dtype="u2", compressors=None)
    made[...] = PLANE
    folder = place(bucket.copy(tmp_path / "x", "x"))
    chunk = folder / "c/0/0"
    bucket.write_in_pieces("x/c/0/0", (tmp_path / "x/c/0/0").read_bytes())
    (state,) = (s for s in folder.states() if s.name == "c/0/0")
    assert state.etag.endswith("-1")
    array = zarr.open_array(listed_store(folder), mode="r")
    faulty_s3.set("", "$^")
    assert np.array_equal(array[...], PLANE)
    assert faulty_s3.requests == 2
    for read in (lambda: array[...], lambda: chunk.sha256(state), chunk.read_bytes):
        faulty_s3.set("flipped", "GET .*/c/", times=1)
        with pytest.raises(Unavailable, match=says("s3.contradicts", where=chunk)):
            read()
        assert faulty_s3.requests == 2


@pytest.mark.parametrize("store", [zarr_store, listed_store])
def test_metadata_in_which_a_bit_flipped_are_not_read(on_s3, faulty_s3, store):
    faulty_s3.set("flipped", "GET .*/g/(zarr.json|.zattrs) ")
    with pytest.raises(Unavailable):
        zarr.open_group(store(on_s3), mode="r")
    assert faulty_s3.faults > 0


def test_nothing_is_written(on_s3):
    group = zarr.open_group(zarr_store(on_s3), mode="r")
    assert group.store.read_only is True
    with pytest.raises(ValueError, match=says("s3.zarr_writes_nothing")):
        group.attrs["name"] = "other"


def test_a_chunk_that_is_not_there_is_counted(on_s3, bucket):
    chunks = [name for name in bucket.names("g/B/x") if name[-1].isdigit()]
    assert len(chunks) == 4
    bucket.delete(chunks[0])
    assert zarr.open_array(zarr_store(on_s3 / "B" / "x"), mode="r").nchunks_initialized == 3


def test_a_bucket_that_is_gone_is_no_damaged_file(bucket, tmp_path):
    write(tmp_path / "g", 3)
    other = Bucket("g", name=f"bucket-{bucket.folder}")
    folder = place(other.copy(tmp_path / "g"))
    group = zarr.open_group(zarr_store(folder), mode="r")
    array = group["B/x"]
    other.remove()
    for look in (lambda: array.nchunks_initialized, lambda: list(group.group_keys())):
        with (
            pytest.raises(Unavailable, match=says("s3.no_bucket", where=folder)),
            damaged(ImageError, "x"),
        ):
            look()


def test_a_server_that_is_away_is_no_damaged_file(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    folder = place("s3://asked-while-away-by-zarr/g")
    with (
        pytest.raises(Unavailable, match=says("s3.no_answer", where=folder)),
        damaged(ScanError, "x"),
    ):
        zarr.open_group(zarr_store(folder), mode="r")
