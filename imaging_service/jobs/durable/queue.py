"""Handing runs to the worker: the run's row and its workflow in one transaction."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from dbos import (
    DBOSClient,
    DBOSPortableJSONSerializer,
    EnqueueOptions,
)
from sqlmodel import Session, col

from imaging_service import __version__
from imaging_service.access.limits import check_runs, hold
from imaging_service.access.members import find_project
from imaging_service.database.maps import map_version
from imaging_service.database.protocols import keep_protocol
from imaging_service.database.session import database_engine
from imaging_service.database.tables import PlateRow, RunRow, WellRow
from imaging_service.errors import NotReady
from imaging_service.ingest.images.digests import combine
from imaging_service.ingest.plan import PlatePlan
from imaging_service.jobs.durable.holding import no_backup
from imaging_service.jobs.durable.opening import APPLICATION_VERSION, PLATES, REVIEWS
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.jobs.plan import identify, lay_out, plate_key
from imaging_service.jobs.records import RunInputs, RunRecord, is_current, load
from imaging_service.review.log import ReviewLog
from imaging_service.settings import LOCAL_PROJECT, Settings


@lru_cache
def job_client(url: str) -> DBOSClient:
    """The job engine's client outside the worker. Portable JSON: the default stores pickles."""
    return DBOSClient(system_database_url=url, serializer=DBOSPortableJSONSerializer())


def forget_jobs(settings: Settings, run_id: str) -> None:
    """Remove what the job engine keeps of a run's jobs."""
    client = job_client(settings.url)
    jobs = client.list_workflows(
        workflow_id_prefix=f"{run_id}:", load_input=False, load_output=False
    )
    if jobs:
        client.delete_workflows([job.workflow_id for job in jobs])


def submit_run(settings: Settings, inputs: RunInputs) -> str:
    """Check the inputs, write the run's record, and queue it; returns the run's id.

    The same plate, map, protocol and engine are the same run, which is returned as it stands; one
    that failed or was cancelled is tried again. Raises the errors of `identify`.
    """
    return queue_run(settings, *identify(inputs))


def queue_run(
    settings: Settings,
    record: RunRecord,
    plan: PlatePlan,
    project: str = LOCAL_PROJECT,
    author: str = "",
    priority: str = "normal",
) -> str:
    """Write an identified run's record and queue it in a project, as `submit_run` does.

    A map that the plate has not had becomes its next version, given by `author`. A run that is
    there already keeps its priority.

    The same plate in two projects is two runs with two copies of the pixels: what one laboratory
    does to its run must not be seen, or undone, by another. Raises QuotaReached for a new run of a
    laboratory that has as many as it may.
    """
    if project != LOCAL_PROJECT:
        record = replace(record, run_id=in_project(record.run_id, project))
    with Session(database_engine(settings.url)) as session:
        if session.get(RunRow, record.run_id) is None:
            check_runs(session, project)
    folder = run_folder(settings, record.run_id)
    key = in_project(plate_key(record), project)
    record = lay_out(record, plan, folder, stored_plate(settings, project, key))
    with Session(database_engine(settings.url)) as session:
        hold(session, project)
        row = session.get(RunRow, record.run_id)
        if row is None:
            # Once more: laying it out takes seconds, in which others were queued.
            check_runs(session, project)
            row = _new_run(session, record, project, key)
            row.priority = priority
            row.map_version = map_version(
                session,
                key,
                record.plate_map_digest,
                record.inputs.plate_map_records,
                source=record.inputs.plate_map_source,
                author=author,
            )
            row.protocol_digest = record.protocol_digest
            keep_protocol(
                session,
                project,
                record.protocol_digest,
                record.inputs.protocol.model_dump(mode="json", exclude_none=True),
                author,
            )
            enqueue(settings, session, row)
        elif row.state in ("failed", "cancelled"):
            # The cause may be gone by now. Wells that are done stay done; the others are tried
            # again.
            with no_backup(settings):
                begin_again(settings, session, row)
    return record.run_id


