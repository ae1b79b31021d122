"""The durable workflows: what must happen to a run, whichever process dies in between.

`analyse_plate` prepares, queues one `analyse_well` per well, waits and summarises; `follow_review`
corrects a reviewed run's tables. Every step may run again after a kill and leaves the same: files
are written whole under the same names, and a unique constraint refuses a second row. So a well has
one row, no matter how often its step ran.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID
from sqlmodel import Session, col, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import TABLE_LEVELS, RunRow, TableRow, WellRow
from imaging_service.errors import MachineError, ServiceError
from imaging_service.jobs.durable.cluster import Cluster
from imaging_service.jobs.records import RunFolder, RunRecord, WellOutcome, load, parse
from imaging_service.review.log import ENGINE_VERSION
from imaging_service.settings import Settings

PLATES, WELLS, REVIEWS = "plates", "wells", "reviews"
_OUTCOME = {"well", "status", "reason", "n_fields", "n_nuclei"}


class Context:
    """What the steps need besides their arguments; the worker sets it before it launches DBOS."""

    settings: Settings
    cluster: Cluster


def run_folder(settings: Settings, run_id: str) -> RunFolder:
    """The folder of a run's files."""
    return RunFolder(settings.data_dir.resolve() / "runs" / run_id)


def worth_retrying(error: BaseException) -> bool:
    """Whether another attempt at a step may succeed.

    It may where the machine or the database failed, not where data or code are at fault.
    """
    return isinstance(error, MachineError | OSError | sa.exc.OperationalError)


@DBOS.workflow(name="analyse_plate")
def analyse_plate(run_id: str, attempt: int) -> str:
    """Analyse one run, from its record to its tables.

    An error that ends it early becomes the run's reason, so that no run stays "running".
    """
    try:
        wells = begin(run_id)
        handles = []
        for well in wells:
            with SetWorkflowID(f"{run_id}:{attempt}:{well}"):
                handles.append(DBOS.enqueue_workflow(WELLS, analyse_well, run_id, well))
        for handle in handles:
            handle.get_result()
        summarise_run(run_id)
    except Exception as error:  # noqa: BLE001 - or the run would stay "running" for ever
        fail(run_id, f"{type(error).__name__}: {error}")
        return "failed"
    return "done"


@DBOS.workflow(name="analyse_well")
def analyse_well(run_id: str, well: str) -> str:
    """Compute one well, then commit its row."""
    try:
        outcome = compute_well(run_id, well)
    except Exception as error:  # noqa: BLE001 - see below
        # The machine failed at this well again and again: the plate goes on without it.
        outcome = give_up(run_id, well, f"well {well}: {type(error).__name__}: {error}")
    return commit_well(run_id, outcome)


@DBOS.step(name="begin", retries_allowed=True, max_attempts=4, should_retry=worth_retrying)
def begin(run_id: str) -> list[str]:
    """Mark the run as running, create the plate, calibrate; returns the wells to analyse."""
    from imaging_service.jobs import calibrate, well

    folder = run_folder(Context.settings, run_id)
    record = load(RunRecord, folder.record)
    _set_state(run_id, "running")
    well.begin(record.plate)
    Context.cluster.run(calibrate.calibrate, folder, key=f"calibrate-{run_id[:12]}")
    with Session(database_engine(Context.settings.url)) as session:
        ended = set(session.exec(select(WellRow.well).where(WellRow.run_id == run_id)).all())
    return [w for w in record.wells if w not in ended]


@DBOS.step(name="compute_well", retries_allowed=True, max_attempts=4, should_retry=worth_retrying)
def compute_well(run_id: str, well: str) -> dict[str, Any]:
    """Analyse the well on the cluster.

    Errors of the machine are tried again; bad data is an outcome.
    """
    from imaging_service.jobs.well import process_well

    outcome = Context.cluster.run(
        process_well,
        run_folder(Context.settings, run_id).root,
        well,
        key=f"well-{run_id[:12]}-{well}",
    )
    return _plain(outcome)


@DBOS.step(name="give_up")
def give_up(run_id: str, well: str, reason: str) -> dict[str, Any]:
    """Record a well as failed."""
    from imaging_service.jobs.well import fail_well

    return _plain(fail_well(run_folder(Context.settings, run_id), well, reason))


def _plain(outcome: WellOutcome) -> dict[str, Any]:
    """An outcome as the row that the database keeps."""
    return {
        key: getattr(outcome, key) for key in ("well", "status", "reason", "n_fields", "n_nuclei")
    }


@DBOS.step(name="commit_well", retries_allowed=True, max_attempts=5)
def commit_well(run_id: str, outcome: dict[str, Any]) -> str:
    """Insert the well's row unless it is there."""
    with Session(database_engine(Context.settings.url)) as session:
        existing = session.exec(
            select(WellRow).where(WellRow.run_id == run_id, WellRow.well == outcome["well"])
        ).first()
        if existing is None:
            session.add(WellRow(run_id=run_id, **outcome))
            try:
                session.commit()
            except sa.exc.IntegrityError:
                session.rollback()  # a second attempt was faster; both wrote the same files
    return str(outcome["status"])


