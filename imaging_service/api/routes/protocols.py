"""Protocols of a project: listed by version, read by digest."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from imaging_service.api.access import SessionDep
from imaging_service.database.protocols import find_protocol, protocols_of
from imaging_service.schemas import ProtocolVersion

router = APIRouter(prefix="/projects/{project}/protocols", tags=["protocols"])


class ProtocolFormat(StrEnum):
    """How a protocol is sent: as the content of a submission, or as the file that commands read."""

    JSON = "json"
    TOML = "toml"


@router.get("", summary="Protocols of a project, the newest first")
def list_protocols(project: str, session: SessionDep) -> list[ProtocolVersion]:
    """Each that a run was submitted with, by its digest; versions count by name, from 1."""
    return [
        ProtocolVersion(
            digest=row.digest,
            name=row.name,
            version=row.version,
            author=row.author,
            created_at=row.created_at,
            runs=runs,
        )
        for row, runs in protocols_of(session, project)
    ]


@router.get(
    "/{digest}",
    summary="One protocol",
    response_class=Response,
    responses={200: {"content": {"application/json": {}, "application/toml": {}}}},
)
def get_protocol(
    project: str,
    digest: str,
    session: SessionDep,
    fmt: Annotated[ProtocolFormat, Query(alias="format")] = ProtocolFormat.JSON,
) -> Response:
    """`digest` may be a beginning of at least 6 characters. What is read back is the same."""
    row = find_protocol(session, project, digest)
    content = json.loads(row.content)
    if fmt is ProtocolFormat.JSON:
        return JSONResponse(content)
    from imaging_service.models.protocol_file import protocol_toml
    from imaging_service.protocol import parse_protocol

    return Response(protocol_toml(parse_protocol(content, row.name)), media_type="application/toml")