def begin_again(
    settings: Settings, session: Session, row: RunRow, wells: Sequence[str] | None = None
) -> None:
    """Queue a run once more, as its next attempt; commits.

    Failed wells, all or those given, are analysed again; wells that are done stay done. Raises
    NotReady for a run that another version began: wells of two versions are never mixed.
    """
    record = load(RunRecord, run_folder(settings, row.id).record)
    if not is_current(record):
        raise NotReady(
            f"run {row.id[:12]} was begun by another version ({record.software_version}, this is"
            f" {__version__}); submit the plate again"
        )
    failed = sa.delete(WellRow).where(
        col(WellRow.run_id) == row.id, col(WellRow.status) == "failed"
    )
    session.execute(failed if wells is None else failed.where(col(WellRow.well).in_(wells)))
    folder = run_folder(settings, row.id)
    folder.cancelled.unlink(missing_ok=True)
    # The tables that followed the review are of wells that will have changed.
    shutil.rmtree(folder.root / "corrected", ignore_errors=True)
    row.state, row.reason, row.attempt = "queued", "", row.attempt + 1
    enqueue(settings, session, row)


def enqueue(settings: Settings, session: Session, row: RunRow) -> None:
    """Queue the run's workflow and commit, in one transaction with the row.

    Each laboratory has its own part of the queue, in which its runs begin one after another.
    """
    session.flush()
    options: EnqueueOptions = {
        "queue_name": PLATES,
        "workflow_name": "analyse_plate",
        "workflow_id": f"{row.id}:{row.attempt}",
        "app_version": APPLICATION_VERSION,
        "queue_partition_key": find_project(session, row.project_id).lab_id,
    }
    job_client(settings.url).enqueue_in_transaction(session, options, row.id, row.attempt)
    session.commit()


def request_review(settings: Settings, run_id: str, *, again: bool = False) -> int:
    """Queue the correction of a run's tables; returns the revision that they will reach.

    They may reach a later one: a job takes in all corrections that were made before its start, and
    the jobs of those corrections then end at once.
    """
    revision = ReviewLog(run_folder(settings, run_id).root).revision()
    with Session(database_engine(settings.url)) as session:
        row = session.get_one(RunRow, run_id)
        key = f"{run_id}:review:{revision}"
        if row.attempt > 1:
            key = f"{key}:attempt-{row.attempt}"
        if row.review_reason or again:
            # The cause of the failure may be gone by now, and a failed job is not run again under
            # its own name.
            key, row.review_reason = f"{key}:{uuid.uuid4().hex[:8]}", ""
        elif row.revision == revision:
            return revision
        options: EnqueueOptions = {
            "queue_name": REVIEWS,
            "workflow_name": "follow_review",
            "workflow_id": key,
            "app_version": APPLICATION_VERSION,
        }
        job_client(settings.url).enqueue_in_transaction(session, options, run_id)
        session.commit()
    return revision


def stored_plate(settings: Settings, project: str, plate: str) -> Path:
    """The converted plate of that id."""
    return settings.project_root(project) / "plates" / f"{plate}.zarr"


def in_project(digest: str, project: str) -> str:
    """The id that a run or plate has in a project; in the local one its digest."""
    return digest if project == LOCAL_PROJECT else combine([("", digest), ("project", project)])


def _new_run(session: Session, record: RunRecord, project: str, key: str) -> RunRow:
    """Add the run's row, and its plate's if it is new."""
    if session.get(PlateRow, key) is None:
        session.add(
            PlateRow(
                id=key,
                project_id=project,
                name=record.plate_name,
                rows=record.plate_format.rows,
                columns=record.plate_format.columns,
                channels=json.dumps(record.channels),
                pixel_size_um=record.pixel_size_um,
            )
        )
        session.flush()
    row = RunRow(
        id=record.run_id,
        project_id=project,
        plate_id=key,
        protocol_name=record.inputs.protocol.name,
        engine=record.inputs.engine,
        n_wells=len(record.wells),
        n_skipped=len(record.skipped),
        notes=json.dumps([*record.findings, *record.notes]),
    )
    session.add(row)
    return row
