"""Proof that a process sees the data folder that its database belongs to."""

from __future__ import annotations

import uuid
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow, StoreRow
from imaging_service.errors import Forbidden, StoreError
from imaging_service.files import write_bytes
from imaging_service.jobs.parallel.away import cause
from imaging_service.settings import Settings

# Changes nothing, and lets no other transaction do the same until this one ends.
_ALONE = "UPDATE imaging_service_version SET version_num = version_num"


def prove_store(settings: Settings) -> str:
    """The id that the data folder and the database share; a new one for a new pair.

    A process that took work without it would look for other workers' runs in the wrong folder, and
    fail them. Raises Forbidden where the two do not belong together, or where the folder holds runs
    and the database has none, StoreError where the folder cannot be written to.
    """
    file = settings.data_dir.resolve() / "store.id"
    try:
        with Session(database_engine(settings.url)) as session:
            known = session.exec(select(StoreRow.id)).first() or _tied(session, settings, file)
        # After the database, which knows the id only once it is in the file.
        kept = _kept(file)
        write_bytes(file.with_name("store.probe"), b"")
    except Forbidden:
        raise
    except OSError as error:
        raise StoreError(
            f"the data folder {file.parent} cannot be written to ({cause(error)}); make it"
            " writable, or set IMAGING_SERVICE_DATA_DIR to another"
        ) from error
    if kept != known:
        raise Forbidden(
            f"the data folder {file.parent} is not the one of this database"
            f" ({file.name} holds {kept or 'nothing'}, the database {known}): its runs lie"
            " elsewhere; set IMAGING_SERVICE_DATA_DIR to their folder, or"
            " IMAGING_SERVICE_DATABASE_URL to another database"
        )
    return known


def _kept(file: Path) -> str:
    return file.read_text(encoding="ascii").strip() if file.is_file() else ""


def _tied(session: Session, settings: Settings, file: Path) -> str:
    """Give a new database the id of its folder, or both a new one; returns the database's.

    One process at a time: a server and its workers start together, and two ids would fit neither.
    """
    session.connection().execute(sa.text(_ALONE))
    known = session.exec(select(StoreRow.id)).first()
    if known is None:
        _refuse_foreign_runs(session, settings)
        known = _kept(file) or uuid.uuid4().hex
        session.add(StoreRow(id=known))
        session.flush()
        write_bytes(file, known.encode())
        session.commit()
    return known


def _refuse_foreign_runs(session: Session, settings: Settings) -> None:
    """Refuse a database without runs beside a folder that is full of them.

    Its pages would be empty, without a word, and a plate that is submitted again would take the
    folder of the run that it had.
    """
    runs = settings.run_root("")
    there = sum(1 for run in runs.iterdir() if run.is_dir()) if runs.is_dir() else 0
    if there and session.exec(select(RunRow.id).limit(1)).first() is None:
        raise Forbidden(
            f"the data folder {runs.parent} holds {there} run{'' if there == 1 else 's'}, and its"
            " database none: set IMAGING_SERVICE_DATABASE_URL to the database of these runs, or"
            " restore its backup, or set IMAGING_SERVICE_DATA_DIR to another folder to begin anew"
        )
