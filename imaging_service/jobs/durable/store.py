"""Proof that a process sees the data folder that its database belongs to."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import StoreRow
from imaging_service.errors import Forbidden, StoreError
from imaging_service.files import write_bytes
from imaging_service.jobs.parallel.away import cause
from imaging_service.settings import Settings


def prove_store(settings: Settings) -> str:
    """The id that the data folder and the database share; a new one for a new pair.

    A process that took work without it would look for other workers' runs in the wrong folder, and
    fail them. Raises Forbidden where the two do not belong together, StoreError where the folder
    cannot be written to.
    """
    file = settings.data_dir.resolve() / "store.id"
    try:
        kept = file.read_text(encoding="ascii").strip() if file.is_file() else ""
        with Session(database_engine(settings.url)) as session:
            known = session.exec(select(StoreRow.id)).first()
            if known is None:
                known = kept or uuid.uuid4().hex
                session.add(StoreRow(id=known))
                try:
                    session.commit()
                except sa.exc.IntegrityError:
                    session.rollback()
                if not kept:
                    write_bytes(file, known.encode())
                    kept = known
        write_bytes(file.with_name("store.probe"), b"")
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
