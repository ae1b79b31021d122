"""A screen's workflow, its steps in this process."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from imaging_service.database.session import find_screen
from imaging_service.database.tables import RunRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.errors import Unavailable
from imaging_service.jobs.durable.workflows import Context
from imaging_service.jobs.screens import workflow
from imaging_service.orders import NewExport
from imaging_service.screens.folder import TABLES, plates_of
from tests.imaging_service.conftest import Here
from tests.messages import states
from tests.service import Service


@pytest.fixture
def ordered(screened):
    """(service, the id of a screen of two plates that waits for its worker)."""
    return screened, screened.order(screened.runs[:2]).json()["id"]


def row(screened, screen):
    with screened.session() as session:
        return find_screen(session, LOCAL_PROJECT, screen)


class Calls(Here):
    """Computes in this process, and fails as it is told before it does."""

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.keys, self.seen = list(faults), [], []

    def run(self, function, *args, key):
        self.keys.append(key)
        if self.faults:
            raise self.faults.pop(0)
        return function(*args)


def test_plates_are_taken_in_one_by_one_and_then_all_is_fitted(ordered, monkeypatch):
    screened, screen = ordered
    calls = Calls()
    monkeypatch.setattr(Context, "cluster", calls)
    progress = []
    change = workflow._set

    def noted(*args, **values):
        progress.append((values["state"], values.get("gathered")))
        return change(*args, **values)

    monkeypatch.setattr(workflow, "_set", noted)
    assert workflow._fit(screen, 1) == "done"
    assert calls.keys == [f"gather-{screen}-0", f"gather-{screen}-1", f"fit-{screen}"]
    assert progress == [("running", 0), ("running", 1), ("running", 2), ("done", None)]
    done = row(screened, screen)
    assert (done.state, done.gathered, done.n_rows, done.n_hits) == ("done", 2, 4, 0)
    folder = workflow.screen_folder(screened.settings, LOCAL_PROJECT, screen)
    assert [p.run_id for p in plates_of(folder)] == screened.runs[:2]


def test_what_is_away_is_waited_for_and_shown(ordered, monkeypatch):
    screened, screen = ordered
    monkeypatch.setattr(Context, "cluster", Calls(Unavailable("share away"), OSError(5, "x")))
    shown = []
    monkeypatch.setattr(
        workflow.DBOS,
        "sleep",
        lambda _: shown.append((row(screened, screen).state, row(screened, screen).reason)),
    )
    assert workflow._fit(screen, 1) == "done"
    assert [state for state, _ in shown] == ["waiting", "waiting"]
    assert shown[0][1] == "share away"
    assert (row(screened, screen).state, row(screened, screen).reason) == ("done", "")


def test_a_screen_that_waited_in_vain_fails_with_what_it_waited_for(ordered, monkeypatch):
    screened, screen = ordered
    monkeypatch.setattr(Context, "cluster", Calls(*[Unavailable("share away")] * 3))
    monkeypatch.setattr(workflow, "patience_s", lambda: 2.0)
    monkeypatch.setattr(workflow.DBOS, "sleep", lambda _: None)
    assert workflow._fit(screen, 1) == "failed"
    assert (row(screened, screen).state, row(screened, screen).reason) == ("failed", "share away")


@pytest.mark.parametrize("change", ["removed", "tried again"])
def test_a_run_that_changed_since_the_order_fails_the_screen_with_the_reason(ordered, change):
    screened, screen = ordered
    with screened.session() as session:
        run = session.get_one(RunRow, screened.runs[1])
        if change == "removed":
            session.delete(run)
        else:
            run.state, run.attempt = "queued", 2
        session.commit()
    assert workflow._fit(screen, 1) == "failed"
    failed = row(screened, screen)
    assert (failed.state, failed.gathered) == ("failed", 1)
    if change == "removed":
        assert states("order.run_removed", failed.reason)
    else:
        assert states("order.tried_again", failed.reason, state="queued")


def test_an_unforeseen_error_becomes_the_reason(ordered, monkeypatch):
    screened, screen = ordered
    monkeypatch.setattr(workflow, "_fit", lambda *_: 1 / 0)
    workflow.fit_screen.__wrapped__(screen, 1)
    assert row(screened, screen).reason == "ZeroDivisionError: division by zero"


def test_an_earlier_attempt_changes_nothing(ordered):
    screened, screen = ordered
    with screened.session() as session:
        find_screen(session, LOCAL_PROJECT, screen).attempt = 2
        session.commit()
    assert workflow._fit(screen, 1) == "superseded"
    assert row(screened, screen).state == "queued"
    assert workflow.fit_tables(screen, 1)["status"] == "failed"
    assert not workflow.wait_screen(screen, 1, "x")


def test_a_second_screen_fits_only_what_the_first_has_not(ordered, monkeypatch):
    screened, screen = ordered
    screened.work(screen)
    told = []
    fit = workflow.fit_order
    monkeypatch.setattr(workflow, "fit_order", lambda *args: told.append(fit(*args)) or told[-1])
    other = screened.order(screened.runs[:2], name="under another name").json()["id"]
    screened.work(other)
    assert other != screen
    assert told == [{"rows": 4, "hits": 0, "refitted": 0}]


@pytest.mark.slow
def test_a_worker_of_its_own_fits_what_was_ordered(ordered, tmp_path):
    """The real job engine, cluster and report, followed by its events; then an export of it."""
    screened, screen = ordered
    service = Service(Path(screened.settings.data_dir).parent, tmp_path)
    try:
        with service.start() as client:
            client.project = LOCAL_PROJECT
            *_, last = client.screen_events(screen)
            assert (last.state, last.rows, last.hits) == ("done", 4, 0)
            assert client.screen_report(screen).startswith(b"<!doctype html>")
            export = client.order_export(NewExport(screen=screen, format="csv")).id
            *_, written = client.export_events(export)
            assert (written.state, written.tables) == ("done", list(TABLES))
            client.download_export(export, tmp_path / "tables.zip")
            assert len(zipfile.ZipFile(tmp_path / "tables.zip").namelist()) == len(TABLES) + 2
    finally:
        service.stop()
