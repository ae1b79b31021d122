"""The durable workflows: what must happen to a run, whichever process dies in between.

`analyse_plate` looks at the scan, prepares, queues one `analyse_well` per well, waits and
summarises; `follow_review` corrects a reviewed run's tables. Every step may run again after a kill
and leaves the same: files are written whole under the same names, and a unique constraint refuses a
second row. So a well has one row, no matter how often its step ran. What is away or full is waited
for; a run that was cancelled, or begun again as another attempt, is left alone by the workflows of
the earlier one.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec

import polars as pl
import sqlalchemy as sa
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from sqlmodel import Session, col, select

from imaging_service.access import limits
from imaging_service.database.session import DATABASE_FAULTS, database_engine
from imaging_service.database.tables import TABLE_LEVELS, RunRow, TableRow, WellRow
from imaging_service.errors import Cancelled, MachineError, ServiceError
from imaging_service.jobs.durable.cluster import Cluster
from imaging_service.jobs.durable.opening import WELLS, next_place
from imaging_service.jobs.durable.patience import Patience, attempted, until_written
from imaging_service.jobs.parallel.network import wants_gpu
from imaging_service.jobs.records import (
    RunFolder,
    RunRecord,
    WellOutcome,
    WellTask,
    load,
    parse,
)
from imaging_service.review.log import ENGINE_VERSION, ReviewLog
from imaging_service.settings import Settings

# Places in the queue from one well of a run to its next.
_APART = {"high": 1, "normal": 4, "low": 16}
_OUTCOME = {"well", "status", "reason", "n_fields", "n_nuclei"}


class Context:
    """What the steps need besides their arguments; the worker sets it before it launches DBOS.

    `stumbled` is set once only a new start of the worker helps.
    """

    settings: Settings
    cluster: Cluster
    stumbled = threading.Event()


_Arguments = ParamSpec("_Arguments")


def outlasting(workflow: Callable[_Arguments, str]) -> Callable[_Arguments, str]:
    """Let a workflow stand still where the job engine's journal cannot be written.

    An error that left the workflow would be its outcome once the disk has space again: a failed
    well or run, by a fault of the machine. So it waits for the worker's next start, which goes on
    from the last step that was written down.
    """

    @functools.wraps(workflow)
    def standing(*args: _Arguments.args, **more: _Arguments.kwargs) -> str:
        try:
            return workflow(*args, **more)
        except DATABASE_FAULTS:
            Context.stumbled.set()
            stand_still()
            raise

    return standing


def stand_still() -> None:
    """Wait until the process ends."""
    threading.Event().wait()


def run_folder(settings: Settings, run_id: str) -> RunFolder:
    """The folder of a run's files."""
    return RunFolder(settings.run_root(run_id))


def data_folder() -> Path:
    """Where plates and runs are stored."""
    return Context.settings.data_dir.resolve()


def patience_s() -> float:
    """How long a run may wait."""
    return Context.settings.patience_hours * 3600


def worth_retrying(error: BaseException) -> bool:
    """Whether another attempt at a step may succeed.

    It may where the machine or the database failed, not where data or code are at fault.
    """
    return isinstance(error, (MachineError, OSError, *DATABASE_FAULTS))


@DBOS.workflow(name="analyse_plate")
@outlasting
def analyse_plate(run_id: str, attempt: int) -> str:
    """Analyse one run, from its record to its tables.

    An error that ends it early becomes the run's reason, so that no run stays "running".
    """
    try:
        return _analyse(run_id, attempt)
    except DATABASE_FAULTS:
        raise
    except Exception as error:  # noqa: BLE001 - or the run would stay "running" for ever
        fail(run_id, attempt, f"{type(error).__name__}: {error}")
        return "failed"


