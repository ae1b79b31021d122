"""Blobs, manifests and commits: what is announced, what arrives, and what becomes a scan."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time

import pytest

from imaging_service.errors import (
    NoSpace,
    NotFound,
    UploadIncomplete,
    UploadRefused,
)
from imaging_service.files import locked
from imaging_service.incoming.manifest import ManifestFile
from imaging_service.store import uploads as module
from imaging_service.store.uploads import ABANDONED_DAYS, UploadStore
from tests.messages import says

ONE, TWO = b"first image", b"the second image"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def entry(path, content):
    return ManifestFile(path=path, size=len(content), sha256=sha256(content))


FILES = [entry("a/1.tif", ONE), entry("a/2.tif", TWO), entry("b/3.tif", ONE)]


@pytest.fixture
def store(tmp_path):
    return UploadStore(tmp_path / "data", keep_free=0)


def send(store, content, digest=None, offset=0, cut=None):
    async def stream():
        for i in range(offset, len(content) if cut is None else cut, 4):
            yield content[i : min(i + 4, len(content) if cut is None else cut)]

    asyncio.run(store.receive(digest or sha256(content), stream(), offset))


def test_what_is_complete_becomes_a_scan(store):
    upload = store.begin("plate", FILES)
    assert store.missing(upload) == [sha256(ONE), sha256(TWO)]
    send(store, ONE)
    assert store.missing(upload) == [sha256(TWO)]
    with pytest.raises(UploadIncomplete, match=says("upload.incomplete", count=1, of=3)):
        store.commit(upload)
    assert not (store.scans / "plate").exists()
    send(store, TWO)
    scan = store.commit(upload)
    assert {p.relative_to(scan).as_posix(): p.read_bytes() for p in scan.rglob("*.tif")} == {
        "a/1.tif": ONE,
        "a/2.tif": TWO,
        "b/3.tif": ONE,
    }
    assert store.commit(upload) == scan
    # The scan holds the only copy, so that a scan that is deleted frees its space.
    assert [p for p in (store.root / "blobs").rglob("*") if p.is_file()] == []


def test_a_scan_that_is_there_is_not_sent_again(store):
    upload = store.begin("plate", FILES)
    send(store, ONE)
    send(store, TWO)
    scan = store.commit(upload)
    assert store.begin("plate", FILES) == upload
    assert store.missing(upload) == []
    shutil.rmtree(scan)
    assert store.missing(upload) == [sha256(ONE), sha256(TWO)]


def test_a_kill_between_the_scan_and_its_mark_changes_nothing(store):
    upload = store.begin("plate", FILES)
    send(store, ONE)
    send(store, TWO)
    scan = store.commit(upload)
    store._done(upload).unlink()
    assert store.commit(upload) == scan


def test_another_scan_of_the_name_is_kept(store):
    first = store.begin("plate", FILES[:1])
    send(store, ONE)
    scan = store.commit(first)
    same_size = ONE[::-1]  # as uncompressed images have
    other = store.begin("plate", [entry("a/1.tif", same_size)])
    send(store, same_size)
    with pytest.raises(UploadRefused, match=says("upload.another_scan", scan="plate")):
        store.commit(other)
    assert (scan / "a/1.tif").read_bytes() == ONE


@pytest.mark.parametrize("cut", [0, 1, 5, len(TWO) - 1, len(TWO)])
def test_what_arrived_before_a_cut_is_gone_on_from(store, cut):
    store.begin("plate", FILES)
    part = TWO[:cut]
    if cut < len(TWO):
        with pytest.raises(
            UploadIncomplete, match=says("upload.part_of_a_blob", there=cut, of=len(TWO))
        ):
            send(store, TWO, cut=cut)
    else:
        # All bytes had arrived when the service was killed, before they were hashed.
        path = store._part(sha256(TWO))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part)
    assert store.arrived(sha256(TWO)) == cut
    send(store, TWO, offset=cut)
    assert store.blob(sha256(TWO)).read_bytes() == TWO
    assert store.arrived(sha256(TWO)) == len(TWO)
    send(store, TWO)  # again: nothing is read
    assert not store._part(sha256(TWO)).exists()


def test_a_gap_is_refused_and_what_is_there_stays(store):
    store.begin("plate", FILES)
    with pytest.raises(UploadIncomplete):
        send(store, TWO, cut=5)
    with pytest.raises(UploadRefused, match=says("upload.gap", there=5)):
        send(store, TWO, offset=6)
    assert store.arrived(sha256(TWO)) == 5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (TWO[:-1] + b"X", says("upload.changed")),
        (TWO + b"more", says("upload.more_bytes", size=len(TWO))),
    ],
)
def test_another_content_never_becomes_the_blob(store, content, sentence):
    store.begin("plate", FILES)
    with pytest.raises(UploadRefused, match=sentence):
        send(store, content, digest=sha256(TWO))
    assert not store.blob(sha256(TWO)).exists()
    assert store.arrived(sha256(TWO)) == 0
    send(store, TWO)
    assert store.blob(sha256(TWO)).read_bytes() == TWO


def test_a_torn_part_is_sent_anew(store):
    store.begin("plate", FILES)
    with pytest.raises(UploadIncomplete):
        send(store, TWO, cut=8)
    part = store._part(sha256(TWO))
    part.write_bytes(b"\0" * 8)  # as a loss of power leaves it
    with pytest.raises(UploadRefused, match=says("upload.changed")):
        send(store, TWO, offset=8)
    send(store, TWO)
    assert store.blob(sha256(TWO)).read_bytes() == TWO


def test_two_senders_do_not_mix(store):
    store.begin("plate", FILES)
    part = store._part(sha256(TWO))
    part.parent.mkdir(parents=True)
    with (
        locked(part.with_suffix(".lock"), "held"),
        pytest.raises(UploadIncomplete, match=says("upload.busy")),
    ):
        send(store, TWO)
    send(store, TWO)


def test_nothing_is_taken_that_no_upload_names(store):
    with pytest.raises(NotFound, match=says("upload.no_blob")):
        send(store, ONE)
    with pytest.raises(NotFound, match=says("upload.no_blob")):
        store.arrived(sha256(ONE))
    for hostile in ("../../etc/passwd", "a" * 63, "A" * 64, ""):
        with pytest.raises(NotFound, match=says("upload.not_a_digest")):
            store.arrived(hostile)
        with pytest.raises(NotFound, match=says("upload.not_a_digest")):
            store.commit(hostile)


def test_another_process_s_manifest_is_known(store):
    store.begin("plate", FILES)
    send(store, ONE)
    module._SIZES.clear()
    module._READ.clear()
    UploadStore(store.root.parent, 0).begin("other", [entry("x", b"later")])
    send(store, TWO)
    send(store, b"later")


@pytest.mark.parametrize(
    ("name", "files", "sentence"),
    [
        ("../plate", FILES, says("upload.not_a_path")),
        ("a/b", FILES, says("upload.name")),
        ("plate", [], says("upload.no_files")),
        ("plate", [entry("../x", ONE)], says("upload.not_a_path")),
        ("plate", [entry("x", ONE), entry("X", TWO)], says("upload.same_file")),
        (
            "plate",
            [entry("x", ONE), ManifestFile(path="y", size=3, sha256=sha256(ONE))],
            says("upload.two_sizes"),
        ),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_and_not_kept(store, name, files, sentence):
    with pytest.raises(UploadRefused, match=sentence):
        store.begin(name, files)
    assert not store.root.exists() or list(store.root.rglob("*.json")) == []


def test_a_scan_that_the_disk_cannot_hold_is_refused_before_a_byte_is_sent(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    huge = ManifestFile(path="x", size=2 * free, sha256="0" * 64)
    with pytest.raises(NoSpace, match=says("upload.no_space")):
        UploadStore(tmp_path).begin("plate", [huge])


def test_a_file_system_without_links_gets_copies(store, monkeypatch):
    upload = store.begin("plate", FILES)
    send(store, ONE)
    send(store, TWO)

    def no_links(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", no_links)
    assert (store.commit(upload) / "b/3.tif").read_bytes() == ONE


DAY = 86_400.0


def aged(store, days):
    """Everything that lies in the store, as if it had been written so many days ago."""
    for path in store.root.rglob("*"):
        if path.is_file():
            os.utime(path, (0, time.time() - days * DAY))


def test_an_abandoned_upload_is_swept_with_the_blobs_that_no_other_one_needs(store):
    three = b"of both uploads"
    old = store.begin("old", [*FILES, entry("c.tif", three)])
    send(store, ONE)
    send(store, three)
    with pytest.raises(UploadIncomplete):
        send(store, TWO, cut=6)
    aged(store, ABANDONED_DAYS + 1)
    young = store.begin("young", [entry("c.tif", three)])  # begin sweeps
    assert [state.name for state in store.listed()] == ["young"]
    with pytest.raises(NotFound, match=says("upload.unknown")):
        store.missing(old)
    assert not store.blob(sha256(ONE)).exists()
    assert not [p for p in (store.root / "parts").rglob("*") if p.is_file()]
    assert store.missing(young) == []
    with pytest.raises(NotFound, match=says("upload.no_blob")):
        send(store, TWO)
    # Its client begins again, and sends what is missing.
    assert store.begin("old", [*FILES, entry("c.tif", three)]) == old
    assert store.missing(old) == [sha256(ONE), sha256(TWO)]


def test_what_still_arrives_or_was_committed_is_not_swept(store):
    upload = store.begin("plate", FILES)
    send(store, ONE)
    aged(store, ABANDONED_DAYS + 1)
    with pytest.raises(UploadIncomplete):
        send(store, TWO, cut=6)
    assert store.sweep() == 0
    assert store.missing(upload) == [sha256(TWO)]
    send(store, TWO)
    scan = store.commit(upload)
    aged(store, 10 * ABANDONED_DAYS)
    assert store.sweep() == 0
    assert (scan / "a" / "1.tif").read_bytes() == ONE
    assert [state.committed for state in store.listed()] == [True]
    # Its age counts from the last time that something of it was begun or arrived.
    again = store.begin("other", [entry("x.tif", b"x")])
    assert store.sweep(now=time.time() + (ABANDONED_DAYS - 1) * DAY) == 0
    assert store.missing(again) == [sha256(b"x")]
    store.sweep(now=time.time() + (ABANDONED_DAYS + 1) * DAY)
    assert [state.name for state in store.listed()] == ["plate"]
