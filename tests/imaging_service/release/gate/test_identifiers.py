from __future__ import annotations

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.gate import identifiers
from imaging_service.release.gate.identifiers import ExportIds
from tests.messages import says


def test_one_name_has_one_id_in_a_release_and_another_in_the_next():
    first, second = ExportIds(b"1" * 32), ExportIds(b"2" * 32)
    assert first.of("line", "SOD1-07") == ExportIds(b"1" * 32).of("line", "SOD1-07")
    assert first.of("line", "SOD1-07") != second.of("line", "SOD1-07")
    assert first.of("line", "SOD1-07")[2:] != first.of("donor", "SOD1-07")[2:]
    assert first.of("batch", "") == ""
    assert len(first.digest("run", "x")) == 64


def test_two_names_never_share_an_id(monkeypatch):
    monkeypatch.setattr(identifiers, "_DIGITS", 0)
    ids = ExportIds(bytes(32))
    ids.of("line", "A")
    with pytest.raises(ReleaseRefused, match=says("release.ids_collide", what="line")):
        ids.of("line", "B")
