"""Addresses on S3, and what a real server answers about them."""

from __future__ import annotations

import copy
import hashlib
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from imaging_service.errors import Forbidden, ScanError, Unavailable
from imaging_service.files import only_one, write_bytes
from imaging_service.incoming.s3 import ObjectState, S3Path, asked_twice, compare_md5, place
from imaging_service.ingest.plan import Place
from imaging_service.jobs.review.corrections import apply_review
from imaging_service.release.form import run_record
from imaging_service.review.local import LocalRun
from imaging_service.screens.folder import add_run
from imaging_service.settings import Settings
from tests.faulty_s3 import slow_where_it_hangs
from tests.messages import says, states
from tests.s3 import SECRET_KEY

MD5_OF_A = "0cc175b9c0f1b6a831c399e269772661"


@dataclass(frozen=True)
class Kept:
    scan: Place


@pytest.mark.parametrize("text", ["s3://plates/lab/p 1.zarr", "s3://plates/lab/p 1.zarr/"])
@pytest.mark.parametrize("of", [str, Path])
def test_an_address_is_read_however_it_is_handed_over(text, of):
    read = place(of(text))
    assert type(read) is S3Path
    assert (str(read), read.bucket, read.key) == (
        "s3://plates/lab/p 1.zarr",
        "plates",
        "lab/p 1.zarr",
    )
    assert place(read) is read
    assert str(read / "B" / "3") == "s3://plates/lab/p 1.zarr/B/3"
    assert (str(read.parent), read.name, read.resolve()) == ("s3://plates/lab", "p 1.zarr", read)


def test_an_address_stays_one_in_records_and_between_processes():
    read, kept = place("s3://plates/a"), TypeAdapter(Kept)
    written = kept.dump_json(Kept(read))
    assert written == b'{"scan":"s3://plates/a"}'
    for again in (kept.validate_json(written).scan, pickle.loads(pickle.dumps(read))):
        assert (type(again), str(again)) == (S3Path, "s3://plates/a")
    assert str(copy.deepcopy(read)) == "s3://plates/a"
    assert type(kept.validate_json(b'{"scan":"/scans/a"}').scan) is type(Path())


@pytest.mark.parametrize("text", ["./s3:/plates", "/s3:/plates/x", "s3", "s3-plates/x", "S3://x"])
def test_other_paths_are_of_this_machine(text):
    assert (type(place(text)), place(text)) == (type(Path()), Path(text))


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIA:geheim@plates/x",
        "s3://geheim@plates/x",
        "s3://plates/x?X-Amz-Signature=geheim",
        "s3://plates/geheim/../x",
        "s3://plates/geheim/./x",
        "s3://plates//geheim",
        "s3://plates/x\\..\\geheim",
        "s3:///geheim",
        "s3://",
        "s3://p",
        "s3://plates/geheim\n",
        "s3://plates/" + 1025 * "g",
    ],
)
def test_an_address_that_says_more_is_refused_and_not_repeated(text):
    with pytest.raises(ScanError, match=says("s3.address")) as refused:
        place(text)
    assert "geheim" not in str(refused.value)


def test_nothing_on_s3_is_looked_for_on_this_machine(tmp_path, monkeypatch):
    (tmp_path / "s3:" / "plates").mkdir(parents=True)
    (tmp_path / "s3:" / "plates" / "a").touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "plates" / "b").mkdir()
    for look in (
        Path.stat,
        Path.open,
        Path.read_text,
        Path.mkdir,
        Path.unlink,
        lambda p: p.write_bytes(b""),
        lambda p: list(p.iterdir()),
        lambda p: list(p.glob("*")),
        lambda p: list(p.rglob("*")),
    ):
        for named in ("a", "b"):
            with pytest.raises(TypeError):
                look(place(f"s3://plates/{named}"))
    assert sorted(p.name for p in (tmp_path / "s3:" / "plates").iterdir()) == ["a", "b"]


