from __future__ import annotations

import hashlib
import os

import pytest

from imaging_service.backups.copying import copy_checked, copy_file, files_below
from imaging_service.errors import BackupError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(3_000_000 * b"x")
    return path


def test_a_copy_has_the_content_the_date_and_the_digest(source, tmp_path):
    os.utime(source, ns=(1, 1_700_000_000_000_000_001))
    made = copy_file(source, tmp_path / "deep" / "copy", None)
    assert made is not None
    assert (tmp_path / "deep" / "copy").read_bytes() == source.read_bytes()
    assert made.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (made.size, made.changed) == (3_000_000, 1_700_000_000_000_000_001)
    assert (tmp_path / "deep" / "copy").stat().st_mtime_ns == made.changed


def test_a_file_is_copied_again_if_either_side_is_another(source, tmp_path):
    copy = tmp_path / "copy"
    first = copy_file(source, copy, None)
    assert copy_file(source, copy, first) is first
    copy.write_bytes(b"cut")
    again = copy_file(source, copy, first)
    assert again == first
    assert again is not first
    source.write_bytes(3_000_000 * b"y")
    os.utime(source, ns=(1, 5))
    assert copy_file(source, copy, first).sha256 != first.sha256
    copy.unlink()
    assert copy_file(source, copy, first) is not None
    assert copy.is_file()


def test_a_file_that_is_gone_by_now_is_none(tmp_path):
    assert copy_file(tmp_path / "absent", tmp_path / "copy", None) is None
    assert not (tmp_path / "copy").exists()


def test_a_file_that_is_copied_back_must_be_the_one_that_was_copied(source, tmp_path):
    made = copy_file(source, tmp_path / "copy", None)
    copy_checked(tmp_path / "copy", tmp_path / "back", made.sha256)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    (tmp_path / "copy").write_bytes(b"other")
    for name in ("copy", "absent"):
        with pytest.raises(BackupError):
            copy_checked(tmp_path / name, tmp_path / "back", made.sha256)


def test_scratch_and_locks_are_left_out(tmp_path):
    for name in ("a/x", "a/.staged-1/y", "a/.staged-2", "a/.lock", "a/x.lock", "b", "c/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "absent"]
    assert [str(p) for p in files_below(tmp_path, folders)] == ["a/x", "b"]
