"""Screens: runs of many plates put together, from each project's folder of screens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from pydantic import ValidationError
from sqlmodel import Session, col, select

from imaging_service.access.roles import Role
from imaging_service.api.access import CallerDep, ProjectDep, SessionDep, SettingsDep
from imaging_service.api.forms import FormDep
from imaging_service.api.pages.page import page_router, show
from imaging_service.api.routes.screens import read_screen
from imaging_service.database.session import find_screen
from imaging_service.database.tables import PlateRow, RunRow, ScreenRow
from imaging_service.errors import NotFound, ScreenError
from imaging_service.screen_orders import NewScreen, ScreenRun
from imaging_service.settings import Settings
from imaging_service.web.assets import REPORT_POLICY

router = page_router()
Text = Annotated[str, Query(max_length=200)]
_GOING_ON = ("queued", "running", "waiting")
# Runs that a page offers to make a screen of; the API takes any.
_MOST_CHOICES = 200


@router.get("/screens")
def view_screens(settings: SettingsDep, caller: CallerDep, session: SessionDep) -> HTMLResponse:
    """All screens of the caller's projects, and what a new one can be made of."""
    rows = session.exec(select(ScreenRow).order_by(col(ScreenRow.submitted_at).desc())).all()
    ordered = {(row.project_id, row.id) for row in rows}
    roots = {project: _root(settings, project) for project in sorted(caller.roles)}
    by_hand = [
        _by_hand(file.parent, project)
        for project, root in roots.items()
        for file in sorted(root.glob("*/screen.toml"))
        if (project, file.parent.name) not in ordered
    ]
    return show(
        "screens.html",
        title="Screens",
        screens=[read_screen(row) for row in rows],
        by_hand=by_hand,
        roots=[str(root) for root in roots.values()],
        choices={
            project: _finished_runs(session, project)
            for project, role in sorted(caller.roles.items())
            if role.includes(Role.OPERATOR)
        },
        most=_MOST_CHOICES,
    )


@router.post("/screens/order")
def post_order(
    form: FormDep,
    settings: SettingsDep,
    session: SessionDep,
    caller: CallerDep,
    project: ProjectDep,
    request: Request,
) -> RedirectResponse:
    """Order a screen of the runs that were ticked, and show how far it is."""
    from imaging_service.jobs.screens.queue import order_screen

    runs = form.all("run")
    if not runs:
        raise ScreenError("no run is ticked; tick the runs that the screen is made of")
    try:
        wanted = NewScreen(name=form.one("name"), runs=[ScreenRun(run=run) for run in runs])
    except ValidationError as error:
        raise ScreenError(f"the screen cannot be ordered: {error.errors()[0]['msg']}") from error
    row = order_screen(settings, session, wanted, project, caller.name)
    request.state.subject = row.id
    return RedirectResponse(f"/screens/{row.id}?{urlencode({'project': project})}", 303)


@router.get("/screens/{screen}/progress")
def view_progress(screen: str, session: SessionDep, project: ProjectDep) -> Response:
    """How far a screen is, to be put into its page; sends the page anew once it has ended."""
    row = find_screen(session, project, screen)
    if row.state not in _GOING_ON:
        return Response(headers={"HX-Refresh": "true"})
    return show("screen_progress.html", screen=read_screen(row), going_on=True)


