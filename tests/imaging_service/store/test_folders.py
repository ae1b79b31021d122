from __future__ import annotations

import os
from multiprocessing import get_context

import pytest

from imaging_service.store.folders import staged, sweep, write_bytes


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
