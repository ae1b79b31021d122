"""The list of runs, the API's description, the models, and the files that pages load."""

from __future__ import annotations

import math
from typing import Annotated

import sqlalchemy as sa
from fastapi import Query, Request
from fastapi.responses import FileResponse, HTMLResponse
from sqlmodel import col, select

from imaging_service import __version__
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.pages.page import PageQuery, page_router, show
from imaging_service.api.routes.engines import list_own
from imaging_service.api.routes.runs import read_run
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.errors import NotFound
from imaging_service.models.listing import MODELS
from imaging_service.web.assets import MEDIA_TYPES, assets

router = page_router()
_PER_PAGE = 50
_STATES = ("queued", "running", "waiting", "done", "failed", "cancelled")


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The API's operations and messages; nothing is loaded from elsewhere."""
    return show("docs.html", title="API", api=request.app.openapi())


@router.get("/assets/{name:path}")
def get_asset(name: str) -> FileResponse:
    """A style or script; its address carries its digest, so a browser may keep it."""
    path = assets().get(name)
    if path is None:
        raise NotFound(f"there is no file {name}")
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[path.suffix],
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.get("/")
def index(
    session: SessionDep,
    plate: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    page: PageQuery = 1,
) -> HTMLResponse:
    """Runs, the newest first; by plate and state, a page at a time."""
    query = select(RunRow)
    if state:
        query = query.where(col(RunRow.state) == state)
    if plate:
        named = select(PlateRow.id).where(col(PlateRow.name).contains(plate, autoescape=True))
        query = query.where(col(RunRow.plate_id).in_(named))
    total = session.exec(select(sa.func.count()).select_from(query.subquery())).one()
    newest = query.order_by(col(RunRow.submitted_at).desc(), col(RunRow.id))
    rows = session.exec(newest.offset((page - 1) * _PER_PAGE).limit(_PER_PAGE)).all()
    return show(
        "runs.html",
        title="Runs",
        runs=[read_run(session, r) for r in rows],
        version=__version__,
        chosen={"plate": plate, "state": state},
        states=_STATES,
        total=total,
        page=page,
        pages=max(1, math.ceil(total / _PER_PAGE)),
        api="/runs",
    )


@router.get("/models")
def models(caller: CallerDep, session: SessionDep, settings: SettingsDep) -> HTMLResponse:
    """The laboratory's own models, and the weights of this version: licence, digest, figures."""
    from segmentation.engines.weights import known_models

    listed = list_own(caller, session, settings)
    return show("models.html", title="Models", models=known_models(), own=listed, folder=MODELS)
