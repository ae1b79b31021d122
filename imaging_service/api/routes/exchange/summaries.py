"""Summaries of sites: sent to a project, and taken from there by the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Request
from fastapi.responses import FileResponse

from imaging_service.api.access import CallerDep, SettingsDep
from imaging_service.database.tenants import now
from imaging_service.schemas import SentSummary
from imaging_service.settings import Settings

router = APIRouter(prefix="/projects/{project}/summaries", tags=["summaries"])


@router.post("", summary="Send a site's summary", status_code=201)
def post_summary(
    project: str,
    content: Annotated[bytes, Body(media_type="application/zip")],
    settings: SettingsDep,
    caller: CallerDep,
    request: Request,
) -> SentSummary:
    """A zip with the files that `screen summary` wrote, in place of the site's earlier one.

    Only the laboratory that sent the earlier one may replace it.
    Refused where a file is not the one that was signed. Whether the signature is the site's is
    checked by the hub, which knows the sites' keys.
    """
    from imaging_service.federation.inbox import keep

    sent = keep(inbox(settings, project), content, caller.name, caller.lab, now())
    request.state.subject = sent.site
    return sent


@router.get("", summary="Summaries that sites sent")
def list_summaries(project: str, settings: SettingsDep) -> list[SentSummary]:
    """By site: who sent it, when, and its digest."""
    from imaging_service.federation.inbox import kept

    return kept(inbox(settings, project))


@router.get("/{site}", summary="A site's summary", response_class=FileResponse)
def get_summary(project: str, site: str, settings: SettingsDep) -> FileResponse:
    """The zip as it was sent; for administrators of the project, as who runs the hub is."""
    from imaging_service.federation.inbox import summary_file

    path = summary_file(inbox(settings, project), site)
    return FileResponse(path, media_type="application/zip", filename=path.name)


@router.delete("/{site}", summary="Remove a site's summary", status_code=204)
def delete_summary(project: str, site: str, settings: SettingsDep) -> None:
    """From the service; what a hub took stays with the hub."""
    from imaging_service.federation.inbox import discard

    discard(inbox(settings, project), site)


def inbox(settings: Settings, project: str) -> Path:
    """Where a project's summaries lie."""
    return settings.project_root(project).resolve() / "summaries"