def test_a_folder_and_its_objects(bucket):
    for path, content in (("p/B/1", b"a"), ("p/z", b"aa"), ("p-beside", b"a")):
        bucket.write(path, content)
    folder = place(bucket.address("p"))
    assert folder.states()[0] == ObjectState("B/1", 1, MD5_OF_A)
    assert [s.name for s in folder.states()] == ["B/1", "z"]
    assert [s.name for s in place(bucket.address()).states()] == ["p-beside", "p/B/1", "p/z"]
    assert (folder.is_dir(), folder.is_file(), folder.exists()) == (True, False, True)
    one = folder / "B" / "1"
    assert (one.is_dir(), one.is_file(), one.exists()) == (False, True, True)
    assert one.read_bytes() == b"a"
    assert one.sha256(folder.states()[0]) == hashlib.sha256(b"a").hexdigest()
    assert (folder / "none").exists() is False
    assert (folder / "none").states() == ()
    with pytest.raises(FileNotFoundError):
        (folder / "none").read_bytes()


PASSING = ["hang", "hang up", "stall", "cut", "reset", "slow down", "broken"]
ANSWERED = {
    "slow down": "503 Service Unavailable, SlowDown",
    "broken": "500 Internal Server Error",
}


@pytest.fixture
def listed(bucket, faulty_s3):
    """A folder with one object, and how it is listed; the server has no fault yet."""
    bucket.write("p/x", bytes(range(256)) * 16)
    folder = place(bucket.address("p"))
    (state,) = folder.states()
    return folder, state


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_a_second_question(listed, faulty_s3, fault):
    folder, state = listed
    faulty_s3.set(fault, "GET .*/p/x ", times=1)
    digest = hashlib.sha256(bytes(range(256)) * 16).hexdigest()
    assert (folder / "x").sha256(state) == digest
    assert (faulty_s3.faults, faulty_s3.requests) == (1, 2)
    if fault not in ("stall", "cut", "reset"):
        faulty_s3.set(fault, "PUT .*/p/y ", times=1)
        (folder / "y").write(b"a")
        assert (faulty_s3.faults, faulty_s3.requests) == (1, 2)
        assert [s.name for s in folder.states()] == ["x", "y"]


@pytest.mark.parametrize("fault", slow_where_it_hangs(PASSING))
def test_a_fault_that_stays_is_the_machine_s_and_asked_four_times(listed, faulty_s3, fault):
    folder, state = listed
    faulty_s3.set(fault, "GET .*/p/x ")
    with pytest.raises(Unavailable) as refused:
        (folder / "x").sha256(state)
    said, where = str(refused.value), folder / "x"
    if fault in ANSWERED:
        assert states("s3.answers", said, where=where, what=ANSWERED[fault])
    else:
        assert states("s3.no_answer", said, where=where)
    assert (faulty_s3.faults, faulty_s3.requests) == (4, 4)


@pytest.mark.parametrize("fault", ["shortened", "other etag", "not there", "flipped"])
def test_another_object_than_the_listed_one_is_the_machine_s_fault(listed, faulty_s3, fault):
    folder, state = listed
    faulty_s3.set(fault, "GET .*/p/x ")
    with pytest.raises(Unavailable, match=says("s3.contradicts", where=folder / "x")):
        (folder / "x").sha256(state)
    faulty_s3.well()
    assert (folder / "x").sha256(state) == (folder / "x").sha256(*folder.states())


def test_half_of_a_listing_is_no_listing(listed, faulty_s3):
    folder, _ = listed
    faulty_s3.set("shortened", "list-type")
    with pytest.raises(Unavailable, match=says("s3.cut_list", where=folder)):
        folder.states()
    faulty_s3.set("cut", "list-type")
    with pytest.raises(Unavailable, match=says("s3.no_answer", where=folder)):
        folder.states()


