"""Rows of tables over all runs that a session sees: what a line or a compound did, on any plate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.database.tables import PlateRow, RunRow, TableRow
from imaging_service.database.tenants import ProjectRow


@dataclass(frozen=True)
class RowOfRun:
    """A row of a run's table as a JSON object, with its run, plate, project and laboratory."""

    run: str
    plate: str
    project: str
    lab: str
    submitted_at: datetime
    protocol: str
    content: str


@dataclass(frozen=True)
class Named:
    """A line or a compound of a laboratory, on how many plates and in how many runs it is.

    `newest` is when the newest of them was submitted.
    """

    name: str
    lab: str
    plates: int
    runs: int
    newest: datetime


def rows_over_runs(
    session: Session,
    kind: str,
    filters: Mapping[str, str],
    *,
    lab: str = "",
    newest: bool = False,
    runs: Sequence[str] | None = None,
    first: int = 0,
    count: int | None = None,
) -> list[RowOfRun]:
    """Rows of runs that are done, the newest run first, each at its newest labels.

    Parameters
    ----------
    kind
        wells, responses, hazards or checks.
    filters
        Whole values of line, compound, phenotype and status; "" lets every row pass.
    lab
        The only laboratory whose projects count; all if not given.
    newest
        Whether only the newest run of each plate counts.
    runs
        Ids of the only runs that count; all if not given.
    first, count
        The part of the rows that is wanted, from 0.
    """
    query = (
        select(RunRow, PlateRow.name, ProjectRow.lab_id, TableRow.content)
        .where(
            TableRow.run_id == RunRow.id,
            TableRow.revision == RunRow.revision,
            TableRow.kind == kind,
            RunRow.state == "done",
            PlateRow.id == RunRow.plate_id,
            ProjectRow.id == RunRow.project_id,
        )
        .order_by(col(RunRow.submitted_at).desc(), col(RunRow.id), col(TableRow.position))
    )
    for name, value in filters.items():
        if value:
            query = query.where(col(getattr(TableRow, name)) == value)
    if lab:
        query = query.where(ProjectRow.lab_id == lab)
    if newest:
        query = query.where(col(RunRow.id).in_(newest_runs()))
    if runs is not None:
        query = query.where(col(RunRow.id).in_(runs))
    rows = session.exec(query.offset(first).limit(count)).all()
    return [
        RowOfRun(run.id, plate, run.project_id, of, run.submitted_at, run.protocol_name, content)
        for run, plate, of, content in rows
    ]


def named_over_runs(
    session: Session, kind: str, name: str = "", *, newest: bool = False
) -> list[Named]:
    """Every line, or compound, that a well of a run that is done holds, by name and laboratory.

    A name is a laboratory's own: in two of them it may be of two lines. `name` is the only one that
    is wanted, all if not given; with `newest` only the newest run of each plate counts.
    """
    column = col(getattr(TableRow, kind))
    query = (
        sa.select(
            column,
            col(ProjectRow.lab_id),
            sa.func.count(sa.distinct(col(RunRow.plate_id))),
            sa.func.count(sa.distinct(col(RunRow.id))),
            sa.func.max(col(RunRow.submitted_at)),
        )
        .where(
            col(TableRow.run_id) == RunRow.id,
            col(TableRow.revision) == RunRow.revision,
            col(TableRow.kind) == "wells",
            col(RunRow.state) == "done",
            col(ProjectRow.id) == RunRow.project_id,
            column == name if name else column != "",
        )
        .group_by(column, col(ProjectRow.lab_id))
        .order_by(column, col(ProjectRow.lab_id))
    )
    if newest:
        query = query.where(col(RunRow.id).in_(newest_runs()))
    return [Named(*row) for row in session.execute(query).all()]


def newest_runs() -> sa.Select[tuple[str]]:
    """Ids of the newest run that is done, one per plate."""
    order = (col(RunRow.submitted_at).desc(), col(RunRow.id))
    place = sa.func.row_number().over(partition_by=col(RunRow.plate_id), order_by=order)
    done = sa.select(col(RunRow.id), place.label("place")).where(col(RunRow.state) == "done")
    ranked = done.subquery()
    return sa.select(ranked.c.id).where(ranked.c.place == 1)
