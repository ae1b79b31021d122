"""Screens: ordered from runs of a project, built and fitted by a worker, read by table."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from sqlmodel import Session, col, select

from imaging_service.access.roles import Caller
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.paging import ROWS_CONTENT, RowsDep
from imaging_service.api.problems import described
from imaging_service.api.routes.events import followed, job_row
from imaging_service.api.tables import LIST_CONTENT, Format, FormatQuery, list_response
from imaging_service.database.session import find_screen
from imaging_service.database.tables import ScreenRow
from imaging_service.errors import NotFound, NotReady
from imaging_service.orders import NewScreen, ScreenProgress, ScreenState
from imaging_service.settings import Settings
from imaging_service.web.assets import REPORT_POLICY

router = APIRouter(prefix="/projects/{project}/screens", tags=["screens"])


def read_screen(row: ScreenRow) -> ScreenState:
    """A screen with its progress."""
    return ScreenState(
        id=row.id,
        name=row.name,
        project=row.project_id,
        state=row.state,
        reason=row.reason,
        progress=ScreenProgress(gathered=row.gathered, plates=row.n_plates),
        rows=row.n_rows if row.state == "done" else None,
        hits=row.n_hits if row.state == "done" else None,
        author=row.author,
        submitted_at=row.submitted_at,
    )


@router.post("", summary="Order a screen", status_code=202, responses=described(409))
def post_screen(
    project: str,
    wanted: NewScreen,
    settings: SettingsDep,
    session: SessionDep,
    caller: CallerDep,
    request: Request,
) -> ScreenState:
    """Put runs of the project together and fit them, as a job that survives a kill.

    The same runs, settings and registries are the same screen, which is answered as it stands; one
    that failed is tried again.
    """
    from imaging_service.jobs.screens.queue import order_screen

    row = order_screen(settings, session, wanted, project, caller.name)
    request.state.subject = row.id
    return read_screen(row)


@router.get(
    "",
    summary="Screens of a project, the newest first",
    response_model=list[ScreenState],
    responses=LIST_CONTENT,
)
def list_screens(project: str, session: SessionDep, fmt: FormatQuery = Format.JSON) -> Response:
    """All that were ordered."""
    query = select(ScreenRow).where(ScreenRow.project_id == project)
    rows = session.exec(query.order_by(col(ScreenRow.submitted_at).desc())).all()
    return list_response([read_screen(row) for row in rows], "screens", fmt)


@router.get("/{screen}", summary="One screen and its progress")
def get_screen(project: str, screen: str, session: SessionDep) -> ScreenState:
    """`screen` is its id."""
    return read_screen(find_screen(session, project, screen))


@router.delete("/{screen}", summary="Remove a screen", status_code=204, responses=described(409))
def delete_screen(project: str, screen: str, settings: SettingsDep, session: SessionDep) -> None:
    """With its tables and report; its runs stay. 409 while it goes on."""
    from imaging_service.jobs.screens.queue import delete_screen as delete

    delete(settings, session, project, screen)


@router.get(
    "/{screen}/events",
    summary="Changes of a screen, as they happen",
    response_class=Response,
    responses={
        200: {
            "description": "Events named `screen`, whose data are a ScreenState; the first is the"
            " screen as it is. The connection ends with the screen's job.",
            "content": {"text/event-stream": {"schema": ScreenState.model_json_schema()}},
        }
    },
)
async def get_events(
    project: str, screen: str, caller: CallerDep, settings: SettingsDep
) -> StreamingResponse:
    """For `EventSource`; the connection ends with the key, or after ten minutes."""
    return await followed(
        lambda: look(settings.url, caller, project, screen),
        "screen",
        f"there is no screen {screen}",
    )


def look(url: str, caller: Caller, project: str, screen: str) -> ScreenState | None:
    """The screen now; None where it is not there, or the caller may see it no more."""
    row = job_row(url, caller, project, ScreenRow, screen)
    return None if row is None else read_screen(row)


@router.get(
    "/{screen}/tables/{name}",
    summary="Any table of a screen, by page",
    response_class=Response,
    responses=ROWS_CONTENT,
)
def get_table(
    project: str,
    screen: str,
    name: str,
    session: SessionDep,
    settings: SettingsDep,
    rows: RowsDep,
) -> Response:
    """Responses, doses, compounds, windows, vehicles or hazards.

    Conditions, order, columns, pages and ETags are those of a run's tables.
    """
    from imaging_service.screens.folder import TABLES

    folder = fitted_folder(session, settings, project, screen)
    if name not in TABLES:
        raise NotFound(f"there is no table {name[:80]!r}; a screen has {', '.join(TABLES)}")
    return rows.answer(folder / f"{name}.parquet", ("screen", screen, name), f"{screen}-{name}")


@router.get(
    "/{screen}/report",
    summary="The report page",
    response_class=FileResponse,
    responses=described(409),
)
def get_report(
    project: str, screen: str, session: SessionDep, settings: SettingsDep
) -> FileResponse:
    """One self-contained HTML file."""
    path = fitted_folder(session, settings, project, screen) / "report.html"
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)


def fitted_folder(session: Session, settings: Settings, project: str, screen: str) -> Path:
    """The folder of a screen that is done. Raises NotFound, and NotReady until it is."""
    row = find_screen(session, project, screen)
    if row.state != "done":
        why = f": {row.reason}" if row.reason else ""
        raise NotReady(f"screen {screen} is {row.state}{why}; its tables exist once it is done")
    return settings.project_root(project).resolve() / "screens" / row.id