def test_what_cannot_be_written_is_the_machine_s_fault(listed, faulty_s3):
    folder, _ = listed
    faulty_s3.set("not there", "PUT|DELETE")
    what = "404 Not Found, NoSuchKey"
    with pytest.raises(Unavailable, match=says("s3.answers", where=folder / "y", what=what)):
        (folder / "y").write(b"a")
    (folder / "y").delete()


def test_an_etag_follows_the_content(bucket):
    for content in (b"a", b"b", b"a"):
        bucket.write("x", content)
        (state,) = place(bucket.address()).states()
        assert (state.etag == MD5_OF_A) is (content == b"a")


def test_a_listing_without_etags_is_refused(bucket, monkeypatch):
    monkeypatch.setattr(
        S3Path, "_pages", lambda _: iter([[{"path": "p/x", "size": 1, "e_tag": None}]])
    )
    with pytest.raises(ScanError, match=says("s3.no_etag", where="s3://plates/p")):
        place("s3://plates/p").states()


def test_an_etag_that_is_of_no_content_is_none(bucket, monkeypatch):
    """As SeaweedFS gives to every file of three pieces that its own tool copied past S3."""
    etag = '"d41d8cd98f00b204e9800998ecf8427e-3"'
    with monkeypatch.context() as patched:
        patched.setattr(
            S3Path, "_pages", lambda _: iter([[{"path": "p/x", "size": 1, "e_tag": etag}]])
        )
        with pytest.raises(ScanError, match=says("s3.no_etag", where="s3://plates/p")):
            place("s3://plates/p").states()
    bucket.write("empty", b"")
    (state,) = place(bucket.address()).states()
    assert etag.strip('"').startswith(state.etag)


@pytest.mark.parametrize("endpoint", ["https://s3.example.org", ""])
def test_with_encryption_nothing_is_asked_twice_and_another_md5_is_no_fault(monkeypatch, endpoint):
    """Amazon's ETag of an object that it encrypts with a key of the customer is no MD5."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert asked_twice("of pieces-3") is asked_twice(MD5_OF_A, part=True) is False
    compare_md5(place("s3://plates/p"), MD5_OF_A, hashlib.md5(b"b"))


def test_a_bucket_that_is_not_there_may_come_back(bucket):
    gone = place("s3://was-never-there/p")
    for ask in (gone.exists, gone.is_dir, gone.states):
        with pytest.raises(Unavailable, match=says("s3.no_bucket", where=gone)):
            ask()


def test_refused_credentials_are_the_machine_s_fault_and_not_repeated(bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{SECRET_KEY}-of-yesterday")
    folder = place("s3://asked-with-another-key/p")
    for ask in (folder.exists, folder.is_file, folder.states, folder.read_bytes):
        with pytest.raises(Unavailable) as refused:
            ask()
        assert states("s3.refused", str(refused.value), where=folder)
        assert SECRET_KEY not in repr(refused.value)


def test_a_server_that_is_away_is_the_machine_s_fault(monkeypatch, bucket):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    folder = place("s3://asked-while-away/p")
    with pytest.raises(Unavailable, match=says("s3.no_answer", where=folder)):
        folder.is_dir()


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    with pytest.raises(ScanError, match=says("s3.extra")):
        place("s3://plates/p").is_dir()


@pytest.mark.parametrize(
    "use",
    [
        lambda p: write_bytes(Path(p) / "x", b""),
        lambda p: only_one(Path(p)).__enter__(),
        LocalRun,
        lambda p: LocalRun(Path(p)),
        apply_review,
        lambda p: run_record(Path(p)),
        lambda p: add_run(Path("screen"), Path(p), lab="north"),
        lambda p: Settings(data_dir=p),
    ],
)
def test_nothing_else_is_written_or_read_there(tmp_path, monkeypatch, use):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Forbidden, match=says("s3.on_disk")):
        use("s3://plates/a")
    assert list(tmp_path.iterdir()) == []
