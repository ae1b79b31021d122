"""Work that an older version left unfinished: begun again from pixels, never mixed.

A run belongs to the version that began it, whose rules are part of its id. Wells of two versions
beside each other in one table would differ for no reason that a reader could see.
"""

from __future__ import annotations

from contextlib import suppress

from pydantic import ValidationError
from sqlalchemy.exc import NoResultFound
from sqlmodel import Session, col, select

from imaging_service import __version__
from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow
from imaging_service.errors import ServiceError
from imaging_service.jobs.durable.opening import APPLICATION_VERSION, REVIEWS, has_job
from imaging_service.jobs.durable.queue import (
    begin_again,
    job_client,
    request_review,
    submit_run,
)
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.jobs.records import RunRecord, is_current, load
from imaging_service.settings import Settings


def adopt_older(settings: Settings) -> dict[str, str]:
    """Look at every run that is not finished; run ► what became of those of other versions.

    One of this version whose jobs are of an older job engine's version goes on as its next attempt.
    """
    with Session(database_engine(settings.url)) as session:
        going_on = session.exec(
            select(RunRow.id).where(col(RunRow.state).in_(("queued", "running", "waiting")))
        ).all()
    became = {}
    for run in going_on:
        record = _record(settings, run)
        if record is None or not is_current(record):
            became[run] = _anew(settings, run, record)
            continue
        with Session(database_engine(settings.url)) as session:
            row = session.get_one(RunRow, run)
            if not has_job(session, f"{row.id}:{row.attempt}"):
                begin_again(settings, session, row, wells=())
                became[run] = "goes on"
    return became


def adopt_reviews(settings: Settings) -> list[str]:
    """Ask again for the corrected tables that jobs of an older version were to make; their runs."""
    client = job_client(settings.url)
    waiting = client.list_workflows(
        queue_name=REVIEWS,
        status=["ENQUEUED", "PENDING"],
        load_input=False,
        load_output=False,
    )
    older = [job.workflow_id for job in waiting if job.app_version != APPLICATION_VERSION]
    runs = sorted({identity.split(":")[0] for identity in older})
    for run in runs:
        with suppress(NoResultFound):
            request_review(settings, run, again=True)
    for identity in older:
        client.cancel_workflow(identity)
    return runs


def _record(settings: Settings, run: str) -> RunRecord | None:
    """The run's record; None where this version cannot read it."""
    try:
        return load(RunRecord, run_folder(settings, run).record)
    except (ValidationError, FileNotFoundError):
        return None


def _anew(settings: Settings, run: str, record: RunRecord | None) -> str:
    """Submit the run's inputs to this version, and end the old run with what became of it."""
    refused = "its record cannot be read"
    began = "it was begun by an older version"
    new = ""
    if record is not None:
        began = f"it was begun by version {record.software_version}, of other rules"
        try:
            new = submit_run(settings, record.inputs)
        except ServiceError as error:
            refused = str(error)
    reason = (
        f"{began}, and is begun again by {__version__} as run {new[:12]}"
        if new
        else f"{began}, and {__version__} cannot go on with it ({refused}); submit the plate again"
    )
    with Session(database_engine(settings.url)) as session:
        row = session.get_one(RunRow, run)
        row.state, row.reason, row.attempt = "failed", reason, row.attempt + 1
        session.commit()
    return reason
