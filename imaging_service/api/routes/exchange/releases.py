"""Controlled releases: handed over to the key of a decided request, and to no other."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from imaging_service.access.audit import note
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.database.tables import ReleaseRow
from imaging_service.database.tenants import now
from imaging_service.schemas import OfferedRelease

router = APIRouter(prefix="/releases", tags=["releases"])


@router.get("", summary="Releases that are handed over")
def list_releases(session: SessionDep, caller: CallerDep) -> list[OfferedRelease]:
    """With a release's key that release; with a member's those of the laboratory."""
    from imaging_service.release.requests.offers import offers

    return [read_offer(row) for row in offers(session, caller)]


@router.get(
    "/{release}/bundle", summary="The release's bundle as a zip", response_class=FileResponse
)
def get_bundle(
    release: str,
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    caller: CallerDep,
) -> FileResponse:
    """Whole or in ranges of bytes, to the key of a decided request until it ends.

    Each hand-over is in the audit log of the service and in that of the release's requests. 403
    once a donor has withdrawn.
    """
    from imaging_service.release.requests.offers import hand_over_file

    row, path = hand_over_file(settings, session, caller, now(), request.headers.get("range", ""))
    note(
        session,
        caller.name,
        "release handed over",
        release,
        lab=row.lab_id,
        key=caller.key,
    )
    session.commit()
    session.refresh(row)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"{row.name}.zip",
        headers={"ETag": f'"{row.sha256}"'},
    )


def read_offer(row: ReleaseRow) -> OfferedRelease:
    """An offer without what only the service's machine may know."""
    return OfferedRelease.model_validate(row, from_attributes=True)
