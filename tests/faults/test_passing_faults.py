"""What is away comes back: the run waits, says for what, goes on, and its tables are the same."""

from __future__ import annotations

import shutil

import pytest

from tests.messages import states
from tests.service import wait_for


@pytest.mark.slow
def test_a_scan_that_is_away_is_waited_for(small, small_run):
    run = small.submit()
    away = small.scan.rename(small.scan.parent / "away")
    with small.worker():
        waiting = wait_for(small.client, run.id, states=("waiting", "done", "failed"))
        assert waiting.state == "waiting", small.service.worker_log()
        assert states("away.scan", waiting.reason, path=small.scan)
        away.rename(small.scan)
        ended = wait_for(small.client, run.id)
    assert (ended.state, ended.reason) == ("done", ""), small.service.worker_log()
    assert (ended.progress.done, ended.progress.failed) == (6, 0)
    small.tables_equal(run.id, small_run)


@pytest.mark.slow
@pytest.mark.parametrize(
    "lost", ["vehicle wells", pytest.param("one treated well", marks=pytest.mark.slow)]
)
def test_files_that_are_away_change_no_number(small, small_run, tmp_path, lost):
    run = small.submit()
    wells = ("B02", "B03", "C02") if lost == "vehicle wells" else ("B05",)
    (tmp_path / "away").mkdir()
    moved = [p for well in wells for p in sorted(small.scan.glob(f"p_{well}_*.tif"))]
    for path in moved:
        path.rename(tmp_path / "away" / path.name)
    with small.worker():
        waiting = wait_for(small.client, run.id, states=("waiting", "done", "failed"))
        assert waiting.state == "waiting", small.service.worker_log()
        assert states("away.file_in", waiting.reason, folder=small.scan)
        for path in moved:
            shutil.move(tmp_path / "away" / path.name, path)
        ended = wait_for(small.client, run.id)
    assert (ended.state, ended.progress.failed) == ("done", 0), small.service.worker_log()
    small.tables_equal(run.id, small_run)


@pytest.mark.slow
def test_a_run_out_of_patience_fails_by_the_true_cause_and_is_tried_again(small, small_run):
    run = small.submit()
    path = next(iter(sorted(small.scan.glob("p_B05_*.tif"))))
    away = path.rename(small.folder / path.name)
    with small.worker(patience_hours="0.0005"):
        ended = wait_for(small.client, run.id)
        assert (ended.state, ended.progress.done) == ("failed", 0)
        assert states("away.file_in", ended.reason, folder=small.scan)
        assert states("retry.again", ended.reason, run=run.id[:12])
        away.rename(path)
        assert small.client.say(run.id, "retry").state == "queued"
        again = wait_for(small.client, run.id)
    assert (again.state, again.reason, again.progress.done) == ("done", "", 6)
    small.tables_equal(run.id, small_run)
