"""Exports: tables of a run or screen as one zip, ordered, followed and downloaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session, col, select

from imaging_service.access.roles import Caller
from imaging_service.api.access import CallerDep, ProjectDep, SessionDep, SettingsDep
from imaging_service.api.forms import FormDep, filled
from imaging_service.api.pages.page import PageQuery, page_router, show
from imaging_service.api.pages.screens import finished_runs
from imaging_service.api.routes.exchange.exports import read_export
from imaging_service.database.tables import ExportRow, PlateRow, RunRow, ScreenRow
from imaging_service.errors import NotFound
from imaging_service.orders import ExportFormat, ExportState, NewExport
from imaging_service.review.local import TABLES as RUN_TABLES

router = page_router()
PLACE = "/exports"
_GOING_ON = ("queued", "running", "waiting")
_PER_PAGE = 50
Project = Annotated[str, Query(max_length=40)]
Source = Annotated[str, Query(max_length=80)]


@router.get(PLACE)
def view_exports(
    session: SessionDep,
    caller: CallerDep,
    project: Project = "",
    page: PageQuery = 1,
    of: Source = "",
) -> HTMLResponse:
    """Exports of the caller's projects, or of one, the newest first; and what can be ordered.

    `of` is the run or screen that the form has chosen already, as `run:ID` or `screen:ID`.
    """
    # What fits screens takes a second to load.
    from imaging_service.screens.folder import TABLES as SCREEN_TABLES

    projects = _projects(caller, project)
    return show(
        "exchange/exports.html",
        title="Exports",
        **_listed(session, project, page),
        every_project=sorted(caller.roles),
        choices={name: _sources(session, name) for name in projects},
        of=of,
        formats=get_args(ExportFormat),
        tables=list(dict.fromkeys((*RUN_TABLES, *SCREEN_TABLES))),
    )


@router.get(PLACE + "/progress")
def view_progress(
    session: SessionDep, caller: CallerDep, project: Project = "", page: PageQuery = 1
) -> HTMLResponse:
    """The list as it is now, to be put into its page."""
    _projects(caller, project)
    return show("exchange/exports_table.html", **_listed(session, project, page))


@router.post(PLACE + "/order")
def post_order(
    form: FormDep,
    settings: SettingsDep,
    session: SessionDep,
    caller: CallerDep,
    project: ProjectDep,
    request: Request,
) -> RedirectResponse:
    """Order an export of the run or screen that was chosen, and show the list."""
    from imaging_service.jobs.exports.queue import order_export

    kind, _, source = form.one("of").partition(":")
    wanted = filled(
        NewExport,
        run=source if kind == "run" else "",
        screen=source if kind == "screen" else "",
        tables=form.all("table"),
        format=form.one("format"),
    )
    row = order_export(settings, session, wanted, project, caller.name)
    request.state.subject = row.id
    return RedirectResponse(f"{PLACE}?{urlencode({'project': project})}#e-{row.id}", 303)


def _projects(caller: Caller, project: str) -> list[str]:
    """The project, or all that the caller may use. Raises NotFound for a foreign one."""
    if project and project not in caller.roles:
        raise NotFound(f"there is no project {project}")
    return [project] if project else sorted(caller.roles)


def _listed(session: Session, project: str, page: int) -> dict[str, Any]:
    """A page of exports, with the names of what they are of."""
    wanted = select(ExportRow)
    if project:
        wanted = wanted.where(ExportRow.project_id == project)
    total = session.exec(select(sa.func.count()).select_from(wanted.subquery())).one()
    newest = wanted.order_by(col(ExportRow.submitted_at).desc(), col(ExportRow.id))
    rows = session.exec(newest.offset((page - 1) * _PER_PAGE).limit(_PER_PAGE)).all()
    exports = [read_export(row) for row in rows]
    return {
        "exports": exports,
        "names": _names(session, exports),
        "going_on": any(e.state in _GOING_ON for e in exports),
        "project": project,
        "total": total,
        "page": page,
        "pages": max(1, math.ceil(total / _PER_PAGE)),
    }


def _names(session: Session, exports: list[ExportState]) -> Mapping[str, str]:
    """Names of plates and screens by id of run or screen; those that were removed are missing."""
    runs = session.exec(
        select(RunRow.id, PlateRow.name).where(
            col(RunRow.id).in_([e.run for e in exports]), RunRow.plate_id == PlateRow.id
        )
    ).all()
    screens = session.exec(
        select(ScreenRow.id, ScreenRow.name).where(
            col(ScreenRow.id).in_([e.screen for e in exports])
        )
    ).all()
    return dict((*runs, *screens))


def _sources(session: Session, project: str) -> list[dict[str, str]]:
    """Runs and screens of a project that are done: what to choose, and its name."""
    done = select(ScreenRow).where(ScreenRow.project_id == project, ScreenRow.state == "done")
    screens = session.exec(done.order_by(col(ScreenRow.submitted_at).desc())).all()
    return [
        *({"of": f"screen:{s.id}", "name": f"screen {s.name} ({s.id[:8]})"} for s in screens),
        *(
            {"of": f"run:{r['id']}", "name": f"plate {r['plate']}, run {r['id'][:12]}"}
            for r in finished_runs(session, project)
        ),
    ]
