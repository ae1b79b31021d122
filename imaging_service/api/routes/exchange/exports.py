"""Exports: tables of a run or a screen, written by a worker as one zip, and downloaded."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from sqlmodel import col, select

from imaging_service.access.roles import Caller
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.problems import described
from imaging_service.api.routes.events import followed, job_row
from imaging_service.api.tables import LIST_CONTENT, Format, FormatQuery, list_response
from imaging_service.database.session import find_export
from imaging_service.database.tables import ExportRow
from imaging_service.orders import ExportProgress, ExportState, NewExport

router = APIRouter(prefix="/projects/{project}/exports", tags=["exports"])


def read_export(row: ExportRow) -> ExportState:
    """An export with its progress."""
    return ExportState.model_validate(
        {
            **row.model_dump(exclude={"tables"}),
            "project": row.project_id,
            "run": row.run_id,
            "screen": row.screen_id,
            "tables": row.tables.split(),
            "progress": ExportProgress(written=row.written, tables=row.n_tables),
        }
    )


@router.post("", summary="Order an export", status_code=202, responses=described(409, 429))
def post_export(
    project: str,
    wanted: NewExport,
    settings: SettingsDep,
    session: SessionDep,
    caller: CallerDep,
    request: Request,
) -> ExportState:
    """Write tables of a run or screen as one zip, as a job that survives a kill.

    Beside the tables lie `columns.tsv`, what each column means, and `export.json`, what they are
    of, with the SHA-256 of each. The same tables in the same form are the same export, which is
    answered as it stands; one that failed is tried again.
    """
    from imaging_service.jobs.exports.queue import order_export

    row = order_export(settings, session, wanted, project, caller.name)
    request.state.subject = row.id
    return read_export(row)


@router.get(
    "",
    summary="Exports of a project, the newest first",
    response_model=list[ExportState],
    responses=LIST_CONTENT,
)
def list_exports(project: str, session: SessionDep, fmt: FormatQuery = Format.JSON) -> Response:
    """All that were ordered and not removed."""
    query = select(ExportRow).where(ExportRow.project_id == project)
    rows = session.exec(query.order_by(col(ExportRow.submitted_at).desc())).all()
    return list_response([read_export(row) for row in rows], "exports", fmt)


@router.get("/{export}", summary="One export and its progress")
def get_export(project: str, export: str, session: SessionDep) -> ExportState:
    """`export` is its id."""
    return read_export(find_export(session, project, export))


@router.delete("/{export}", summary="Remove an export", status_code=204, responses=described(409))
def delete_export(project: str, export: str, settings: SettingsDep, session: SessionDep) -> None:
    """With its file; run and screen stay. 409 while it goes on."""
    from imaging_service.jobs.exports.queue import delete_export as delete

    delete(settings, session, project, export)


@router.get(
    "/{export}/file",
    summary="The export's zip",
    response_class=FileResponse,
    responses=described(409),
)
def get_file(project: str, export: str, settings: SettingsDep, session: SessionDep) -> FileResponse:
    """Whole or in ranges of bytes; the ETag is its SHA-256."""
    from imaging_service.jobs.exports.queue import exported_file

    row = find_export(session, project, export)
    path = exported_file(settings, row)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=path.name,
        headers={"ETag": f'"{row.sha256}"'},
    )


@router.get(
    "/{export}/events",
    summary="Changes of an export, as they happen",
    response_class=Response,
    responses={
        200: {
            "description": "Events named `export`, whose data are an ExportState; the first is the"
            " export as it is. The connection ends with the export's job.",
            "content": {"text/event-stream": {"schema": ExportState.model_json_schema()}},
        }
    },
)
async def get_events(
    project: str, export: str, caller: CallerDep, settings: SettingsDep
) -> StreamingResponse:
    """For `EventSource`; the connection ends with the key, or after ten minutes."""
    return await followed(
        lambda: look(settings.url, caller, project, export),
        "export",
        f"there is no export {export}",
    )


def look(url: str, caller: Caller, project: str, export: str) -> ExportState | None:
    """The export now; None where it is not there, or the caller may see it no more."""
    row = job_row(url, caller, project, ExportRow, export)
    return None if row is None else read_export(row)
