"""Two minutes of the random faults, of which an hour is run by hand: docs/running.md."""

from __future__ import annotations

import pytest

from tests.faults.random_faults import disturb


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_random_faults_lose_double_and_stop_nothing(tmp_path, database):
    record = disturb(tmp_path, database, 120, 1, tmp_path / "log.jsonl")
    assert record.wrong == {}, (tmp_path / "log.jsonl").read_text()
    assert record.runs > 0
    assert sum(record.faults.values()) > 3
