"""Rows of jobs (screens, exports): changed while they are of one attempt, and how work ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from imaging_service.database.session import database_engine
from imaging_service.errors import ServiceError
from imaging_service.jobs.durable.patience import attempted, until_written
from imaging_service.jobs.durable.workflows import Context, data_folder, patience_s


def set_row(table: type[SQLModel], identity: str, attempt: int, **values: object) -> bool:
    """Change a job's row; False where it was begun again, or removed, meanwhile."""

    def change() -> bool:
        with Session(database_engine(Context.settings.url)) as session:
            changed = session.connection().execute(
                sa.update(table).filter_by(id=identity, attempt=attempt).values(**values)
            )
            session.commit()
            return bool(changed.rowcount)

    return until_written(change, patience_s())


def tried(work: Callable[[], None]) -> dict[str, Any]:
    """How the work ended: "running" where it succeeded and the job goes on."""
    try:
        _, how = attempted(work, data_folder())
    except ServiceError as error:
        return {"status": "failed", "reason": str(error)}
    return how or {"status": "running", "reason": ""}
