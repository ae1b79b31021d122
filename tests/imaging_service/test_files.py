from __future__ import annotations

import os
from multiprocessing import get_context

import pytest

from imaging_service.errors import Forbidden
from imaging_service.files import only_one, staged, sweep, write_bytes, write_once
from tests.messages import says


def test_staged_is_all_or_nothing(tmp_path):
    target = tmp_path / "x" / "target"
    with pytest.raises(RuntimeError), staged(target) as scratch:
        (scratch / "half").write_text("half")
        raise RuntimeError
    assert not target.exists()
    assert list(target.parent.iterdir()) == []
    with staged(target) as scratch:
        (scratch / "one").write_text("1")
    with staged(target) as scratch:
        (scratch / "two").write_text("2")
    assert [p.name for p in target.iterdir()] == ["two"]
    with staged(target, keep=True) as scratch:
        (scratch / "three").write_text("3")
    assert [p.name for p in target.iterdir()] == ["two"]
    assert [p.name for p in target.parent.iterdir()] == ["target"]


def _die_half_way(target):
    with staged(target) as scratch:
        (scratch / "half").write_text("half")
        os._exit(9)


def test_a_kill_leaves_scratch_that_is_swept(tmp_path):
    child = get_context("spawn").Process(target=_die_half_way, args=(tmp_path / "target",))
    child.start()
    child.join()
    assert not (tmp_path / "target").exists()
    assert len(list(tmp_path.glob(".staged-*"))) == 1
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_whole(tmp_path):
    write_bytes(tmp_path / "a" / "f", b"one")
    write_bytes(tmp_path / "a" / "f", b"two")
    assert (tmp_path / "a" / "f").read_bytes() == b"two"
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_a_file_that_is_there_is_never_written_over(tmp_path):
    assert write_once(tmp_path / "a" / "f", b"one") is True
    assert write_once(tmp_path / "a" / "f", b"two") is False
    assert (tmp_path / "a" / "f").read_bytes() == b"one"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["f"]


def _die_with_the_lock(folder, told):
    with only_one(folder):
        told.set()
        os._exit(9)


def _hold(folder, told, end):
    with only_one(folder):
        told.set()
        end.wait(120)


def test_a_lock_refuses_a_second_process_and_ends_with_the_first(tmp_path):
    context = get_context("spawn")
    told, end = context.Event(), context.Event()
    child = context.Process(target=_hold, args=(tmp_path / "run", told, end))
    child.start()
    assert told.wait(120)
    with pytest.raises(Forbidden, match=says("files.folder_in_use")):
        only_one(tmp_path / "run").__enter__()
    end.set()
    child.join()
    with only_one(tmp_path / "run"):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path):
    context = get_context("spawn")
    told = context.Event()
    child = context.Process(target=_die_with_the_lock, args=(tmp_path, told))
    child.start()
    child.join()
    assert told.is_set()
    with only_one(tmp_path):
        pass
    with only_one(tmp_path), pytest.raises(Forbidden):
        only_one(tmp_path).__enter__()


def test_content_is_on_the_disk_before_the_file_takes_its_name(tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor):
        synced.append(sorted(p.name.startswith(".staged-") for p in tmp_path.iterdir()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_bytes(tmp_path / "f", b"content")
    assert synced == [[True]]
