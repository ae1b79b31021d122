from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.requests import audit
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


class Counted:
    """A file that counts the bytes that are read from it and written to it."""

    def __init__(self, stream, counts):
        self.stream, self.counts = stream, counts

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __enter__(self):
        self.stream.__enter__()
        return self

    def __exit__(self, *error):
        return self.stream.__exit__(*error)

    def read(self, *size):
        content = self.stream.read(*size)
        self.counts["read"] += len(content)
        return content

    def write(self, content):
        self.counts["written"] += len(content)
        return self.stream.write(content)


def test_the_hundredth_entry_reads_and_writes_as_much_as_any_other(tmp_path, monkeypatch):
    real, counts = Path.open, Counter()
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: Counted(real(self, *a, **k), counts))
    monkeypatch.setattr(audit, "_BLOCK", 128)
    for _ in range(100):
        note(tmp_path, NOW, "Jan", "handed over", "A-1", "over HTTP, bytes=0-65535")
    monkeypatch.undo()
    path = tmp_path / "requests" / "audit.jsonl"
    # The first entry has no digest of one before it.
    first, second, *_, last = path.read_bytes().splitlines(keepends=True)
    assert (len(second), len(last)) == (len(first) + 64, len(second))
    assert counts["written"] == path.stat().st_size
    # Two blocks hold the last entry, whose line has more than one and less than two.
    assert 128 < len(last) < 256
    assert counts["read"] == len(first) + 98 * 256
    assert len(entries(tmp_path)) == 100


@pytest.mark.parametrize("cut", [1, 40])
def test_an_entry_that_a_kill_cut_counts_for_nothing(tmp_path, cut):
    for request in ("A-1", "A-2"):
        note(tmp_path, NOW, "Jan", "handed over", request)
    path = tmp_path / "requests" / "audit.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert [e.request for e in entries(tmp_path)] == ["A-1"]
    note(tmp_path, NOW, "Jan", "handed over", "A-3")
    assert [e.request for e in entries(tmp_path)] == ["A-1", "A-3"]


def test_downloads_at_once_lose_no_entry(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: note(tmp_path, NOW, "Jan", "handed over", f"A-{n}"), range(40)))
    assert sorted(e.request for e in entries(tmp_path)) == sorted(f"A-{n}" for n in range(40))
