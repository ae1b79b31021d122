from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.requests.audit import entries, note
from tests.messages import says

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_entries_are_read_in_order_and_a_change_shows(tmp_path):
    assert entries(tmp_path) == []
    for action in ("requested", "approved", "revoked"):
        note(tmp_path, NOW, "Jan", action, "A-1")
    assert [e.action for e in entries(tmp_path)] == ["requested", "approved", "revoked"]
    path = tmp_path / "requests" / "audit.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0].replace("Jan", "Jo"), *lines[1:]]))
    with pytest.raises(ReleaseRefused, match=says("release.ledger_changed", number=2)):
        entries(tmp_path)
    path.write_text("x\n")
    with pytest.raises(ReleaseRefused, match=says("release.ledger_damaged", number=1)):
        entries(tmp_path)
