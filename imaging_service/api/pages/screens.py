"""Screens: runs of many plates put together, from each project's folder of screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from pydantic import ValidationError
from sqlmodel import Session, col, select

from imaging_service.access.roles import Caller, Role
from imaging_service.api.access import CallerDep, ProjectDep, SessionDep, SettingsDep
from imaging_service.api.forms import FormDep
from imaging_service.api.pages.page import OrderQuery, PageQuery, page_router, show
from imaging_service.api.routes.screens import read_screen
from imaging_service.api.tables import FiltersDep, Format, attached
from imaging_service.database.over_runs import RowOfRun, rows_over_runs
from imaging_service.database.session import find_screen
from imaging_service.database.tables import PlateRow, RunRow, ScreenRow
from imaging_service.database.tenants import ProjectRow
from imaging_service.errors import NotFound, ScreenError
from imaging_service.orders import NewScreen, ScreenRun
from imaging_service.settings import Settings
from imaging_service.web.assets import REPORT_POLICY
from imaging_service.web.templating import query

router = page_router()
Hit = Annotated[str, Query(max_length=3, pattern="^(yes|no)?$")]
_GOING_ON = ("queued", "running", "waiting")
# Runs that a page offers to make a screen of; the API takes any.
_MOST_CHOICES = 200
# Screens, the newest, that the page of a line or compound looks into.
_MOST_SCREENS = 40


@router.get("/screens")
def view_screens(settings: SettingsDep, caller: CallerDep, session: SessionDep) -> HTMLResponse:
    """All screens of the caller's projects, and what a new one can be made of."""
    rows = session.exec(select(ScreenRow).order_by(col(ScreenRow.submitted_at).desc())).all()
    roots = [_root(settings, project) for project in sorted(caller.roles)]
    by_command = _of_commands(session, settings, caller)
    return show(
        "screens.html",
        title="Screens",
        screens=[read_screen(row) for row in rows],
        by_hand=[_by_hand(file.parent, project) for project, file in by_command],
        roots=[str(root) for root in roots],
        projects=sorted(caller.roles),
        choices={
            project: finished_runs(session, project)
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
    filters: FiltersDep,
    hit: Hit = "",
    order: OrderQuery = "evidence",
    page: PageQuery = 1,
) -> HTMLResponse:
    """One screen: its hits, lines × compounds with their certainty, disease windows, all rows."""
    from imaging_service.screens.folder import content_of, fitted_table, read_screen_table
    from imaging_service.web import screen_charts
    from imaging_service.web.pages.screens import (
        MOST_HITS,
        ORDERS,
        chosen_rows,
        counts,
        hits,
        ordered_rows,
        screen_page,
        way,
    )
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
    phenotypes = responses["phenotype"].unique(maintain_order=True).to_list()
    shown, compound = filters["phenotype"] or next(iter(phenotypes), ""), filters["compound"]
    chosen = filters | {"hit": hit}
    here = {"project": project}
    rows = ordered_rows(chosen_rows(responses, chosen), order)
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
        stale=_reviewed_since(session, content.plates),
        way=way,
        findings=content.findings,
        counts=counts(responses),
        hits=hits(responses).head(MOST_HITS).to_dicts(),
        drawn=[d for d in drawn if d["spec"]],
        chosen=chosen,
        here=here,
        choices={name: responses[name].drop_nulls().unique().sort().to_list() for name in filters},
        order=order,
        orders=ORDERS,
        phenotype=shown,
        shown=screen_page(rows, page),
        sources=_sources(session, content.plates, chosen),
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
    filters: FiltersDep,
    hit: Hit = "",
    order: OrderQuery = "",
) -> Response:
    """A table of the screen as CSV or Parquet, with the page's filters and in its order."""
    from imaging_service.screens.folder import TABLES, fitted_table, read_screen_table
    from imaging_service.store.tables import csv_bytes, parquet_bytes
    from imaging_service.web.pages.screens import chosen_rows, ordered_rows

    if table not in TABLES or fmt not in ("csv", "parquet"):
        raise NotFound(f"a screen has {', '.join(TABLES)}, each as csv and parquet")
    ordered = session.get(ScreenRow, screen) is not None
    read = fitted_table if ordered else read_screen_table
    chosen = filters | {"hit": hit}
    rows = chosen_rows(read(_folder(screen, settings, project), table), chosen)
    if order:
        rows = ordered_rows(rows, order)
    headers = attached(table, Format(fmt), [screen[:12], *chosen.values()])
    if fmt == "csv":
        return Response(csv_bytes(rows), media_type="text/csv", headers=headers)
    return Response(
        parquet_bytes(rows), media_type="application/vnd.apache.parquet", headers=headers
    )


