"""Uploads: a manifest, blobs by their content, a commit."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from sqlmodel import Session
from starlette.requests import ClientDisconnect

from imaging_service.access.limits import check_uploads, hold, projects_of_lab
from imaging_service.access.members import find_project
from imaging_service.api.access import ProjectDep, SettingsDep
from imaging_service.api.problems import described
from imaging_service.database.session import database_engine
from imaging_service.errors import UploadIncomplete, UploadRefused
from imaging_service.incoming.manifest import manifest_id
from imaging_service.schemas import (
    BlobState,
    UploadBegun,
    UploadedScan,
    UploadManifest,
    UploadState,
)
from imaging_service.store.uploads import UploadStore

router = APIRouter(tags=["uploads"])


@router.post(
    "/uploads",
    summary="Begin or continue an upload",
    status_code=201,
    responses=described(429, 507),
)
def begin_upload(
    manifest: UploadManifest, settings: SettingsDep, project: ProjectDep
) -> UploadBegun:
    """Keep the list of a scan's files, and say which contents are missing.

    The same list is the same upload. Contents that the service has already are not sent again.
    """
    # Of all the laboratory's projects, also of those that the caller may not see.
    with Session(database_engine(settings.url)) as session:
        hold(session, project)
        known = manifest_id(manifest.name, manifest.files)
        held = sum(
            upload.bytes
            for other in projects_of_lab(session, find_project(session, project).lab_id)
            for upload in UploadStore(settings.project_root(other)).listed()
            if (other, upload.id) != (project, known)
        )
        check_uploads(session, project, held, sum(file.size for file in manifest.files))
        store = UploadStore(settings.project_root(project))
        upload = store.begin(manifest.name, manifest.files)
    return UploadBegun(id=upload, missing=store.missing(upload))


@router.get("/uploads", summary="Uploads of a project")
def list_uploads(settings: SettingsDep, project: ProjectDep) -> list[UploadState]:
    """By name, with what has arrived of each."""
    return UploadStore(settings.project_root(project)).listed()


@router.get("/blobs/{sha256}", summary="How much of a blob has arrived")
def get_blob(sha256: str, settings: SettingsDep, project: ProjectDep) -> BlobState:
    """Bytes that are there; a sender whose connection was cut goes on from them."""
    return BlobState(arrived=UploadStore(settings.project_root(project)).arrived(sha256))


@router.put(
    "/blobs/{sha256}",
    summary="Send a blob, or the rest of it",
    status_code=204,
    response_class=Response,
    openapi_extra={
        "requestBody": {
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            "required": True,
        }
    },
    responses=described(409),
)
async def put_blob(
    sha256: str,
    request: Request,
    settings: SettingsDep,
    project: ProjectDep,
    content_range: Annotated[
        str | None, Header(description="bytes FIRST-LAST/SIZE; the whole blob if not given")
    ] = None,
) -> None:
    """Write while hashing is not trusted: a blob counts once its content has its digest."""
    offset = 0
    if content_range is not None:
        match = re.fullmatch(r"bytes ([0-9]{1,15})-[0-9]{1,15}/[0-9]{1,15}", content_range)
        if match is None:
            raise UploadRefused(f"Content-Range {content_range[:80]!r} is not bytes A-B/SIZE")
        offset = int(match[1])
    try:
        await UploadStore(settings.project_root(project)).receive(sha256, request.stream(), offset)
    except ClientDisconnect as error:
        raise UploadIncomplete("the connection was cut; what has arrived is kept") from error


@router.post(
    "/uploads/{upload}/commit",
    summary="Make a complete upload a scan",
    responses=described(409),
)
def commit_upload(upload: str, settings: SettingsDep, project: ProjectDep) -> UploadedScan:
    """The scan's folder on the server, to be submitted. 409 while a file is missing."""
    return UploadedScan(scan=str(UploadStore(settings.project_root(project)).commit(upload)))
