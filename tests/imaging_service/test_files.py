from __future__ import annotations

import os

import pytest

from imaging_service.files import written


def test_the_scratch_lies_beside_its_target_and_is_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with written(tmp_path / "new" / "f", b"content") as scratch:
        assert scratch.parent == tmp_path / "new"
        assert scratch.name.startswith(".staged-")
        assert scratch.read_bytes() == b"content"
        assert len(synced) == 1
        assert not (tmp_path / "new" / "f").exists()
    assert list((tmp_path / "new").iterdir()) == []


def test_what_was_moved_stays(tmp_path):
    with written(tmp_path / "f", b"content") as scratch:
        scratch.rename(tmp_path / "f")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_an_error_takes_the_scratch_away(tmp_path):
    with pytest.raises(RuntimeError), written(tmp_path / "f", b"content"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
