"""Handing screens to the worker: the screen's row and its workflow in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col, select

from imaging_service import __version__
from imaging_service.access.members import find_project
from imaging_service.database.compounds import load_compounds
from imaging_service.database.registry import load_registry
from imaging_service.database.session import database_engine, find_run, find_screen
from imaging_service.database.tables import RunRow, ScreenRow
from imaging_service.errors import NotFound, NotReady, ScreenError
from imaging_service.jobs.durable.job_rows import GOING_ON, Ordered
from imaging_service.jobs.durable.opening import SCREENS, has_job
from imaging_service.jobs.screens.workflow import screen_folder
from imaging_service.orders import NewScreen, ScreenRun
from imaging_service.review.local import review_state
from imaging_service.screens.order import OrderedRun, ScreenOrder, lay_out, read_order
from imaging_service.screens.remarks import ScreenFile
from imaging_service.settings import Settings
from plate_maps.compounds import write_compounds
from plate_maps.registry import Batch, Line, write

SCREEN = Ordered("screen", SCREENS, "fit_screen")


def order_screen(
    settings: Settings, session: Session, wanted: NewScreen, project: str, author: str
) -> ScreenRow:
    """Queue a screen of runs of a project; commits.

    The same runs, settings and registries are the same screen, which is returned as it stands; one
    that failed is tried again. Raises NotFound for a run that the project does not have, NotReady
    for one that is not done or whose tables do not follow its review yet, ScreenError for a plate
    that would count twice and for settings that no screen can have.
    """
    order = ScreenOrder(
        project=project,
        settings=_settings(wanted),
        runs=_ordered(settings, session, wanted.runs, project),
        **_registries(session, project),
    )
    row = session.get(ScreenRow, order.id)
    if row is not None and row.state != "failed":
        return row
    lay_out(order, screen_folder(settings, project, order.id))
    if row is None:
        row = ScreenRow(
            id=order.id,
            project_id=project,
            name=wanted.name,
            n_plates=len(order.runs),
            author=author,
        )
        session.add(row)
    else:
        # The cause may be gone by now. Plates that were taken in stay.
        row.state, row.reason, row.attempt = "queued", "", row.attempt + 1
    try:
        SCREEN.enqueue(settings, session, row)
    except sa.exc.IntegrityError:
        # The same order arrived twice at once; the other one was faster.
        session.rollback()
        return find_screen(session, project, order.id)
    session.refresh(row)
    return row


def delete_screen(settings: Settings, session: Session, project: str, screen: str) -> None:
    """Remove a screen that has ended, with its tables; its runs stay.

    Raises NotReady for one that goes on, Busy while a backup is being made.
    """
    row = find_screen(session, project, screen)
    SCREEN.remove(settings, session, row, screen_folder(settings, project, screen))


def adopt_screens(settings: Settings) -> dict[str, str]:
    """Send screens on whose jobs an older version left; screen ► what became of it.

    Where the order is of another version, the screen ends: fits of two versions are never mixed.
    """
    became = {}
    with Session(database_engine(settings.url)) as session:
        going_on = session.exec(select(ScreenRow).where(col(ScreenRow.state).in_(GOING_ON))).all()
        for row in going_on:
            version = read_order(screen_folder(settings, row.project_id, row.id)).software_version
            identity = row.id
            if version != __version__:
                row.state, row.attempt = "failed", row.attempt + 1
                row.reason = f"it was ordered from version {version}; order it again"
                session.commit()
                became[identity] = "failed"
            elif not has_job(session, SCREEN.job(row)):
                row.state, row.attempt = "queued", row.attempt + 1
                SCREEN.enqueue(settings, session, row)
                became[identity] = "goes on"
    return became


def _settings(wanted: NewScreen) -> ScreenFile:
    try:
        return ScreenFile.model_validate(wanted.model_dump(exclude={"runs"}))
    except ValidationError as error:
        raise ScreenError(
            f"the settings of screen {wanted.name} cannot be used: {error}"
        ) from error


def _ordered(
    settings: Settings, session: Session, wanted: Sequence[ScreenRun], project: str
) -> tuple[OrderedRun, ...]:
    """The runs by their whole ids, each with the revision of its tables."""
    runs: dict[str, OrderedRun] = {}
    plates: dict[str, RunRow] = {}
    for one in wanted:
        row = find_run(session, one.run)
        if row.project_id != project:
            # The same words as for a run that does not exist.
            raise NotFound(f"there is no run {one.run}")
        if row.state != "done":
            raise NotReady(
                f"run {row.id[:12]} is {row.state}; a screen is made of runs that are done"
            )
        if row.plate_id in plates:
            other = plates[row.plate_id]
            raise ScreenError(
                f"runs {other.id[:12]} and {row.id[:12]} are of one plate, and its wells would"
                " count twice; name one of them"
            )
        state = review_state(settings.run_root(row.id))
        if state.applied != state.revision:
            raise NotReady(
                f"run {row.id[:12]} was reviewed, and its tables have not followed yet; order the"
                " screen once they have"
            )
        plates[row.plate_id] = row
        runs[row.id] = OrderedRun(
            run=row.id,
            lab=one.lab,
            revision=state.applied,
            attempt=row.attempt,
            submitted_at=row.submitted_at,
        )
    return tuple(runs[run] for run in sorted(runs))


def _registries(session: Session, project: str) -> dict[str, str]:
    """Lines, batches and compounds of the project's laboratory, as a screen's files have them."""
    lab = find_project(session, project).lab_id
    registry, compounds = load_registry(session, lab), load_compounds(session, lab)
    return {
        "lines": write(registry.lines.values(), Line) if registry.lines else "",
        # Without blinded codes: a screen's files are for everyone who sees its tables.
        "compounds": write_compounds(compounds.records.values()) if compounds else "",
        "batches": write(registry.batches.values(), Batch) if registry.batches else "",
    }
