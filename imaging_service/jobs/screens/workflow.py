"""The durable workflow of a screen: take in its plates one by one, fit, commit.

Every step may run again after a kill and leaves the same: a plate that was taken in stays, and the
fit writes its record last. What is away or full is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dbos import DBOS
from sqlmodel import Session, col, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow, ScreenRow
from imaging_service.errors import ScreenError, ServiceError
from imaging_service.jobs.durable.job_rows import set_row, tried
from imaging_service.jobs.durable.patience import Patience
from imaging_service.jobs.durable.workflows import Context, patience_s
from imaging_service.screens.order import OrderedRun, fit_order, gather, read_order
from imaging_service.settings import Settings


def screen_folder(settings: Settings, project: str, screen: str) -> Path:
    """The folder of a screen's files."""
    return settings.project_root(project) / "screens" / screen


@DBOS.workflow(name="fit_screen")
def fit_screen(screen: str, attempt: int) -> str:
    """Build and fit one screen, from its order to its tables.

    An error that ends it early becomes the screen's reason, so that no screen stays "running".
    """
    try:
        return _fit(screen, attempt)
    except Exception as error:  # noqa: BLE001 - or the screen would stay "running" for ever
        fail_screen(screen, attempt, f"{type(error).__name__}: {error}")
        return "failed"


def _fit(screen: str, attempt: int) -> str:
    began = begin_screen(screen, attempt)
    steps: list[Callable[[], dict[str, Any]]] = [
        *(partial(gather_plate, screen, attempt, number) for number in range(began["plates"])),
        partial(fit_tables, screen, attempt),
    ]
    how = began
    for step in steps:
        if how["status"] != "running":
            break
        patience = Patience(began["patience_s"])
        how = step()
        while how["status"] == "waiting" and _waited(screen, attempt, patience, how["reason"]):
            how = step()
    if how["status"] in ("waiting", "failed"):
        fail_screen(screen, attempt, str(how["reason"]))
        return "failed"
    return str(how["status"])


def _waited(screen: str, attempt: int, patience: Patience, reason: str) -> bool:
    """Show the screen as waiting, and pause; False once its patience is used up."""
    pause = patience.pause()
    if pause is None or not wait_screen(screen, attempt, reason):
        return False
    DBOS.sleep(pause)
    return True


@DBOS.step(name="begin_screen")
def begin_screen(screen: str, attempt: int) -> dict[str, Any]:
    """Mark the screen as running; gives its number of plates."""
    more: dict[str, Any] = {"patience_s": patience_s(), "plates": 0, "reason": ""}
    if not _set(screen, attempt, state="running", reason="", gathered=0):
        return {"status": "superseded", **more}
    try:
        return {"status": "running", **more, "plates": len(read_order(_folder(screen)).runs)}
    except ServiceError as error:
        return {"status": "failed", **more, "reason": str(error)}


@DBOS.step(name="gather_plate")
def gather_plate(screen: str, attempt: int, number: int) -> dict[str, Any]:
    """Take in the tables of the run with that number, from 0."""

    def work() -> None:
        folder = _folder(screen)
        ordered = read_order(folder).runs[number]
        _as_ordered(ordered)
        Context.cluster.run(
            gather,
            folder,
            Context.settings.run_root(ordered.run),
            ordered,
            key=f"gather-{screen}-{number}",
        )

    how = tried(work)
    if how["status"] == "running" and not _set(
        screen, attempt, state="running", reason="", gathered=number + 1
    ):
        return {"status": "superseded", "reason": ""}
    return how


@DBOS.step(name="fit_tables")
def fit_tables(screen: str, attempt: int) -> dict[str, Any]:
    """Fit, write tables and report, and mark the screen as done."""

    numbers: dict[str, int] = {}

    def work() -> None:
        numbers.update(
            Context.cluster.run(fit_order, _folder(screen), _earlier(screen), key=f"fit-{screen}")
        )

    how = tried(work)
    if how["status"] != "running":
        return how
    done = _set(
        screen,
        attempt,
        state="done",
        reason="",
        n_rows=numbers["rows"],
        n_hits=numbers["hits"],
    )
    return {"status": "done" if done else "superseded", "reason": ""}


@DBOS.step(name="wait_screen")
def wait_screen(screen: str, attempt: int, reason: str) -> bool:
    """Show what the screen waits for; False where it was begun again, or removed, meanwhile."""
    return _set(screen, attempt, state="waiting", reason=reason)


@DBOS.step(name="fail_screen")
def fail_screen(screen: str, attempt: int, reason: str) -> None:
    """Mark the screen as failed."""
    _set(screen, attempt, state="failed", reason=reason)


def _as_ordered(ordered: OrderedRun) -> None:
    """Raise ScreenError unless the run is finished, and as often tried as when it was ordered."""
    with Session(database_engine(Context.settings.url)) as session:
        row = session.get(RunRow, ordered.run)
    if row is None:
        raise ScreenError(f"run {ordered.run[:12]} was removed; order the screen without it")
    if ordered.submitted_at not in (None, row.submitted_at):
        raise ScreenError(
            f"run {ordered.run[:12]} was removed and submitted again since the screen was ordered;"
            " order the screen again"
        )
    if row.state != "done" or row.attempt != ordered.attempt:
        raise ScreenError(
            f"run {ordered.run[:12]} was tried again since the screen was ordered, and is"
            f" {row.state}; order the screen again once the run is done"
        )


def _folder(screen: str) -> Path:
    with Session(database_engine(Context.settings.url)) as session:
        project = session.exec(select(ScreenRow.project_id).where(ScreenRow.id == screen)).one()
    return screen_folder(Context.settings, project, screen)


def _earlier(screen: str) -> Path | None:
    """The folder of the project's newest screen that is done."""
    with Session(database_engine(Context.settings.url)) as session:
        project = session.exec(select(ScreenRow.project_id).where(ScreenRow.id == screen)).one()
        query = select(ScreenRow.id).where(
            ScreenRow.project_id == project, ScreenRow.state == "done", ScreenRow.id != screen
        )
        newest = session.exec(query.order_by(col(ScreenRow.submitted_at).desc()).limit(1)).first()
    return None if newest is None else screen_folder(Context.settings, project, newest)


def _set(screen: str, attempt: int, **values: object) -> bool:
    """Change the screen's row; False where it was begun again, or removed, meanwhile."""

    return set_row(ScreenRow, screen, attempt, **values)