def _analyse(run_id: str, attempt: int) -> str:
    began = begin(run_id, attempt)
    patience = Patience(began["patience_s"])
    while began["status"] == "waiting" and _waited(run_id, attempt, patience, began["reason"]):
        began = begin(run_id, attempt)
    if began["status"] != "running":
        return _ended(run_id, attempt, began)
    left: list[str] = began["wells"]
    turn, waiting = 0, ""
    while left:
        # While something is away, one well asks for all: hundreds would fill the job engine's
        # tables with attempts.
        sent = left[:1] if waiting else left
        statuses = _turn(
            run_id,
            attempt,
            sent,
            turn,
            began["every"],
            began["priority"],
            began["place"],
        )
        turn += 1
        if "cancelled" in statuses.values():
            return "cancelled"
        reasons = [s.partition(": ")[2] for s in statuses.values() if s.startswith("waiting: ")]
        left = [w for w in left if statuses.get(w, "waiting: ").startswith("waiting: ")]
        if waiting and not reasons:
            patience = Patience(began["patience_s"])
            mark(run_id, attempt, "running", "")
        elif waiting:
            left = [*left[1:], left[0]]
        waiting = (reasons or [""])[0]
        if waiting and not _waited(run_id, attempt, patience, waiting):
            if not mark(run_id, attempt, "running", ""):
                return "cancelled"
            for well in left:
                commit_well(run_id, give_up(run_id, well, f"well {well}: {waiting}"))
            left = []
    patience = Patience(began["patience_s"])
    ended = summarise_run(run_id, attempt)
    while ended["status"] == "waiting" and _waited(run_id, attempt, patience, ended["reason"]):
        ended = summarise_run(run_id, attempt)
    return _ended(run_id, attempt, ended)


def _turn(
    run_id: str,
    attempt: int,
    wells: list[str],
    turn: int,
    every: int = 1,
    priority: str = "normal",
    start: int = 0,
) -> dict[str, str]:
    """Send wells to the queue; well ► how it ended.

    Runs take turns: the first wells of all runs come before the second ones, so that a small plate
    does not wait for all of a large one. A run that begins later counts from the place whose turn
    it was then (`start`), or the last wells of a large plate would wait for as long as small ones
    are submitted. Each run of a laboratory that has n takes every n-th
    turn, so that one laboratory does not wait for another. In a turn a run of high priority has
    four wells, one of low priority a quarter of one: none is kept from its turn.
    """
    handles = {}
    for number, well in enumerate(wells, start=1):
        place = start + _APART[priority] * every * number
        with SetWorkflowID(f"{run_id}:{attempt}:{well}:{turn}"), SetEnqueueOptions(priority=place):
            handles[well] = DBOS.enqueue_workflow(WELLS, analyse_well, run_id, attempt, well)
    return {well: str(handle.get_result()) for well, handle in handles.items()}


def _waited(run_id: str, attempt: int, patience: Patience, reason: str) -> bool:
    """Show the run as waiting, and pause; False once its patience is used up, or it is stopped."""
    pause = patience.pause()
    if pause is None or not mark(run_id, attempt, "waiting", reason):
        return False
    DBOS.sleep(pause)
    return True


def _ended(run_id: str, attempt: int, how: dict[str, Any]) -> str:
    if how["status"] in ("waiting", "failed"):
        fail(run_id, attempt, str(how["reason"]))
        return "failed"
    return str(how["status"])


@DBOS.workflow(name="analyse_well")
@outlasting
def analyse_well(run_id: str, attempt: int, well: str) -> str:
    """Compute one well, then commit its row unless it waits or was cancelled."""
    outcome = compute_well(run_id, attempt, well)
    if outcome["status"] == "waiting":
        return f"waiting: {outcome['reason']}"
    if outcome["status"] == "cancelled":
        return "cancelled"
    return commit_well(run_id, outcome)


