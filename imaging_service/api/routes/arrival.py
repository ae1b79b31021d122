"""How a run's scan looked before anything was segmented: page, tables and pictures.

All are there minutes after a run has begun, long before its wells are.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from sqlmodel import Session

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.paging import ROWS_CONTENT, RowsDep
from imaging_service.api.problems import described
from imaging_service.database.session import find_run
from imaging_service.settings import Settings
from imaging_service.store.arrival import PAGE, file_of_arrival, picture
from imaging_service.web.assets import REPORT_POLICY

router = APIRouter(prefix="/runs/{run}/arrival", tags=["runs"])
# A picture never changes, but the run may be deleted and begun again.
_PICTURE = {"Cache-Control": "private, no-cache"}


class ArrivalTable(StrEnum):
    """Tables of a scan that arrived: one row per image, one per channel."""

    IMAGES = "images"
    CHANNELS = "channels"


def _file(run: str, name: str, session: Session, settings: Settings) -> tuple[str, Path]:
    row = find_run(session, run)
    return row.id, file_of_arrival(settings.run_root(row.id), name, row.id, row.state)


@router.get(
    "",
    summary="How the scan looked, as a page",
    response_class=FileResponse,
    responses=described(409),
)
def get_arrival(run: str, session: SessionDep, settings: SettingsDep) -> FileResponse:
    """One self-contained HTML file."""
    _, path = _file(run, PAGE, session, settings)
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)


@router.get(
    "/plates/{channel}.png",
    summary="A channel's plate as a picture",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}, **described(409)},
)
def get_plate_picture(
    run: str,
    channel: Annotated[int, InPath(ge=1, le=10_000)],
    session: SessionDep,
    settings: SettingsDep,
) -> FileResponse:
    """One field per well, one contrast for the plate; channels count from 1."""
    _, path = _file(run, picture(channel), session, settings)
    return FileResponse(path, media_type="image/png", headers=_PICTURE)


@router.get(
    "/{table}",
    summary="How each image, or each channel, of the scan looked",
    response_class=Response,
    responses=ROWS_CONTENT,
)
def get_arrival_table(
    run: str, table: ArrivalTable, session: SessionDep, settings: SettingsDep, rows: RowsDep
) -> Response:
    """Focus, saturation, background and emptiness of images; drift and illumination of channels."""
    run_id, path = _file(run, f"{table.value}.parquet", session, settings)
    return rows.answer(path, (run_id, "arrival", table.value), f"{run_id[:12]}-{table.value}")
