"""Cancel, resume, retry, delete."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import ClaimRow, PlateRow, RunRow, TableRow, WellRow
from imaging_service.errors import NotFound, NotReady
from imaging_service.jobs.durable import verbs, workflows
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.jobs.records import WellTask, load, save
from tests.messages import says

GOING_ON = ("queued", "running", "waiting")
ENDED = ("done", "failed", "cancelled")


@pytest.fixture
def session(served):
    with Session(database_engine(served.settings.url)) as opened:
        yield opened


def put(session, served, state, **more):
    row = session.get_one(RunRow, served.run)
    row.state = state
    for name, value in more.items():
        setattr(row, name, value)
    session.commit()
    return row


def fail(session, *wells):
    session.execute(
        sa.update(WellRow).where(WellRow.well.in_(wells)).values(status="failed", reason="x")
    )
    session.commit()


def jobs(session):
    rows = session.connection().execute(sa.text("SELECT workflow_uuid FROM workflow_status"))
    return sorted(i.rpartition(":")[2] for (i,) in rows)


@pytest.mark.parametrize("state", GOING_ON)
def test_a_run_that_goes_on_is_cancelled_and_resumed(served, session, state):
    put(session, served, state)
    marker = run_folder(served.settings, served.run).cancelled
    row = verbs.cancel(served.settings, session, served.run)
    assert (row.state, marker.is_file()) == ("cancelled", True)
    assert verbs.cancel(served.settings, session, served.run).state == "cancelled"
    row = verbs.resume(served.settings, session, served.run)
    assert (row.state, row.reason, row.attempt, marker.exists()) == ("queued", "", 2, False)
    assert jobs(session) == ["1", "2"]
    assert len(session.exec(select(WellRow)).all()) == 6


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_run_that_has_ended_is_neither_cancelled_nor_resumed(served, session, state):
    put(session, served, state)
    for verb in (verbs.cancel, verbs.resume):
        with pytest.raises(NotReady):
            verb(served.settings, session, served.run)
    assert not run_folder(served.settings, served.run).cancelled.exists()


def test_failed_wells_are_tried_again_all_or_those_named(served, session):
    fail(session, "B02", "B03")
    (served.folder / "corrected").mkdir()
    verbs.retry(served.settings, session, served.run, ["B03"])
    assert sorted(session.exec(select(WellRow.well)).all()) == ["B02", "B04", "B05", "C02", "C03"]
    assert not (served.folder / "corrected").exists()
    put(session, served, "failed")
    row = verbs.retry(served.settings, session, served.run)
    assert (row.state, row.attempt) == ("queued", 3)
    assert sorted(session.exec(select(WellRow.well)).all()) == ["B04", "B05", "C02", "C03"]


def submit_damaged(served, *wells):
    """As if an image of each well could not be read when the plate was submitted."""
    for well in wells:
        path = run_folder(served.settings, served.run).task(well)
        task = load(WellTask, path)
        broken = (replace(task.plan.images[0], reason="cut short"),)
        save(replace(task, plan=replace(task.plan, broken=broken)), path)


def test_a_well_that_was_submitted_damaged_is_not_tried_again(served, session):
    fail(session, "B02", "B03", "B04")
    submit_damaged(served, "B03", "B04")
    refused = says("retry.submitted_damaged", wells="B03, B04")
    with pytest.raises(NotReady, match=refused):
        verbs.retry(served.settings, session, served.run, ["B03", "B04"])
    row = verbs.retry(served.settings, session, served.run)
    assert (row.state, row.attempt) == ("queued", 2)
    assert sorted(session.exec(select(WellRow.well)).all()) == ["B03", "B04", "B05", "C02", "C03"]
    put(session, served, "done")
    with pytest.raises(NotReady, match=refused):
        verbs.retry(served.settings, session, served.run)
    # A run that failed as a whole goes on; its wells that cannot be mended keep their reason.
    put(session, served, "failed")
    assert verbs.retry(served.settings, session, served.run).state == "queued"
    assert len(session.exec(select(WellRow.well)).all()) == 5


def test_a_retry_without_a_cause_is_refused(served, session):
    with pytest.raises(NotReady):
        verbs.retry(served.settings, session, served.run)
    fail(session, "B02")
    with pytest.raises(NotFound):
        verbs.retry(served.settings, session, served.run, ["B02", "B03"])
    for state in GOING_ON:
        put(session, served, state)
        with pytest.raises(NotReady):
            verbs.retry(served.settings, session, served.run)


def test_a_run_of_another_version_is_not_gone_on_with(served, session, monkeypatch):
    fail(session, "B02")
    monkeypatch.setattr("imaging_service.jobs.records.RECORDS", 3)
    with pytest.raises(NotReady):
        verbs.retry(served.settings, session, served.run)
    session.rollback()
    assert len(session.exec(select(WellRow)).all()) == 6


@pytest.mark.parametrize("state", ENDED)
def test_a_deleted_run_leaves_nothing(served, session, state):
    put(session, served, state)
    session.add(
        ClaimRow(run_id=served.run, well="B02", field=1, reviewer="a", until=0.0, reading="")
    )
    session.commit()
    plates = served.settings.data_dir.resolve() / "plates"
    stored = plates / f"{session.exec(select(PlateRow.id)).one()}.zarr"
    stored.mkdir(parents=True)
    verbs.delete(served.settings, session, served.run)
    assert not served.folder.exists()
    assert not stored.exists()
    assert jobs(session) == []
    for table in (RunRow, WellRow, TableRow, ClaimRow, PlateRow):
        assert session.exec(select(table)).all() == [], table


def test_pixels_that_another_run_has_stay(served, session):
    row = session.get_one(RunRow, served.run)
    session.add(RunRow(**row.model_dump() | {"id": 64 * "0"}))
    session.commit()
    stored = served.settings.data_dir.resolve() / "plates" / f"{row.plate_id}.zarr"
    stored.mkdir(parents=True)
    verbs.delete(served.settings, session, served.run)
    assert stored.exists()
    assert session.exec(select(RunRow.id)).all() == [64 * "0"]


def test_the_priority_that_a_run_begins_with_is_the_last_one_it_was_given(
    served, session, monkeypatch
):
    run = put(session, served, "queued").id
    verbs.prefer(session, run[:12], "low")
    assert verbs.prefer(session, run[:12], "high").priority == "high"
    assert workflows.begin.__wrapped__(run, 1)["priority"] == "high"
    with pytest.raises(NotReady):
        verbs.prefer(session, run, "low")
    session.expire_all()
    assert session.get_one(RunRow, run).priority == "high"


@pytest.mark.parametrize("state", GOING_ON)
def test_a_run_that_goes_on_is_not_deleted(served, session, state):
    put(session, served, state)
    with pytest.raises(NotReady):
        verbs.delete(served.settings, session, served.run)
    assert served.folder.exists()