@DBOS.step(name="begin")
def begin(run_id: str, attempt: int) -> dict[str, Any]:
    """Mark the run as running, look at its scan, create the plate, calibrate.

    Gives the wells to analyse, or {"status": "waiting"} with what is away, or "cancelled".
    """
    from imaging_service.jobs import calibrate, well
    from imaging_service.jobs.arrival.plate import give_up as look_no_more

    folder = run_folder(Context.settings, run_id)
    more: dict[str, Any] = {
        "patience_s": patience_s(),
        "wells": [],
        "reason": "",
        "every": 1,
        "place": 0,
    }
    if not _set_state(run_id, attempt, "running"):
        return {"status": "cancelled", **more}
    # After the run has begun, when it is changed no more.
    more["priority"] = _priority(run_id)

    def prepare() -> list[str]:
        record = load(RunRecord, folder.record)
        well.begin(record.plate)
        on_gpu: dict[str, bool] = {}
        if Context.cluster.offers_gpu():
            on_gpu = {"gpu": wants_gpu(record.inputs.engine, record.inputs.device)}
        Context.cluster.run(calibrate.calibrate, folder, key=f"calibrate-{run_id[:12]}", **on_gpu)
        with Session(database_engine(Context.settings.url)) as session:
            rows = session.exec(select(WellRow.well).where(WellRow.run_id == run_id)).all()
            more["every"] = limits.turn(session, session.get_one(RunRow, run_id).project_id)
            more["place"] = next_place(session)
        return [w for w in record.wells if w not in set(rows)]

    _, how = attempted(lambda: _look(folder, run_id), data_folder())
    if how.get("status") == "failed":
        # A process that is lost at one image each time must not cost the plate.
        look_no_more(folder, str(how["reason"]))
    elif how:
        return more | how
    wells, how = attempted(prepare, data_folder())
    return more | ({"status": "running", "wells": wells} if wells is not None else how)


def _look(folder: RunFolder, run_id: str) -> None:
    """Look at the scan on all processes of the cluster, unless it was looked at."""
    from imaging_service.jobs.arrival.plate import conclude, wells_to_look_at
    from imaging_service.jobs.arrival.wells import look_at

    groups, key = wells_to_look_at(folder), f"look-{run_id[:12]}"
    if not groups:
        return

    def look(wells: tuple[str, ...]) -> None:
        Context.cluster.run(look_at, folder.root, wells, key=key)

    with ThreadPoolExecutor(Context.cluster.processes) as threads:
        try:
            for _ in threads.map(look, groups):
                pass
        except BaseException:
            # What is away for one group is away for all.
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    Context.cluster.run(conclude, folder.root, key=key)


@DBOS.step(name="compute_well")
def compute_well(run_id: str, attempt: int, well: str) -> dict[str, Any]:
    """Analyse the well on the cluster.

    Bad data is an outcome; what is away is {"status": "waiting"}, with the reason.
    """
    folder = run_folder(Context.settings, run_id)
    if not _is_current(run_id, attempt):
        return {"status": "cancelled"}
    outcome, how = attempted(lambda: _computed(folder, run_id, well), data_folder())
    if outcome is not None:
        return _plain(outcome)
    if how["status"] == "failed":
        return _given_up(folder, well, f"well {well}: {how['reason']}")
    return how


def _computed(folder: RunFolder, run_id: str, name: str) -> WellOutcome:
    """Analyse a well in one task, or in two where only some of the cluster's machines have a GPU.

    The labels then wait for a GPU, and the measuring, which takes longer, does not.
    """
    from imaging_service.jobs import well

    key = f"{run_id[:12]}-{name}"
    outcome: WellOutcome | None = None
    if Context.cluster.offers_gpu():
        task = load(WellTask, folder.task(name))
        if wants_gpu(task.engine, task.device):
            drawing = (well.draw_well, folder.root, name)
            outcome = Context.cluster.run(*drawing, key=f"labels-{key}", gpu=True)
    if outcome is None:
        outcome = Context.cluster.run(well.process_well, folder.root, name, key=f"well-{key}")
    return outcome


@DBOS.step(name="give_up")
def give_up(run_id: str, well: str, reason: str) -> dict[str, Any]:
    """Record a well as failed."""
    return _given_up(run_folder(Context.settings, run_id), well, reason)


def _given_up(folder: RunFolder, well: str, reason: str) -> dict[str, Any]:
    return _plain(WellOutcome(well, "failed", reason))


def _plain(outcome: WellOutcome) -> dict[str, Any]:
    """An outcome as the row that the database keeps."""
    return {
        key: getattr(outcome, key) for key in ("well", "status", "reason", "n_fields", "n_nuclei")
    }