@DBOS.step(name="summarise_run", retries_allowed=True, max_attempts=4, should_retry=worth_retrying)
def summarise_run(run_id: str) -> None:
    """Write tables and report, then put the tables' rows into the database, all or none."""
    from imaging_service.jobs.summary import write_summary

    folder = run_folder(Context.settings, run_id)
    with Session(database_engine(Context.settings.url)) as session:
        rows = session.exec(select(WellRow).where(WellRow.run_id == run_id)).all()
        outcomes = {r.well: parse(WellOutcome, r.model_dump(include=_OUTCOME)) for r in rows}
    Context.cluster.run(write_summary, folder.root, outcomes, key=f"summarise-{run_id[:12]}")
    with Session(database_engine(Context.settings.url)) as session:
        session.execute(sa.delete(TableRow).where(col(TableRow.run_id) == run_id))
        _insert_tables(session, folder.root, run_id, ENGINE_VERSION)
        session.execute(
            sa.update(RunRow).where(col(RunRow.id) == run_id).values(state="done", reason="")
        )
        session.commit()


@DBOS.step(name="fail", retries_allowed=True, max_attempts=5)
def fail(run_id: str, reason: str) -> None:
    """Mark the run as failed."""
    _set_state(run_id, "failed", reason)


@DBOS.workflow(name="follow_review")
def follow_review(run_id: str) -> str:
    """Measure corrected fields, fit the curves that moved, and store the corrected tables' rows.

    The rows that came from the segmentation engine's labels stay.
    """
    try:
        commit_review(run_id, apply_review(run_id))
    except Exception as error:  # noqa: BLE001 - see below
        # The reviewer who waits for the tables must be told, whatever the cause.
        refuse_review(
            run_id,
            str(error) if isinstance(error, ServiceError) else f"{type(error).__name__}: {error}",
        )
        return "failed"
    return "done"


@DBOS.step(name="apply_review", retries_allowed=True, max_attempts=4, should_retry=worth_retrying)
def apply_review(run_id: str) -> int:
    """Write the corrected tables; returns the revision of the review that they include."""
    from imaging_service.jobs.review.corrections import follow

    revision: int = Context.cluster.run(
        follow, run_folder(Context.settings, run_id).root, key=f"review-{run_id[:12]}"
    )
    return revision


@DBOS.step(name="commit_review", retries_allowed=True, max_attempts=5, should_retry=worth_retrying)
def commit_review(run_id: str, revision: int) -> None:
    """Replace the last revision's rows by those of the corrected tables, all or none."""
    folder = run_folder(Context.settings, run_id)
    with Session(database_engine(Context.settings.url)) as session:
        session.execute(
            sa.delete(TableRow).where(
                col(TableRow.run_id) == run_id, col(TableRow.revision) != ENGINE_VERSION
            )
        )
        if revision != ENGINE_VERSION:
            _insert_tables(session, folder.root / "corrected", run_id, revision)
        session.execute(
            sa.update(RunRow)
            .where(col(RunRow.id) == run_id)
            .values(revision=revision, review_reason="")
        )
        session.commit()


@DBOS.step(name="refuse_review", retries_allowed=True, max_attempts=5)
def refuse_review(run_id: str, reason: str) -> None:
    """Record why the tables could not be corrected; they stay as they were."""
    with Session(database_engine(Context.settings.url)) as session:
        session.execute(
            sa.update(RunRow).where(col(RunRow.id) == run_id).values(review_reason=reason)
        )
        session.commit()


def _insert_tables(session: Session, folder: Path, run_id: str, revision: int) -> None:
    for kind in TABLE_LEVELS:
        rows = table_rows(folder / f"{kind}.parquet", run_id, kind, revision)
        if rows:
            session.execute(sa.insert(TableRow), rows)


def table_rows(
    path: Path, run_id: str, kind: str, revision: int = ENGINE_VERSION
) -> list[dict[str, Any]]:
    """Rows of a Parquet table as the database keeps them.

    NaN does not occur in our tables; JSON could not say it.
    """
    table = pl.read_parquet(path)
    return [
        {
            "run_id": run_id,
            "revision": revision,
            "kind": kind,
            "position": i,
            "content": json.dumps(row, allow_nan=False),
            **{name: row.get(name) or "" for name in ("line", "compound", "phenotype", "status")},
        }
        for i, row in enumerate(table.iter_rows(named=True))
    ]


def _set_state(run_id: str, state: str, reason: str = "") -> None:
    with Session(database_engine(Context.settings.url)) as session:
        session.execute(
            sa.update(RunRow).where(col(RunRow.id) == run_id).values(state=state, reason=reason)
        )
        session.commit()
