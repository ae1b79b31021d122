"""Screens: runs of many plates put together, from each project's folder of screens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.responses import FileResponse, HTMLResponse

from imaging_service.api.access import CallerDep, ProjectDep, SettingsDep
from imaging_service.api.pages.page import page_router, show
from imaging_service.errors import NotFound, ScreenError
from imaging_service.settings import Settings
from imaging_service.web.assets import REPORT_POLICY

router = page_router()
Text = Annotated[str, Query(max_length=200)]


@router.get("/screens")
def view_screens(settings: SettingsDep, caller: CallerDep) -> HTMLResponse:
    """All screens of the caller's projects."""
    from imaging_service.screens.folder import plates_of, settings_of

    listed = []
    roots = {project: _root(settings, project) for project in sorted(caller.roles)}
    for project, root in roots.items():
        for file in sorted(root.glob("*/screen.toml")):
            screen = file.parent
            try:
                name, plates, fault = settings_of(screen).name, len(plates_of(screen)), ""
            except ScreenError as error:
                name, plates, fault = screen.name, 0, str(error)
            listed.append(
                {
                    "id": screen.name,
                    "project": project,
                    "name": name,
                    "plates": plates,
                    "fault": fault,
                }
            )
    return show(
        "screens.html",
        title="Screens",
        screens=listed,
        roots=[str(root) for root in roots.values()],
    )


@router.get("/screens/{screen}")
def view_screen(
    screen: str,
    settings: SettingsDep,
    project: ProjectDep,
    line: Text = "",
    compound: Text = "",
    phenotype: Text = "",
    status: Text = "",
) -> HTMLResponse:
    """One screen: its hits, lines × compounds with their certainty, disease windows, all rows."""
    from imaging_service.screens.folder import content_of
    from imaging_service.web import screen_charts
    from imaging_service.web.pages.screens import MOST_ROWS, chosen_rows, counts, hits

    content = content_of(_folder(screen, settings, project))
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
                "spec": screen_charts.forest(of, pooled, compound, shown, genes),
                "name": f"forest {compound} {shown}",
            }
        )
    return show(
        "screen.html",
        title=f"Screen {content.title}",
        screen=screen,
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
    project: ProjectDep,
    line: Text = "",
    compound: Text = "",
    phenotype: Text = "",
    status: Text = "",
) -> Response:
    """A table of the screen as CSV or Parquet, with the page's filters."""
    from imaging_service.screens.folder import TABLES, read_screen_table
    from imaging_service.store.tables import csv_bytes, parquet_bytes
    from imaging_service.web.pages.screens import chosen_rows

    if table not in TABLES or fmt not in ("csv", "parquet"):
        raise NotFound(f"a screen has {', '.join(TABLES)}, each as csv and parquet")
    rows = chosen_rows(
        read_screen_table(_folder(screen, settings, project), table),
        {"line": line, "compound": compound, "phenotype": phenotype, "status": status},
    )
    headers = {"Content-Disposition": f'attachment; filename="{table}.{fmt}"'}
    if fmt == "csv":
        return Response(csv_bytes(rows), media_type="text/csv", headers=headers)
    return Response(
        parquet_bytes(rows), media_type="application/vnd.apache.parquet", headers=headers
    )


def _root(settings: Settings, project: str) -> Path:
    return settings.project_root(project).resolve() / "screens"


def _folder(screen: str, settings: Settings, project: str) -> Path:
    """The screen's folder, one of those that are there: a name cannot lead elsewhere."""
    for path in _root(settings, project).glob("*/screen.toml"):
        if path.parent.name == screen:
            return path.parent
    raise NotFound(f"there is no screen {screen}")
