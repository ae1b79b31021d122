"""What the service knows of itself: whether it lives, and whether it can take work."""

from __future__ import annotations

import time

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlmodel import Session, select

from imaging_service import __version__
from imaging_service.api.access import SettingsDep
from imaging_service.api.metrics import SILENT_S
from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow
from imaging_service.errors import Busy
from imaging_service.jobs.parallel.away import shortage
from imaging_service.schemas import Health, WorkerState
from imaging_service.settings import Settings

router = APIRouter(prefix="/health", tags=["service"])
metrics = APIRouter(tags=["service"])


@router.get("/live", summary="Whether the server answers")
def live() -> dict[str, str]:
    """Nothing is asked, so that a slow database does not have the server restarted."""
    return {"version": __version__}


@router.get("/ready", summary="Whether the service can take work now")
def ready(settings: SettingsDep) -> Health:
    """As `/health`, with 503 where it cannot."""
    known = look(settings)
    if not known.ready:
        raise Busy("; ".join(known.problems))
    return known


@metrics.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
def get_metrics(request: Request) -> Response:
    """Requests by route, seconds, runs by state, wells by status, workers, free space."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("", summary="Whether the service can take work, and what keeps it from that")
def health(settings: SettingsDep) -> Health:
    """Database, data folder and workers; `ready` says all in one."""
    return look(settings)


def look(settings: Settings) -> Health:
    """Ask the database, the data folder's disk and the workers' rows."""
    database, workers = "ok", []
    try:
        with Session(database_engine(settings.url)) as session:
            workers = [_state(row) for row in session.exec(select(WorkerRow)).all()]
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        database = f"database not reachable: {cause}"
    store = shortage(settings.data_dir.resolve()) or "ok"
    problems = [p for p in (database, store) if p != "ok"]
    problems += [f"worker {w.name} waits: {w.state}" for w in workers if _waits(w, store)]
    if database == "ok" and not any(w.alive for w in workers):
        problems.append("no worker is alive: submitted plates stay queued until one is started")
    return Health(
        version=__version__,
        ready=not problems,
        database=database,
        store=store,
        workers=sorted(workers, key=lambda w: w.name),
        problems=problems,
    )


def _waits(worker: WorkerState, store: str) -> bool:
    return worker.alive and worker.state not in ("working", store)


def _state(row: WorkerRow) -> WorkerState:
    silent = max(0.0, time.time() - row.seen)
    return WorkerState(
        name=row.name, seen_s=round(silent, 1), alive=silent < SILENT_S, state=row.state
    )