@DBOS.step(name="commit_well")
def commit_well(run_id: str, outcome: dict[str, Any]) -> str:
    """Insert the well's row unless it is there."""

    def commit() -> None:
        with Session(database_engine(Context.settings.url)) as session:
            existing = session.exec(
                select(WellRow).where(WellRow.run_id == run_id, WellRow.well == outcome["well"])
            ).first()
            if existing is None:
                session.add(WellRow(run_id=run_id, **outcome))
                try:
                    session.commit()
                except sa.exc.IntegrityError:
                    # A second attempt was faster, and wrote the same files; or the run was deleted.
                    session.rollback()

    until_written(commit, patience_s())
    return str(outcome["status"])


@DBOS.step(name="summarise_run")
def summarise_run(run_id: str, attempt: int) -> dict[str, Any]:
    """Write tables and report, then put the tables' rows into the database, all or none."""
    from imaging_service.jobs.summary import write_summary

    folder = run_folder(Context.settings, run_id)
    if not _is_current(run_id, attempt):
        return {"status": "cancelled"}

    def summarise() -> str:
        with Session(database_engine(Context.settings.url)) as session:
            rows = session.exec(select(WellRow).where(WellRow.run_id == run_id)).all()
            outcomes = {r.well: parse(WellOutcome, r.model_dump(include=_OUTCOME)) for r in rows}
        Context.cluster.run(write_summary, folder.root, outcomes, key=f"summarise-{run_id[:12]}")
        with Session(database_engine(Context.settings.url)) as session:
            session.execute(sa.delete(TableRow).where(col(TableRow.run_id) == run_id))
            _insert_tables(session, folder.root, run_id, ENGINE_VERSION)
            ended = session.connection().execute(
                sa.update(RunRow)
                .where(_of_attempt(run_id, attempt))
                .values(state="done", reason="", revision=ENGINE_VERSION)
            )
            if not ended.rowcount:
                raise Cancelled(f"run {run_id[:12]} was cancelled")
            session.commit()
        if ReviewLog(folder.root).revision() != ENGINE_VERSION:
            # The wells were tried again after a review: the corrected tables follow once more.
            from imaging_service.jobs.durable.queue import request_review

            request_review(Context.settings, run_id)
        return "done"

    done, how = attempted(summarise, data_folder())
    return {"status": "done", "reason": ""} if done else how


@DBOS.step(name="mark")
def mark(run_id: str, attempt: int, state: str, reason: str) -> bool:
    """Show the run's state; False where it was cancelled, or begun again, meanwhile."""
    return _set_state(run_id, attempt, state, reason)


@DBOS.step(name="fail")
def fail(run_id: str, attempt: int, reason: str) -> None:
    """Mark the run as failed."""
    _set_state(run_id, attempt, "failed", reason)


@DBOS.workflow(name="follow_review")
@outlasting
def follow_review(run_id: str) -> str:
    """Measure corrected fields, fit the curves that moved, and store the corrected tables' rows.

    The rows that came from the segmentation engine's labels stay.
    """
    try:
        commit_review(run_id, apply_review(run_id))
    except DATABASE_FAULTS:
        raise
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


def _of_attempt(run_id: str, attempt: int) -> sa.ColumnElement[bool]:
    """The run's row while it goes on by this attempt and was not cancelled."""
    return sa.and_(
        col(RunRow.id) == run_id, col(RunRow.attempt) == attempt, col(RunRow.state) != "cancelled"
    )


def _is_current(run_id: str, attempt: int) -> bool:
    def look() -> bool:
        with Session(database_engine(Context.settings.url)) as session:
            return (
                session.exec(select(RunRow.id).where(_of_attempt(run_id, attempt))).first()
                is not None
            )

    return until_written(look, patience_s())


def _priority(run_id: str) -> str:
    def look() -> str:
        with Session(database_engine(Context.settings.url)) as session:
            return session.get_one(RunRow, run_id).priority

    return until_written(look, patience_s())


def _set_state(run_id: str, attempt: int, state: str, reason: str = "") -> bool:
    """Change the run's state; False where it was cancelled, or begun again, meanwhile."""

    def change() -> bool:
        with Session(database_engine(Context.settings.url)) as session:
            changed = session.connection().execute(
                sa.update(RunRow)
                .where(_of_attempt(run_id, attempt))
                .values(state=state, reason=reason)
            )
            session.commit()
            return bool(changed.rowcount)

    return until_written(change, patience_s())
