"""The audit log, to be read and exported."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from sqlmodel import Session

from imaging_service.access.audit import Wanted, entries
from imaging_service.access.roles import Caller
from imaging_service.accounts import AuditEntry
from imaging_service.api.access import CallerDep, SettingsDep
from imaging_service.database.session import database_engine
from imaging_service.settings import Settings
from imaging_service.store.tables import neutral_cell

router = APIRouter(tags=["accounts"])


class AuditFormat(StrEnum):
    """How the log is sent: one JSON object per line, or CSV."""

    JSONL = "jsonl"
    CSV = "csv"


def wanted_entries(
    actor: Annotated[str, Query(max_length=200, description="Name of who did it, whole.")] = "",
    project: Annotated[str, Query(max_length=200, description="Id of the project.")] = "",
    action: Annotated[str, Query(max_length=200, description="A part of method and route.")] = "",
    subject: Annotated[str, Query(max_length=200, description="A part of the object's id.")] = "",
    since: Annotated[date | Literal[""], Query(description="First day, UTC.")] = "",
    until: Annotated[date | Literal[""], Query(description="Last day, UTC.")] = "",
) -> Wanted:
    """What of the log the request wants."""
    # A form sends an empty field where no day was chosen.
    return Wanted(actor, project, action, subject, since or None, until or None)


WantedDep = Annotated[Wanted, Depends(wanted_entries)]


@router.get(
    "/audit",
    summary="The audit log",
    response_class=Response,
    responses={
        200: {
            "description": "Entries, one per line.",
            "content": {"application/jsonl": {}, "text/csv": {}},
        }
    },
)
def get_audit(
    caller: CallerDep,
    settings: SettingsDep,
    wanted: WantedDep,
    after: Annotated[
        int, Query(ge=0, le=2**62, description="Id of the last entry that was read before.")
    ] = 0,
    fmt: Annotated[AuditFormat, Query(alias="format")] = AuditFormat.JSONL,
) -> StreamingResponse:
    """Every change that concerns the caller's laboratory and projects, oldest first."""
    lines = _csv if fmt is AuditFormat.CSV else _jsonl
    return StreamingResponse(
        lines(_read(settings, caller, after, wanted)),
        media_type="text/csv" if fmt is AuditFormat.CSV else "application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="audit.{fmt.value}"'},
    )


def _read(settings: Settings, caller: Caller, after: int, wanted: Wanted) -> Iterator[AuditEntry]:
    # A session of its own: the request's is closed before the last line is sent.
    with Session(database_engine(settings.url)) as session:
        yield from entries(session, caller, after, wanted)


def _jsonl(log: Iterator[AuditEntry]) -> Iterator[str]:
    for entry in log:
        yield entry.model_dump_json() + "\n"


def _csv(log: Iterator[AuditEntry]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(AuditEntry.model_fields)
    for entry in log:
        writer.writerow([neutral_cell(str(v)) for v in entry.model_dump(mode="json").values()])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()
