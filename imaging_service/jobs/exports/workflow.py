"""The durable workflow of an export: write its tables one by one, zip them, commit.

Every step may run again after a kill and leaves the same. What is away or full is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dbos import DBOS
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.database.tables import ExportRow, RunRow, ScreenRow
from imaging_service.errors import NotFound
from imaging_service.jobs.durable.job_rows import set_row, tried
from imaging_service.jobs.durable.patience import Patience
from imaging_service.jobs.durable.workflows import Context, patience_s
from imaging_service.jobs.exports.bundle import read_order, write_table, zip_tables
from imaging_service.jobs.screens.workflow import screen_folder
from imaging_service.settings import Settings


def export_folder(settings: Settings, project: str, export: str) -> Path:
    """The folder of an export's files."""
    return settings.project_root(project) / "exports" / export


@DBOS.workflow(name="write_export")
def write_export(export: str, attempt: int) -> str:
    """Write one export, from its order to its zip.

    An error that ends it early becomes the export's reason, so that none stays "running".
    """
    try:
        return _write(export, attempt)
    except Exception as error:  # noqa: BLE001 - or the export would stay "running" for ever
        fail_export(export, attempt, f"{type(error).__name__}: {error}")
        return "failed"


def _write(export: str, attempt: int) -> str:
    how = began = begin_export(export, attempt)
    steps: list[Callable[[], dict[str, Any]]] = [
        *(partial(write_one, export, attempt, number) for number in range(began["tables"])),
        partial(finish_export, export, attempt),
    ]
    for step in steps:
        if how["status"] != "running":
            break
        patience = Patience(began["patience_s"])
        how = step()
        while how["status"] == "waiting" and _waited(export, attempt, patience, how["reason"]):
            how = step()
    if how["status"] in ("waiting", "failed"):
        fail_export(export, attempt, str(how["reason"]))
        return "failed"
    return str(how["status"])


def _waited(export: str, attempt: int, patience: Patience, reason: str) -> bool:
    """Show the export as waiting, and pause; False once its patience is used up."""
    pause = patience.pause()
    if pause is None or not wait_export(export, attempt, reason):
        return False
    DBOS.sleep(pause)
    return True


@DBOS.step(name="begin_export")
def begin_export(export: str, attempt: int) -> dict[str, Any]:
    """Mark the export as running; gives its number of tables."""
    going_on = set_row(ExportRow, export, attempt, state="running", reason="", written=0)
    return {
        "status": "running" if going_on else "superseded",
        "reason": "",
        "patience_s": patience_s(),
        "tables": _row(export).n_tables if going_on else 0,
    }


@DBOS.step(name="write_one")
def write_one(export: str, attempt: int, number: int) -> dict[str, Any]:
    """Write the table of that number, from 0."""

    def work() -> None:
        row = _row(export)
        source = _source(row)
        folder = export_folder(Context.settings, row.project_id, export)
        Context.cluster.run(write_table, folder, source, number, key=f"export-{export}-{number}")

    how = tried(work)
    if how["status"] == "running" and not set_row(
        ExportRow, export, attempt, state="running", reason="", written=number + 1
    ):
        return {"status": "superseded", "reason": ""}
    return how


@DBOS.step(name="finish_export")
def finish_export(export: str, attempt: int) -> dict[str, Any]:
    """Zip the tables, and mark the export as done."""
    written: dict[str, Any] = {}

    def work() -> None:
        folder = export_folder(Context.settings, _row(export).project_id, export)
        size, digest = Context.cluster.run(zip_tables, folder, key=f"export-{export}-zip")
        written.update(size=size, sha256=digest)

    how = tried(work)
    if how["status"] != "running":
        return how
    done = set_row(ExportRow, export, attempt, state="done", reason="", **written)
    return {"status": "done" if done else "superseded", "reason": ""}


@DBOS.step(name="wait_export")
def wait_export(export: str, attempt: int, reason: str) -> bool:
    """Show what the export waits for; False where it was begun again, or removed, meanwhile."""
    return set_row(ExportRow, export, attempt, state="waiting", reason=reason)


@DBOS.step(name="fail_export")
def fail_export(export: str, attempt: int, reason: str) -> None:
    """Mark the export as failed."""
    set_row(ExportRow, export, attempt, state="failed", reason=reason)


def _row(export: str) -> ExportRow:
    with Session(database_engine(Context.settings.url)) as session:
        row = session.get(ExportRow, export)
    if row is None:
        raise NotFound(f"export {export} was removed")
    return row


def _source(row: ExportRow) -> Path:
    """The folder of the run or screen. Raises NotFound once it was removed or begun again."""
    with Session(database_engine(Context.settings.url)) as session:
        of_run = session.get(RunRow, row.run_id) if row.run_id else None
        of_screen = session.get(ScreenRow, row.screen_id) if row.screen_id else None
    source = of_run or of_screen
    order = read_order(export_folder(Context.settings, row.project_id, row.id))
    begun = (order.attempt, order.submitted_at)
    if source is None or source.state != "done" or (source.attempt, source.submitted_at) != begun:
        raise NotFound(
            f"{'run' if row.run_id else 'screen'} {(row.run_id or row.screen_id)[:16]} was removed"
            " or begun again since the export was ordered; order it again"
        )
    if row.run_id:
        return Context.settings.run_root(row.run_id)
    return screen_folder(Context.settings, row.project_id, row.screen_id)
