"""Ordering exports."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from imaging_service.database.tables import ExportRow, RunRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.errors import NotFound, NotReady, QuotaReached
from imaging_service.jobs.durable.queue import job_client
from imaging_service.jobs.exports import queue
from imaging_service.jobs.exports.queue import adopt_exports, delete_export, order_export
from imaging_service.jobs.exports.workflow import export_folder
from imaging_service.orders import NewExport
from tests.messages import says, states


@pytest.fixture
def order(exporting):
    settings = exporting.screened.settings

    def ordered(project=LOCAL_PROJECT, **wanted):
        with exporting.screened.session() as session:
            return order_export(settings, session, NewExport(**wanted), project, "ann")

    return ordered


def test_the_same_tables_in_the_same_form_are_one_export(order, exporting):
    one, two = exporting.screened.runs[:2]
    first = order(run=one, tables=["wells"])
    assert order(run=one[:64], tables=["wells"]).id == first.id
    others = [
        order(run=two, tables=["wells"]),
        order(run=one, tables=["wells"], format="csv"),
        order(run=one),
    ]
    assert len({first.id, *(row.id for row in others)}) == 4
    assert (first.state, first.author, first.tables) == ("queued", "ann", "wells")


def test_one_that_failed_is_tried_again(order, exporting):
    run = exporting.screened.runs[0]
    with exporting.screened.session() as session:
        session.exec(
            sa.update(ExportRow)
            .where(ExportRow.id == order(run=run).id)
            .values(state="failed", reason="disk full")
        )
        session.commit()
    again = order(run=run)
    assert (again.state, again.reason, again.attempt) == ("queued", "", 2)


def test_what_the_project_does_not_have_is_not_there(order, exporting):
    run = exporting.screened.runs[0]
    with pytest.raises(NotFound, match=says("export.no_such_table")):
        order(run=run, tables=["wells", "nothing"])
    with pytest.raises(NotFound):
        order(run=run, project="other")
    with pytest.raises(NotFound):
        order(screen="f" * 16)
    with exporting.screened.session() as session:
        session.exec(sa.update(RunRow).where(RunRow.id == run).values(state="running"))
        session.commit()
    with pytest.raises(NotReady, match=says("export.source_not_done")):
        order(run=run)


def test_an_export_that_goes_on_is_not_removed_and_its_job_goes_with_it(order, exporting):
    settings = exporting.screened.settings
    export = order(run=exporting.screened.runs[0]).id
    with exporting.screened.session() as session, pytest.raises(NotReady):
        delete_export(settings, session, LOCAL_PROJECT, export)
    assert exporting.work(export) == "done"
    with exporting.screened.session() as session:
        delete_export(settings, session, LOCAL_PROJECT, export)
    assert exporting.get(export).status_code == 404
    jobs = job_client(settings.url).list_workflows(workflow_id_prefix=f"export:{export}")
    assert jobs == []
    assert not (settings.project_root(LOCAL_PROJECT) / "exports" / export).exists()


def test_an_export_whose_job_is_gone_is_queued_again(order, exporting):
    settings = exporting.screened.settings
    export = order(run=exporting.screened.runs[0]).id
    assert adopt_exports(settings) == []
    client = job_client(settings.url)
    client.delete_workflows([f"export:{export}:1"])
    assert adopt_exports(settings) == [export]
    assert exporting.row(export).attempt == 2
    (job,) = client.list_workflows(workflow_id_prefix=f"export:{export}")
    assert job.workflow_id == f"export:{export}:2"


def began_anew(exporting, run):
    """The run was removed and submitted again: its id, attempt and revision are those of before."""
    with exporting.screened.session() as session:
        row = session.get_one(RunRow, run)
        row.submitted_at += timedelta(hours=1)
        session.commit()


def test_a_run_that_was_removed_and_submitted_again_makes_another_export(order, exporting):
    run = exporting.screened.runs[0]
    first = order(run=run, tables=["wells"]).id
    assert exporting.work(first) == "done"
    began_anew(exporting, run)
    second = order(run=run, tables=["wells"])
    assert (second.id == first, second.state) == (False, "queued")
    assert exporting.work(second.id) == "done"


def test_an_export_of_a_run_that_was_removed_and_submitted_again_ends(order, exporting):
    run = exporting.screened.runs[0]
    export = order(run=run).id
    began_anew(exporting, run)
    assert exporting.work(export) == "failed"
    assert states("export.source_gone", exporting.row(export).reason)


def test_a_project_keeps_so_many_exports_and_no_more(order, exporting, monkeypatch):
    """A viewer may order them, and what fills the disk stops every laboratory."""
    monkeypatch.setattr(queue, "MOST_EXPORTS", 1)
    run = exporting.screened.runs[0]
    first = order(run=run)
    with pytest.raises(QuotaReached, match=says("export.too_many")):
        order(run=run, format="csv")
    assert order(run=run).id == first.id
    folder = export_folder(exporting.screened.settings, LOCAL_PROJECT, first.id)
    assert list(folder.parent.iterdir()) == [folder]
