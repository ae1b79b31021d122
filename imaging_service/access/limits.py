"""What a laboratory may use at once, and its turn among the others."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.access.members import find_lab, find_project
from imaging_service.database.tables import RunRow
from imaging_service.database.tenants import LabRow, ProjectRow
from imaging_service.errors import QuotaReached

GOING_ON = ("queued", "running", "waiting")


def projects_of_lab(session: Session, lab: str) -> list[str]:
    """Ids of a laboratory's projects."""
    return list(session.exec(select(ProjectRow.id).where(ProjectRow.lab_id == lab)).all())


def going_on(session: Session, lab: str) -> int:
    """How many runs of a laboratory's projects are queued, running or waiting."""
    query = select(sa.func.count(col(RunRow.id))).where(
        col(RunRow.project_id).in_(projects_of_lab(session, lab)),
        col(RunRow.state).in_(GOING_ON),
    )
    return int(session.exec(query).one())


def turn(session: Session, project: str) -> int:
    """A run's turn, from 1: a laboratory with n runs has every n-th turn with each of them.

    So laboratories share the machines evenly, whatever each of them has submitted.
    """
    return max(1, going_on(session, find_project(session, project).lab_id))


def hold(session: Session, project: str) -> None:
    """Let no other transaction of the project's laboratory hold its limits until this one ends.

    What counts and adds in one transaction holds them: two submissions at once would each count
    without the other.
    """
    lab = col(LabRow.id) == find_project(session, project).lab_id
    session.connection().execute(sa.update(LabRow).where(lab).values(id=LabRow.id))


def check_runs(session: Session, project: str) -> None:
    """Raise QuotaReached where the project's laboratory may have no further run in the queue."""
    lab = _lab(session, project)
    if lab.most_runs is None:
        return
    runs = going_on(session, lab.id)
    if runs >= lab.most_runs:
        raise QuotaReached(
            f"laboratory {lab.id} has {runs} runs that go on, and may have {lab.most_runs}; submit"
            " again once one has ended, or cancel one"
        )


def check_uploads(session: Session, project: str, held: int, more: int) -> None:
    """Raise QuotaReached where the laboratory's uploads would be too large.

    Parameters
    ----------
    held
        Bytes of the uploads that the laboratory's projects hold.
    more
        Bytes of the upload that is to begin.
    """
    lab = _lab(session, project)
    if lab.most_upload_bytes is not None and held + more > lab.most_upload_bytes:
        raise QuotaReached(
            f"the upload has {more:,} bytes, and the uploads of laboratory {lab.id} may have"
            f" {lab.most_upload_bytes:,} together, of which {held:,} are in use; ask an"
            " administrator of the service to raise the limit, or to remove what is not needed"
        )


def _lab(session: Session, project: str) -> LabRow:
    return find_lab(session, find_project(session, project).lab_id)
