"""Handing exports to the worker: the export's row and its workflow in one transaction."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.database.session import database_engine, find_export, find_run, find_screen
from imaging_service.database.tables import ExportRow, RunRow, ScreenRow
from imaging_service.errors import NotFound, NotReady, QuotaReached
from imaging_service.jobs.durable.job_rows import GOING_ON, Ordered
from imaging_service.jobs.durable.opening import EXPORTS, has_job
from imaging_service.jobs.exports.bundle import ExportOrder, lay_out, tables_of
from imaging_service.jobs.exports.workflow import export_folder
from imaging_service.jobs.screens.workflow import screen_folder
from imaging_service.orders import NewExport
from imaging_service.settings import Settings

EXPORT = Ordered("export", EXPORTS, "write_export")
# Of a project. They are kept until an operator removes them, a viewer may order them, and what
# fills the disk stops every laboratory.
MOST_EXPORTS = 200


def order_export(
    settings: Settings, session: Session, wanted: NewExport, project: str, author: str
) -> ExportRow:
    """Queue an export of a run or screen of a project; commits.

    The same tables in the same form are the same export, which is returned as it stands; one that
    failed, or whose file was lost, is written again. Raises NotFound for a run, screen or table
    that the project does not have, NotReady for a run or screen that is not done, QuotaReached
    where the project keeps as many exports as it may.
    """
    source, folder, revision = _source(settings, session, wanted, project)
    there = tables_of(folder, run=bool(wanted.run))
    if unknown := [name for name in wanted.tables if name not in there]:
        raise NotFound(f"there is no table {unknown[0]!r}; {source.id[:12]} has {', '.join(there)}")
    order = ExportOrder(
        project=project,
        run=source.id if isinstance(source, RunRow) else "",
        screen=source.id if isinstance(source, ScreenRow) else "",
        revision=revision,
        attempt=source.attempt,
        submitted_at=source.submitted_at,
        tables=tuple(name for name in there if name in (wanted.tables or there)),
        format=wanted.format,
    )
    row = session.get(ExportRow, order.id)
    if row is not None and row.state != "failed" and not _lost(settings, row):
        return row
    if row is None:
        _check_number(session, project)
    lay_out(order, export_folder(settings, project, order.id))
    if row is None:
        row = ExportRow(
            id=order.id,
            project_id=project,
            run_id=order.run,
            screen_id=order.screen,
            source_attempt=order.attempt,
            revision=revision,
            tables=" ".join(order.tables),
            n_tables=len(order.tables),
            format=order.format,
            author=author,
        )
        session.add(row)
    else:
        # The cause may be gone by now.
        row.state, row.reason, row.attempt = "queued", "", row.attempt + 1
        row.written, row.size, row.sha256 = 0, None, None
    try:
        EXPORT.enqueue(settings, session, row)
    except sa.exc.IntegrityError:
        # The same order arrived twice at once; the other one was faster.
        session.rollback()
        return find_export(session, project, order.id)
    session.refresh(row)
    return row


def delete_export(settings: Settings, session: Session, project: str, export: str) -> None:
    """Remove an export that has ended, with its file; run and screen stay.

    Raises NotReady for one that goes on, Busy while a backup is being made.
    """
    row = find_export(session, project, export)
    EXPORT.remove(settings, session, row, export_folder(settings, project, export))


def adopt_exports(settings: Settings) -> list[str]:
    """Queue exports again whose jobs an older version left; returns their ids."""
    adopted = []
    with Session(database_engine(settings.url)) as session:
        going_on = session.exec(select(ExportRow).where(col(ExportRow.state).in_(GOING_ON))).all()
        for row in going_on:
            if not has_job(session, EXPORT.job(row)):
                adopted.append(row.id)
                row.state, row.attempt = "queued", row.attempt + 1
                EXPORT.enqueue(settings, session, row)
    return adopted


def exported_file(settings: Settings, row: ExportRow) -> Path:
    """The zip of an export. Raises NotReady until it is done, NotFound where it was lost."""
    if row.state != "done":
        why = f": {row.reason}" if row.reason else ""
        raise NotReady(f"export {row.id} is {row.state}{why}; its file exists once it is done")
    if _lost(settings, row):
        raise NotFound(f"the file of export {row.id} is gone; order the export again")
    return _file(settings, row)


def _file(settings: Settings, row: ExportRow) -> Path:
    return export_folder(settings, row.project_id, row.id) / f"{row.id}.zip"


def _lost(settings: Settings, row: ExportRow) -> bool:
    """Whether an export is done and has no file: on a disk that was cleared, or not restored."""
    return row.state == "done" and not _file(settings, row).is_file()


def _source(
    settings: Settings, session: Session, wanted: NewExport, project: str
) -> tuple[RunRow | ScreenRow, Path, int]:
    """The row of a run or screen that is done, its folder, and the revision of its tables."""
    source: RunRow | ScreenRow
    if wanted.run:
        source = find_run(session, wanted.run)
        if source.project_id != project:
            # The same words as for a run that does not exist.
            raise NotFound(f"there is no run {wanted.run}")
        folder, revision = settings.run_root(source.id), source.revision
    else:
        source = find_screen(session, project, wanted.screen)
        folder, revision = screen_folder(settings, project, source.id), 0
    if source.state != "done":
        raise NotReady(f"{source.id[:12]} is {source.state}; its tables exist once it is done")
    return source, folder, revision


def _check_number(session: Session, project: str) -> None:
    query = select(sa.func.count(col(ExportRow.id))).where(ExportRow.project_id == project)
    kept = int(session.exec(query).one())
    if kept >= MOST_EXPORTS:
        raise QuotaReached(
            f"project {project} keeps {kept} export{'' if kept == 1 else 's'}, and may keep"
            f" {MOST_EXPORTS}; remove what is not needed any more"
        )