def screens_with(
    session: Session, settings: Settings, caller: Caller, kind: str, name: str, lab: str
) -> tuple[list[dict[str, Any]], int]:
    """Screens of a laboratory that have a line or compound, with its hits; those by command last.

    The newest are looked into; the second value is the number of those that are not.
    """
    projects = set(session.exec(select(ProjectRow.id).where(ProjectRow.lab_id == lab)).all())
    done = select(ScreenRow).where(
        ScreenRow.state == "done", col(ScreenRow.project_id).in_(projects)
    )
    ordered = session.exec(done.order_by(col(ScreenRow.submitted_at).desc())).all()
    places = [(r.project_id, r.id, r.name, True) for r in ordered]
    places += [
        (project, file.parent.name, file.parent.name, False)
        for project, file in _of_commands(session, settings, caller)
        if project in projects
    ]
    if not places:
        return [], 0
    # What fits screens takes a second to load, and most services have none.
    from imaging_service.screens.folder import fitted_table, read_screen_table
    from imaging_service.web.pages.screens import chosen_rows, hits

    known: list[dict[str, Any]] = []
    for project, screen, title, by_order in places[:_MOST_SCREENS]:
        read = fitted_table if by_order else read_screen_table
        address = f"/screens/{quote(screen)}{query({'project': project, kind: name})}#table"
        entry: dict[str, Any] = {"name": title, "project": project, "address": address, "fault": ""}
        try:
            rows = chosen_rows(read(_root(settings, project) / screen, "responses"), {kind: name})
        except ScreenError as error:
            known.append(entry | {"fault": str(error)})
            continue
        best = hits(rows)
        if len(rows):
            entry |= {"rows": len(rows), "hits": len(best), "strongest": best.head(3).to_dicts()}
            known.append(entry)
    return known, max(0, len(places) - _MOST_SCREENS)


def _of_commands(session: Session, settings: Settings, caller: Caller) -> list[tuple[str, Path]]:
    """Project and screen.toml of screens that were put together by command."""
    ordered = set(session.exec(select(ScreenRow.project_id, ScreenRow.id)).all())
    return [
        (project, file)
        for project in sorted(caller.roles)
        for file in sorted(_root(settings, project).glob("*/screen.toml"))
        if (project, file.parent.name) not in ordered
    ]


def _sources(
    session: Session, plates: Sequence[Mapping[str, Any]], chosen: Mapping[str, str]
) -> list[RowOfRun]:
    """Rows of the screen's plates behind one row, where one is chosen; the caller's runs only.

    A screen may name a compound by its registry: its plates then have no row of that name.
    """
    of = {name: chosen[name] for name in ("line", "compound", "phenotype")}
    if not all(of.values()):
        return []
    return rows_over_runs(session, "responses", of, runs=[p["run_id"] for p in plates])


def _reviewed_since(
    session: Session, plates: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Plates of a screen that were reviewed, and measured anew, since it was fitted."""
    runs = [p["run_id"] for p in plates]
    newest = dict(
        session.exec(select(RunRow.id, RunRow.revision).where(col(RunRow.id).in_(runs))).all()
    )
    return [p for p in plates if newest.get(p["run_id"], 0) > p["label_version"]]


def _by_hand(screen: Path, project: str) -> dict[str, Any]:
    """A screen that was put together by command, as the list shows it."""
    from imaging_service.screens.folder import plates_of, settings_of

    try:
        name, plates, fault = settings_of(screen).name, len(plates_of(screen)), ""
    except ScreenError as error:
        name, plates, fault = screen.name, 0, str(error)
    return {"id": screen.name, "project": project, "name": name, "plates": plates, "fault": fault}


def finished_runs(session: Session, project: str) -> list[dict[str, Any]]:
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
