"""Runs, their wells and their responses."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from sqlmodel import Session, col, select

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.tables import (
    Format,
    FormatQuery,
    LabelSource,
    LabelsQuery,
    list_response,
    table_response,
)
from imaging_service.database.session import find_plate, find_run, well_counts, well_rows
from imaging_service.database.tables import RunRow
from imaging_service.errors import Forbidden, NotReady, PlateMapRefused
from imaging_service.schemas import Progress, Run, Submission, WellState
from imaging_service.settings import Settings

router = APIRouter(prefix="/runs", tags=["runs"])

_TABLE_CONTENT: dict[int | str, dict[str, object]] = {
    200: {
        "description": (
            "The table. JSON is a list of objects; the columns are those of `docs/columns.md`."
        ),
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": [
                    {
                        "line": "SOD1-07",
                        "compound": "riluzole",
                        "phenotype": "nc_log2_aggregate",
                        "status": "ok",
                        "ec50_molar": 3.5e-07,
                    }
                ],
            },
            "text/csv": {},
            "application/vnd.apache.parquet": {},
        },
    },
    409: {"description": "The run is not done, so there is no table yet."},
}


def read_run(session: Session, row: RunRow) -> Run:
    """A run with its progress."""
    counts = well_counts(session, row.id)
    done, failed = counts.get("done", 0), counts.get("failed", 0)
    return Run(
        id=row.id,
        plate_id=row.plate_id,
        plate_name=find_plate(session, row.plate_id).name,
        protocol_name=row.protocol_name,
        engine=row.engine,
        state=row.state,
        reason=row.reason,
        progress=Progress(
            done=done,
            failed=failed,
            skipped=row.n_skipped,
            left=max(0, row.n_wells - done - failed),
        ),
        submitted_at=row.submitted_at,
        notes=json.loads(row.notes),
    )


@router.post("", summary="Submit a plate", status_code=202)
def submit(submission: Submission, settings: SettingsDep, session: SessionDep) -> Run:
    """Check scan, plate map and protocol, and queue the run.

    The same plate, map, protocol and engine are the same run.
    """
    from imaging_service.jobs.durable.queue import submit_run
    from imaging_service.jobs.plan import read_inputs
    from imaging_service.protocol import parse_protocol

    scan = _allowed(Path(submission.scan), settings)
    protocol = parse_protocol(
        submission.protocol, str(submission.protocol.get("name", "of the submission"))
    )
    kind, _, model = (submission.engine or protocol.segmentation.engine).partition(":")
    # A model of motornet is always a path; another engine's may be a published name.
    is_path = "/" in model or "\\" in model or Path(model).exists()
    if model and (kind == "motornet" or is_path):
        _allowed(Path(model), settings)
    try:
        content = base64.b64decode(submission.plate_map_base64, validate=True)
    except ValueError as error:
        raise PlateMapRefused(f"plate_map_base64 is not base64: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        # Only the last part of the name is used: it may come from another system, or be hostile.
        plate_map = Path(folder) / (
            Path(submission.plate_map_name.replace("\\", "/")).name or "plate_map.csv"
        )
        plate_map.write_bytes(content)
        inputs = read_inputs(
            scan, plate_map, protocol, submission.engine, submission.device, submission.plate
        )
    return read_run(session, find_run(session, submit_run(settings, inputs)))


def _allowed(path: Path, settings: Settings) -> Path:
    """The resolved path if it lies under a scan root.

    Raises Forbidden, whether it exists or not.
    """
    resolved = path.resolve()
    if not any(resolved.is_relative_to(root) for root in settings.roots):
        raise Forbidden(
            f"{path} is not under a scan root of this service"
            f" ({', '.join(map(str, settings.roots))}); set IMAGING_SERVICE_SCAN_ROOTS, or move it"
            " there"
        )
    return resolved


@router.get("", summary="Runs, the newest first", response_model=list[Run])
def list_runs(
    session: SessionDep,
    fmt: FormatQuery = Format.JSON,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """The newest runs."""
    rows = session.exec(select(RunRow).order_by(col(RunRow.submitted_at).desc()).limit(limit)).all()
    return list_response([read_run(session, row) for row in rows], "runs", fmt)


@router.get("/{run}", summary="One run and its progress")
def get_run(run: str, session: SessionDep) -> Run:
    """`run` is the id or an unambiguous beginning of it, 6 characters at least."""
    return read_run(session, find_run(session, run))


@router.get("/{run}/progress", summary="How each well ended, so far")
def get_progress(run: str, session: SessionDep) -> list[WellState]:
    """Wells that have ended, by name; there before the run is done."""
    rows = well_rows(session, find_run(session, run).id)
    return [
        WellState(
            well=r.well, status=r.status, reason=r.reason, n_fields=r.n_fields, n_nuclei=r.n_nuclei
        )
        for r in rows
    ]


@router.get(
    "/{run}/wells", summary="The well table", response_class=Response, responses=_TABLE_CONTENT
)
def get_wells(
    run: str,
    session: SessionDep,
    fmt: FormatQuery = Format.JSON,
    labels: LabelsQuery = LabelSource.NEWEST,
    line: str | None = None,
    compound: str | None = None,
    status: Annotated[str | None, Query(description="done, excluded, failed or skipped")] = None,
) -> Response:
    """One row per well of the plate map, in plate order."""
    return table_response(
        session,
        find_run(session, run),
        "wells",
        fmt,
        labels,
        line=line,
        compound=compound,
        status=status,
    )


@router.get(
    "/{run}/responses",
    summary="The response table",
    response_class=Response,
    responses=_TABLE_CONTENT,
)
def get_responses(
    run: str,
    session: SessionDep,
    fmt: FormatQuery = Format.JSON,
    labels: LabelsQuery = LabelSource.NEWEST,
    line: str | None = None,
    compound: str | None = None,
    phenotype: str | None = None,
    status: Annotated[str | None, Query(description="ok, flat, …")] = None,
) -> Response:
    """One row per line × compound × phenotype."""
    row = find_run(session, run)
    return table_response(
        session,
        row,
        "responses",
        fmt,
        labels,
        line=line,
        compound=compound,
        phenotype=phenotype,
        status=status,
    )


@router.get(
    "/{run}/hazards",
    summary="Survival over time",
    response_class=Response,
    responses=_TABLE_CONTENT,
)
def get_hazards(
    run: str,
    session: SessionDep,
    fmt: FormatQuery = Format.JSON,
    labels: LabelsQuery = LabelSource.NEWEST,
    line: str | None = None,
    compound: str | None = None,
    status: Annotated[
        str | None, Query(description="one_batch, informative_censoring, too_few_events, …")
    ] = None,
) -> Response:
    """One row per line × compound × dose of a longitudinal run; empty for a fixed end-point."""
    return table_response(
        session,
        find_run(session, run),
        "hazards",
        fmt,
        labels,
        line=line,
        compound=compound,
        status=status,
    )


@router.get(
    "/{run}/checks",
    summary="Quality control of the plate",
    response_class=Response,
    responses=_TABLE_CONTENT,
)
def get_checks(
    run: str,
    session: SessionDep,
    fmt: FormatQuery = Format.JSON,
    labels: LabelsQuery = LabelSource.NEWEST,
    status: Annotated[str | None, Query(description="ok, warning or not_assessable")] = None,
) -> Response:
    """Edge, row and column effects, fluorescent compounds, and the source of the thresholds."""
    return table_response(session, find_run(session, run), "checks", fmt, labels, status=status)


@router.get("/{run}/report", summary="The report page", response_class=FileResponse)
def get_report(run: str, session: SessionDep, settings: SettingsDep) -> FileResponse:
    """One self-contained HTML file."""
    from imaging_service.jobs.durable.workflows import run_folder

    row = find_run(session, run)
    path = run_folder(settings, row.id).root / "report.html"
    if row.state != "done" or not path.is_file():
        raise NotReady(f"run {row.id[:12]} is {row.state}; its report exists once it is done")
    return FileResponse(path, media_type="text/html")
