"""A run's plate as OME-Zarr over HTTP.

Any zarr reader opens http://…/runs/RUN/plate.zarr and reads the chunks that it needs.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.problems import described
from imaging_service.api.routes.reviewing.fields import finished, folder_of
from imaging_service.errors import NotFound
from imaging_service.review.local import LocalRun

router = APIRouter(prefix="/runs/{run}", tags=["review"], responses=described(409))


@router.head("/plate.zarr/{path:path}", include_in_schema=False)
@router.get(
    "/plate.zarr/{path:path}",
    summary="Files of the run's OME-Zarr plate",
    response_class=FileResponse,
)
def get_file(run: str, path: str, session: SessionDep, settings: SettingsDep) -> FileResponse:
    """A file, whole or in ranges of bytes.

    A shard's index and one chunk of it are two small answers.
    """
    plate = LocalRun(folder_of(finished(run, session), settings)).plate.resolve()
    file = (plate / path).resolve()
    # A path or link that leads out of the plate gets the same answer as a file that is missing.
    if not file.is_relative_to(plate) or not file.is_file():
        raise NotFound(f"the plate of run {run} has no file {path}")
    return FileResponse(
        file,
        media_type="application/json" if file.name == "zarr.json" else "application/octet-stream",
    )
