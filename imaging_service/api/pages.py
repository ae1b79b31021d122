"""Pages for people: the list of runs, and a run with its responses."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlmodel import col, select

from imaging_service import __version__
from imaging_service.api.access import SessionDep
from imaging_service.api.routes.runs import read_run
from imaging_service.database.session import find_run, table_content, well_rows
from imaging_service.database.tables import RunRow
from imaging_service.web.templating import environment

router = APIRouter()


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """The API's operations and messages; nothing is loaded from elsewhere."""
    template = environment().get_template("docs.html")
    return HTMLResponse(template.render(api=request.app.openapi()))


@router.get("/", include_in_schema=False)
def index(session: SessionDep) -> HTMLResponse:
    """All runs."""
    rows = session.exec(select(RunRow).order_by(col(RunRow.submitted_at).desc()).limit(100)).all()
    return HTMLResponse(
        environment()
        .get_template("runs.html")
        .render(runs=[read_run(session, r) for r in rows], version=__version__)
    )


@router.get("/view/{run}", include_in_schema=False)
def view_run(run: str, session: SessionDep) -> HTMLResponse:
    """One run: progress while it goes on, responses once it is done."""
    row = find_run(session, run)
    responses = [json.loads(c) for c in table_content(session, row, "responses", {})]
    failed = [w for w in well_rows(session, row.id) if w.status == "failed"]
    page = (
        environment()
        .get_template("run.html")
        .render(run=read_run(session, row), rows=responses, failed=failed)
    )
    return HTMLResponse(page)
