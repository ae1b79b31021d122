"""A finished run, copied to a real S3 server and brought back."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

from imaging_service.backups.runs_on_s3 import copy_run
from imaging_service.errors import BackupError, NotFound, Unavailable
from imaging_service.files import write_bytes
from imaging_service.incoming import s3
from imaging_service.incoming.s3 import S3Path, place
from imaging_service.review.local import TABLES, LocalRun
from tests.faulty_s3 import slow_where_it_hangs
from tests.messages import says


def files_of(folder):
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in files.items() if not name.endswith(".lock")}


@pytest.fixture
def copied(bucket, small_run):
    """The address of a whole copy of the small run, in a bucket."""
    address = place(bucket.address("runs/small"))
    copy_run(small_run, address)
    return address


@pytest.fixture
def sent(monkeypatch):
    """Names of the objects that are written."""
    names = []
    write = S3Path.write

    def note(self, content):
        names.append(self.name)
        write(self, content)

    monkeypatch.setattr(S3Path, "write", note)
    return names


def test_a_run_comes_back_as_it_was(copied, small_run, tmp_path):
    counts = []
    made = copy_run(copied, tmp_path / "back", counts.append)
    assert files_of(tmp_path / "back") == files_of(small_run)
    assert counts == list(range(1, len(made.files) + 1))
    assert made.run_id == LocalRun(small_run).record["run_id"]
    run = LocalRun(tmp_path / "back")
    assert run.plate == tmp_path / "back" / "plate.zarr"
    for name in TABLES:
        assert run.table(name).equals(LocalRun(small_run).table(name))


def test_the_copy_is_files_that_any_program_reads(copied, bucket, small_run):
    table = pl.read_parquet(bucket.read("runs/small/wells.parquet"))
    assert table.equals(LocalRun(small_run).table("wells"))
    names = bucket.names("runs/small")
    assert "runs/small/copied.json" in names
    assert not [name for name in names if name.endswith(".lock") or ".staged-" in name]


def test_a_plate_that_lies_elsewhere_is_part_of_the_copy(own_run, bucket, tmp_path, small_run):
    shutil.move(own_run / "plate.zarr", tmp_path / "shared.zarr")
    record = json.loads((own_run / "run.json").read_text())
    record["plate"] = str(tmp_path / "shared.zarr")
    (own_run / "run.json").write_text(json.dumps(record))
    address = place(bucket.address("runs/small"))
    copy_run(own_run, address)
    copy_run(address, tmp_path / "back")
    assert files_of(tmp_path / "back" / "plate.zarr") == files_of(small_run / "plate.zarr")


def test_a_copy_that_was_cut_is_none_and_goes_on(bucket, small_run, tmp_path, sent, monkeypatch):
    address = place(bucket.address("runs/small"))

    def cut(count):
        if count == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_run(small_run, address, cut)
    with pytest.raises(BackupError, match=says("copy_run.not_whole", where=address)):
        copy_run(address, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    before = {name for name in bucket.names("runs/small") if not name.endswith("run.json")}
    assert len(before) >= 19
    sent.clear()
    made = copy_run(small_run, address)
    assert len(sent) == len(made.files) - len(before) + 1
    copy_run(address, tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(small_run)


@pytest.mark.parametrize("name", ["wells.parquet", "corrected/wells.parquet"])
def test_a_run_that_is_reviewed_while_it_is_copied_makes_no_whole_copy(
    own_run, bucket, tmp_path, name
):
    """Tables of two revisions beside each other would be numbers that no run ever had."""
    address = place(bucket.address("runs/small"))

    def reviewed(count):
        if count == 20:
            write_bytes(own_run / name, b"of another revision")

    with pytest.raises(BackupError, match=says("copy_run.changed_meanwhile", where=own_run)):
        copy_run(own_run, address, reviewed)
    with pytest.raises(BackupError, match=says("copy_run.not_whole", where=address)):
        copy_run(address, tmp_path / "back")
    copy_run(own_run, address)
    copy_run(address, tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(own_run)


@pytest.mark.parametrize("fault", slow_where_it_hangs(["hang", "reset", "slow down", "not there"]))
def test_a_server_that_takes_no_file_leaves_no_whole_copy_and_it_goes_on(
    bucket, faulty_s3, small_run, tmp_path, fault
):
    address = place(bucket.address("runs/small"))
    faulty_s3.set(fault if fault != "reset" else "hang up", r"PUT .*/wells\.parquet ")
    with pytest.raises(Unavailable):
        copy_run(small_run, address)
    assert faulty_s3.faults > 0
    faulty_s3.well()
    with pytest.raises(BackupError, match=says("copy_run.not_whole", where=address)):
        copy_run(address, tmp_path / "back")
    copy_run(small_run, address)
    copy_run(address, tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(small_run)


def test_a_file_that_is_taken_and_not_kept_makes_no_whole_copy(bucket, small_run, monkeypatch):
    address = place(bucket.address("runs/small"))
    write = S3Path.write

    def lose(self, content):
        if self.name == "wells.csv":
            write(self, b"" if lost == "0 bytes" else b"x")
        if self.name == "wells.csv" and lost == "none":
            self.delete()
        if self.name != "wells.csv":
            write(self, content)

    monkeypatch.setattr(S3Path, "write", lose)
    size = f"{(small_run / 'wells.csv').stat().st_size:,}"
    for lost in ("none", "1 bytes"):
        sentence = says("copy_run.not_taken", where=address / "wells.csv", size=size, listed=lost)
        with pytest.raises(BackupError, match=sentence):
            copy_run(small_run, address)
        assert "runs/small/copied.json" not in bucket.names()


@pytest.mark.parametrize("fault", slow_where_it_hangs(["stall", "cut", "slow down"]))
def test_a_server_that_stops_in_the_middle_brings_nothing_back(
    copied, faulty_s3, tmp_path, small_run, fault
):
    faulty_s3.set(fault, r"GET .*/wells\.parquet ")
    with pytest.raises(Unavailable):
        copy_run(copied, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    faulty_s3.well()
    copy_run(copied, tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(small_run)


def test_a_large_file_is_sent_in_pieces(own_run, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "_PIECE", 5 * 2**20)
    (own_run / "large").write_bytes(bytes(range(256)) * (11 * 2**20 // 256))
    address = place(bucket.address("runs/small"))
    copy_run(own_run, address)
    (state,) = [s for s in address.states() if s.name == "large"]
    assert (state.size, state.etag[-2:]) == (11 * 2**20, "-3")
    copy_run(address, tmp_path / "back")
    assert (tmp_path / "back" / "large").read_bytes() == (own_run / "large").read_bytes()


def test_only_what_changed_is_sent_again(own_run, bucket, sent, tmp_path):
    address = place(bucket.address("runs/small"))
    copy_run(own_run, address)
    sent.clear()
    (own_run / "report.html").write_bytes(b"another")
    (own_run / "new.txt").write_bytes(b"new")
    copy_run(own_run, address)
    assert sorted(sent) == ["copied.json", "new.txt", "report.html", "run.json"]
    copy_run(address, tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(own_run)


def test_a_place_that_holds_something_else_is_refused(own_run, copied, bucket):
    record = json.loads((own_run / "run.json").read_text())
    (own_run / "run.json").write_text(json.dumps(record | {"run_id": "another"}))
    with pytest.raises(BackupError, match=says("copy_run.other_run", where=copied)):
        copy_run(own_run, copied)
    bucket.write("other/wells.parquet", b"")
    bucket.write("other/letter.txt", b"")
    other = place(bucket.address("other"))
    with pytest.raises(BackupError, match=says("copy_run.strange", where=other, file="letter.txt")):
        copy_run(own_run, other)
    bucket.delete("other/letter.txt")
    with pytest.raises(BackupError, match=says("copy_run.other_run", where=other)):
        copy_run(own_run, other)
    assert bucket.names("other") == ["other/wells.parquet"]


def test_a_copy_that_was_changed_is_not_brought_back(copied, bucket, tmp_path):
    table = copied / "wells.parquet"
    content = bucket.read("runs/small/wells.parquet")
    bucket.write("runs/small/wells.parquet", content[:-1] + b"?")
    with pytest.raises(BackupError, match=says("copy_run.changed", where=table)):
        copy_run(copied, tmp_path / "back")
    bucket.delete("runs/small/wells.parquet")
    with pytest.raises(BackupError, match=says("copy_run.lacks", where=table)):
        copy_run(copied, tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../out.txt", "/etc/out.txt", "a/../../out.txt", "a\\..\\b"])
def test_a_copy_writes_nowhere_else(bucket, tmp_path, name):
    bucket.write("runs/x/run.json", b"{}")
    bucket.write("runs/x/copied.json", json.dumps({"run_id": "x", "files": {name: ""}}).encode())
    where = place(bucket.address("runs/x"))
    with pytest.raises(BackupError, match=says("copy_run.unreadable", where=where)):
        copy_run(where, tmp_path / "in" / "back")
    bucket.write("runs/x/copied.json", b"[]")
    with pytest.raises(BackupError, match=says("copy_run.unreadable", where=where)):
        copy_run(where, tmp_path / "in" / "back")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_copied_is_refused(copied, small_run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(BackupError, match=says("copy_run.not_empty", where=tmp_path / "full")):
        copy_run(copied, tmp_path / "full")
    for source, target in ((small_run, tmp_path / "back"), (copied, copied / "more")):
        with pytest.raises(BackupError, match=says("copy_run.one_of_each")):
            copy_run(source, target)
    with pytest.raises(NotFound, match=says("local_run.no_record", where=tmp_path)):
        copy_run(tmp_path, copied)
