"""Rows of ordered jobs (screens, exports): queued, changed within one attempt, and removed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from imaging_service.database.session import database_engine
from imaging_service.database.tables import ExportRow, ScreenRow
from imaging_service.errors import NotReady, ServiceError
from imaging_service.jobs.durable.holding import no_backup
from imaging_service.jobs.durable.opening import APPLICATION_VERSION
from imaging_service.jobs.durable.patience import attempted, until_written
from imaging_service.jobs.durable.queue import forget_jobs, job_client
from imaging_service.jobs.durable.workflows import Context, data_folder, patience_s
from imaging_service.settings import Settings

if TYPE_CHECKING:
    from dbos import EnqueueOptions

GOING_ON = ("queued", "running", "waiting")


@dataclass(frozen=True)
class Ordered:
    """A kind of ordered job: its name, its queue, and its workflow of a row's id and attempt."""

    name: str
    queue: str
    workflow: str

    def job(self, row: ScreenRow | ExportRow) -> str:
        """The job's id."""
        return f"{self.name}:{row.id}:{row.attempt}"

    def enqueue(self, settings: Settings, session: Session, row: ScreenRow | ExportRow) -> None:
        """Queue the row's job and commit, in one transaction with the row."""
        session.flush()
        options: EnqueueOptions = {
            "queue_name": self.queue,
            "workflow_name": self.workflow,
            "workflow_id": self.job(row),
            "app_version": APPLICATION_VERSION,
        }
        job_client(settings.url).enqueue_in_transaction(session, options, row.id, row.attempt)
        session.commit()

    def remove(
        self, settings: Settings, session: Session, row: ScreenRow | ExportRow, folder: Path
    ) -> None:
        """Remove a row that has ended, its jobs and its folder.

        Raises NotReady for one that goes on, Busy while a backup is being made.
        """
        if row.state in GOING_ON:
            raise NotReady(f"{self.name} {row.id} is {row.state}; remove it once it has ended")
        with no_backup(settings):
            forget_jobs(settings, f"{self.name}:{row.id}")
            session.delete(row)
            session.commit()
            # After the commit: a kill in between leaves files that no row names.
            shutil.rmtree(folder, ignore_errors=True)


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
