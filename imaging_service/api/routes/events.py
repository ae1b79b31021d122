"""What happens to runs, as it happens: server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from imaging_service.access.again import caller_again
from imaging_service.access.roles import Caller
from imaging_service.api.access import CallerDep, SettingsDep
from imaging_service.database.session import ProjectSession, database_engine
from imaging_service.database.tables import ExportRow, RunRow, ScreenRow, WellRow
from imaging_service.errors import NotFound
from imaging_service.orders import ExportState, ScreenState
from imaging_service.schemas import RunEvent

router = APIRouter(tags=["runs"])
EVERY_S = 1.0
# A connection is given up after so long, and the browser begins another by itself.
LONGEST_S = 600.0
# Proxies cut a connection on which nothing comes for a minute.
_SIGN_OF_LIFE_S = 15.0
_MOST_RUNS = 500

JobRow = TypeVar("JobRow", ScreenRow, ExportRow)

# A proxy that collects an answer before it passes it on would hold the events back.
NOT_HELD_BACK = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get(
    "/events",
    summary="Changes of runs, as they happen",
    response_class=Response,
    responses={
        200: {
            "description": "Events named `run`, whose data are a RunEvent; first the runs as they"
            " are, then each that changes.",
            "content": {"text/event-stream": {"schema": RunEvent.model_json_schema()}},
        }
    },
)
async def get_events(
    caller: CallerDep,
    settings: SettingsDep,
    run: Annotated[str, Query(max_length=64, description="One run's id; all if not given.")] = "",
) -> StreamingResponse:
    """For `EventSource`; the connection ends with the key, or after ten minutes."""

    def read() -> list[RunEvent] | None:
        return look(settings.url, caller, run)

    return StreamingResponse(stream(read), media_type="text/event-stream", headers=NOT_HELD_BACK)


async def stream(
    read: Callable[[], Sequence[RunEvent | ScreenState | ExportState] | None], name: str = "run"
) -> AsyncIterator[str]:
    """Events, a sign of life where nothing happens, until the caller may read no more."""
    known: dict[str, RunEvent | ScreenState | ExportState] = {}
    began = spoke = time.monotonic()
    yield "retry: 3000\n\n"
    while time.monotonic() - began < LONGEST_S:
        events = await run_in_threadpool(read)
        if events is None:
            return
        for event in events:
            if known.get(event.id) != event:
                known[event.id] = event
                yield f"event: {name}\ndata: {event.model_dump_json()}\n\n"
                spoke = time.monotonic()
        if time.monotonic() - spoke > _SIGN_OF_LIFE_S:
            yield ": still here\n\n"
            spoke = time.monotonic()
        await asyncio.sleep(EVERY_S)


async def followed(
    look: Callable[[], ScreenState | ExportState | None], name: str, missing: str
) -> StreamingResponse:
    """Changes of one ordered job, until it has ended or the caller may see it no more.

    Raises NotFound, with the sentence `missing`, for one that is not there.
    """
    if await run_in_threadpool(look) is None:
        raise NotFound(missing)
    ended = False

    def read() -> Sequence[ScreenState | ExportState] | None:
        nonlocal ended
        state = None if ended else look()
        ended = state is None or state.state in ("done", "failed")
        return None if state is None else [state]

    return StreamingResponse(
        stream(read, name), media_type="text/event-stream", headers=NOT_HELD_BACK
    )


def job_row(
    url: str, caller: Caller, project: str, table: type[JobRow], identity: str
) -> JobRow | None:
    """A job's row now; None where it is not there, or the caller may see it no more."""
    with Session(database_engine(url)) as session:
        now = caller_again(session, caller)
    if now is None:
        return None
    with ProjectSession(database_engine(url), now.roles) as session:
        row = session.get(table, identity)
        return None if row is None or row.project_id != project else row


def look(url: str, caller: Caller, run: str) -> list[RunEvent] | None:
    """Runs that the caller may see now, the newest first; None for a caller who may no more.

    Two queries, whatever the number of runs.
    """
    with Session(database_engine(url)) as session:
        now = caller_again(session, caller)
    if now is None:
        return None
    with ProjectSession(database_engine(url), now.roles) as session:
        query = select(RunRow).order_by(col(RunRow.submitted_at).desc()).limit(_MOST_RUNS)
        rows = session.exec(query.where(RunRow.id == run) if run else query).all()
        counts = session.exec(
            select(WellRow.run_id, WellRow.status, sa.func.count())
            .where(col(WellRow.run_id).in_([row.id for row in rows]))
            .group_by(col(WellRow.run_id), col(WellRow.status))
        ).all()
    wells = {(of, status): int(number) for of, status, number in counts}
    return [
        RunEvent(
            id=row.id,
            state=row.state,
            reason=row.reason,
            done=wells.get((row.id, "done"), 0),
            failed=wells.get((row.id, "failed"), 0),
            revision=row.revision,
        )
        for row in rows
    ]
