"""An export's workflow, its steps in this process."""

from __future__ import annotations

import sqlalchemy as sa

from imaging_service.database.tables import RunRow
from imaging_service.errors import Unavailable
from imaging_service.jobs.durable.workflows import Context
from imaging_service.jobs.exports import workflow
from tests.imaging_service.conftest import Here
from tests.messages import states


class Calls(Here):
    """Computes in this process, and fails as it is told before it does."""

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.keys = list(faults), []

    def run(self, function, *args, key):
        self.keys.append(key)
        if self.faults:
            raise self.faults.pop(0)
        return function(*args)


def test_tables_are_written_one_by_one_and_then_zipped(exporting, monkeypatch):
    run = exporting.screened.runs[0]
    export = exporting.order(run=run, tables=["wells", "quality"], format="csv").json()["id"]
    calls = Calls()
    monkeypatch.setattr(Context, "cluster", calls)
    assert exporting.work(export) == "done"
    assert calls.keys == [f"export-{export}-{part}" for part in (0, 1, "zip")]
    row = exporting.row(export)
    assert (row.state, row.written, row.n_tables) == ("done", 2, 2)
    folder = workflow.export_folder(exporting.screened.settings, "default", export)
    assert row.size == (folder / f"{export}.zip").stat().st_size


def test_what_is_away_is_waited_for_and_shown(exporting, monkeypatch):
    export = exporting.order(run=exporting.screened.runs[0]).json()["id"]
    monkeypatch.setattr(Context, "cluster", Calls(Unavailable("share away")))
    shown = []
    monkeypatch.setattr(
        workflow.DBOS,
        "sleep",
        lambda _: shown.append((exporting.row(export).state, exporting.row(export).reason)),
    )
    assert exporting.work(export) == "done"
    assert shown == [("waiting", "share away")]


def test_a_run_that_was_begun_again_ends_the_export_with_the_reason(exporting):
    run = exporting.screened.runs[0]
    export = exporting.order(run=run).json()["id"]
    with exporting.screened.session() as session:
        session.exec(sa.update(RunRow).where(RunRow.id == run).values(attempt=2))
        session.commit()
    assert exporting.work(export) == "failed"
    row = exporting.row(export)
    assert row.state == "failed"
    assert states("export.source_gone", row.reason)


def test_an_attempt_that_was_superseded_changes_nothing(exporting):
    export = exporting.order(run=exporting.screened.runs[0]).json()["id"]
    assert workflow._write(export, 7) == "superseded"
    assert exporting.row(export).state == "queued"
