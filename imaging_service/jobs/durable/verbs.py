"""What a user may do with a run after its submission: cancel, resume, retry, delete, prefer."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.database.session import find_run, well_rows
from imaging_service.database.tables import ClaimRow, MapRow, PlateRow, RunRow, TableRow, WellRow
from imaging_service.errors import NotFound, NotReady
from imaging_service.files import write_bytes
from imaging_service.jobs.durable.holding import no_backup
from imaging_service.jobs.durable.queue import begin_again, forget_jobs, stored_plate
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.jobs.records import submitted_damaged
from imaging_service.jobs.reuse import measured_folder
from imaging_service.settings import Settings

GOING_ON = ("queued", "running", "waiting")


def cancel(settings: Settings, session: Session, run_id: str) -> RunRow:
    """Stop a run that is going on; wells that are being analysed end before their next field.

    Wells that are done stay done. Raises NotReady for a run that has ended.
    """
    row = find_run(session, run_id)
    changed = session.connection().execute(
        sa.update(RunRow)
        .where(col(RunRow.id) == row.id, col(RunRow.state).in_(GOING_ON))
        .values(state="cancelled", reason="cancelled by a user")
    )
    if not changed.rowcount and row.state != "cancelled":
        raise NotReady(f"run {row.id[:12]} is {row.state}; only a run that goes on is cancelled")
    # Before the commit: a worker that sees the row must see the file as well.
    write_bytes(run_folder(settings, row.id).cancelled, b"")
    session.commit()
    session.refresh(row)
    return row


def resume(settings: Settings, session: Session, run_id: str) -> RunRow:
    """Let a cancelled run go on with the wells that are not done.

    Raises NotReady for a run that was not cancelled.
    """
    row = find_run(session, run_id)
    if row.state != "cancelled":
        raise NotReady(f"run {row.id[:12]} is {row.state}; only a cancelled run is resumed")
    begin_again(settings, session, row, wells=())
    return row


def retry(
    settings: Settings, session: Session, run_id: str, wells: Sequence[str] | None = None
) -> RunRow:
    """Analyse a run's failed wells again, all or those given.

    Wells that were submitted damaged stay failed. Raises NotReady where that is all of them, and
    for a run that goes on, NotFound for wells that did not fail.
    """
    row = find_run(session, run_id)
    if row.state in GOING_ON:
        raise NotReady(
            f"run {row.id[:12]} is {row.state}; its failed wells are tried again once it has ended"
        )
    failed = {w.well for w in well_rows(session, row.id) if w.status == "failed"}
    strange = sorted(set(wells or ()) - failed)
    if strange:
        raise NotFound(
            f"run {row.id[:12]}: {', '.join(strange)} did not fail; failed:"
            f" {', '.join(sorted(failed)) or 'none'}"
        )
    if row.state == "done" and not failed:
        raise NotReady(f"run {row.id[:12]} is done, and none of its wells failed")
    asked = failed if wells is None else set(wells)
    damaged = submitted_damaged(run_folder(settings, row.id), asked)
    again = sorted(asked.difference(damaged))
    if damaged and not again and (wells is not None or row.state == "done"):
        raise NotReady(
            f"run {row.id[:12]}: {', '.join(damaged)} cannot be tried again: images were damaged or"
            " missing when the plate was submitted, and a run keeps to its files as they were then;"
            " mend the scan, and submit the plate again"
        )
    with no_backup(settings):
        begin_again(settings, session, row, again)
    return row


def prefer(session: Session, run_id: str, priority: str) -> RunRow:
    """Change the priority of a run that has not begun.

    Raises NotReady for any other: its wells have their places already.
    """
    row = find_run(session, run_id)
    changed = session.connection().execute(
        sa.update(RunRow)
        .where(col(RunRow.id) == row.id, col(RunRow.state) == "queued")
        .values(priority=priority)
    )
    session.commit()
    session.refresh(row)
    if not changed.rowcount:
        raise NotReady(
            f"run {row.id[:12]} is {row.state}; a priority is changed while the run is queued"
        )
    return row


def delete(settings: Settings, session: Session, run_id: str) -> None:
    """Remove a run with its tables, labels and review, and its pixels where no other run has them.

    Raises NotReady for a run that goes on, Busy while a backup is being made.
    """
    row = find_run(session, run_id)
    if row.state in GOING_ON:
        raise NotReady(f"run {row.id[:12]} is {row.state}; cancel it before you delete it")
    with no_backup(settings):
        _delete(settings, session, row)


def _delete(settings: Settings, session: Session, row: RunRow) -> None:
    identity, plate, project = row.id, row.plate_id, row.project_id
    # First: a job that is known by its name is not run again when the plate is submitted again.
    forget_jobs(settings, identity)
    for table in (TableRow, WellRow, ClaimRow):
        session.execute(sa.delete(table).where(col(table.run_id) == identity))
    session.delete(row)
    session.flush()
    others = session.exec(select(RunRow.id).where(RunRow.plate_id == plate).limit(1)).first()
    if others is None:
        session.execute(sa.delete(MapRow).where(col(MapRow.plate_id) == plate))
        session.execute(sa.delete(PlateRow).where(col(PlateRow.id) == plate))
    session.commit()
    # After the commit: a kill in between leaves files that no row names, never rows without files.
    shutil.rmtree(run_folder(settings, identity).root, ignore_errors=True)
    if others is None:
        stored = stored_plate(settings, project, plate)
        shutil.rmtree(stored, ignore_errors=True)
        shutil.rmtree(measured_folder(stored), ignore_errors=True)