@router.get("/screens/{screen}")
def view_screen(
    screen: str,
    settings: SettingsDep,
    session: SessionDep,
    project: ProjectDep,
    line: Text = "",
    compound: Text = "",
    phenotype: Text = "",
    status: Text = "",
) -> HTMLResponse:
    """One screen: its hits, lines × compounds with their certainty, disease windows, all rows."""
    from imaging_service.screens.folder import content_of, fitted_table, read_screen_table
    from imaging_service.web import screen_charts
    from imaging_service.web.pages.screens import MOST_ROWS, chosen_rows, counts, hits
    from imaging_service.web.specifications.forest import screen_forest

    row = session.get(ScreenRow, screen)
    ordered = None if row is None or row.project_id != project else read_screen(row)
    if ordered is not None and ordered.state != "done":
        return show(
            "screen_waits.html",
            title=f"Screen {ordered.name}",
            screen=ordered,
            going_on=ordered.state in _GOING_ON,
        )
    # An ordered screen is of the version that fitted it: its tables stay as they are.
    read = read_screen_table if ordered is None else fitted_table
    content = content_of(_folder(screen, settings, project), read)
    responses, windows = content.tables.responses, content.tables.windows
    names = responses["phenotype"].unique(maintain_order=True).to_list()
    shown = phenotype or next(iter(names), "")
    chosen = {"line": line, "compound": compound, "phenotype": phenotype, "status": status}
    here = {"project": project}
    rows = chosen_rows(responses, chosen)
    drawn: list[dict[str, Any]] = [
        {"spec": screen_charts.line_compound_heatmap(responses, shown), "name": f"matrix {shown}"},
        {"spec": screen_charts.disease_windows(windows, shown), "name": f"windows {shown}"},
    ]
    if compound and shown:
        of = chosen_rows(responses, {"compound": compound, "phenotype": shown})
        pooled = chosen_rows(content.tables.compounds, {"compound": compound, "phenotype": shown})
        genes = dict(content.genes)
        drawn.append(
            {
                "spec": screen_forest(of, pooled, compound, shown, genes),
                "name": f"forest {compound} {shown}",
            }
        )
    return show(
        "screen.html",
        title=f"Screen {content.title}",
        screen=screen,
        ordered=ordered,
        project=project,
        plates=content.plates,
        findings=content.findings,
        counts=counts(responses),
        hits=hits(responses).head(MOST_ROWS).to_dicts(),
        drawn=[d for d in drawn if d["spec"]],
        chosen=chosen,
        here=here,
        choices={name: responses[name].drop_nulls().unique().sort().to_list() for name in chosen},
        rows=rows.head(MOST_ROWS).to_dicts(),
        total=len(rows),
        most=MOST_ROWS,
    )


@router.get("/screens/{screen}/report")
def get_report(screen: str, settings: SettingsDep, project: ProjectDep) -> FileResponse:
    """The screen's report, one self-contained file."""
    path = _folder(screen, settings, project) / "report.html"
    if not path.is_file():
        raise NotFound(f"screen {screen} has no report; fit it: imaging-service screen fit")
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)


@router.get("/screens/{screen}/tables/{table}.{fmt}")
def get_table(
    screen: str,
    table: str,
    fmt: str,
    settings: SettingsDep,
    session: SessionDep,
    project: ProjectDep,
    line: Text = "",
    compound: Text = "",
    phenotype: Text = "",
    status: Text = "",
) -> Response:
    """A table of the screen as CSV or Parquet, with the page's filters."""
    from imaging_service.screens.folder import TABLES, fitted_table, read_screen_table
    from imaging_service.store.tables import csv_bytes, parquet_bytes
    from imaging_service.web.pages.screens import chosen_rows

    if table not in TABLES or fmt not in ("csv", "parquet"):
        raise NotFound(f"a screen has {', '.join(TABLES)}, each as csv and parquet")
    ordered = session.get(ScreenRow, screen) is not None
    read = fitted_table if ordered else read_screen_table
    rows = chosen_rows(
        read(_folder(screen, settings, project), table),
        {"line": line, "compound": compound, "phenotype": phenotype, "status": status},
    )
    headers = {"Content-Disposition": f'attachment; filename="{table}.{fmt}"'}
    if fmt == "csv":
        return Response(csv_bytes(rows), media_type="text/csv", headers=headers)
    return Response(
        parquet_bytes(rows), media_type="application/vnd.apache.parquet", headers=headers
    )


def _by_hand(screen: Path, project: str) -> dict[str, Any]:
    """A screen that was put together by command, as the list shows it."""
    from imaging_service.screens.folder import plates_of, settings_of

    try:
        name, plates, fault = settings_of(screen).name, len(plates_of(screen)), ""
    except ScreenError as error:
        name, plates, fault = screen.name, 0, str(error)
    return {"id": screen.name, "project": project, "name": name, "plates": plates, "fault": fault}


def _finished_runs(session: Session, project: str) -> list[dict[str, Any]]:
    """Runs that a screen can be made of, the newest first."""
    query = select(RunRow, PlateRow.name).where(
        RunRow.project_id == project, RunRow.state == "done", PlateRow.id == RunRow.plate_id
    )
    rows = session.exec(query.order_by(col(RunRow.submitted_at).desc()).limit(_MOST_CHOICES)).all()
    return [
        {"id": row.id, "plate": plate, "protocol": row.protocol_name, "at": row.submitted_at}
        for row, plate in rows
    ]


def _root(settings: Settings, project: str) -> Path:
    return settings.project_root(project).resolve() / "screens"


def _folder(screen: str, settings: Settings, project: str) -> Path:
    """The screen's folder, one of those that are there: a name cannot lead elsewhere."""
    for path in _root(settings, project).glob("*/screen.toml"):
        if path.parent.name == screen:
            return path.parent
    raise NotFound(f"there is no screen {screen}")
