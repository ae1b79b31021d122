"""Runs, their wells and their responses."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from sqlmodel import Session, col, select

from imaging_service.access.roles import Caller
from imaging_service.api.access import (
    ApartDep,
    CallerDep,
    LabDep,
    ProjectDep,
    SessionDep,
    SettingsDep,
)
from imaging_service.api.answers import AskedDep
from imaging_service.api.problems import described
from imaging_service.api.tables import (
    LIST_CONTENT,
    Format,
    FormatQuery,
    LabelSource,
    LabelsQuery,
    ResponseOrder,
    list_response,
    table_response,
)
from imaging_service.database.session import find_plate, find_run, well_counts, well_rows
from imaging_service.database.tables import RunRow
from imaging_service.database.tenants import ProjectRow
from imaging_service.errors import Forbidden, NotReady
from imaging_service.schemas import Priority, Progress, Retry, Run, Submission, WellState
from imaging_service.web.assets import REPORT_POLICY
from imaging_service.web.pages.quality import checks_by_finding
from imaging_service.web.pages.responses import ordered_responses

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
            "application/vnd.apache.arrow.stream": {},
        },
    },
    304: {"description": "You have it: the ETag in If-None-Match is that of the table."},
    **described(409),
}


def read_run(session: Session, row: RunRow) -> Run:
    """A run with its progress."""
    counts = well_counts(session, row.id)
    done, failed = counts.get("done", 0), counts.get("failed", 0)
    again = {
        "done": (
            f"{failed} well(s) failed; to try again those whose images were whole when they were"
            f" submitted: imaging-service retry {row.id[:12]}"
        )
        if failed
        else "",
        "failed": f"{row.reason}; to try again: imaging-service retry {row.id[:12]}",
        "cancelled": f"{row.reason}; to go on: imaging-service resume {row.id[:12]}",
    }
    return Run(
        id=row.id,
        plate_id=row.plate_id,
        plate_name=find_plate(session, row.plate_id).name,
        protocol_name=row.protocol_name,
        engine=row.engine,
        state=row.state,
        priority=row.priority,
        reason=again.get(row.state, row.reason),
        progress=Progress(
            done=done,
            failed=failed,
            skipped=row.n_skipped,
            left=max(0, row.n_wells - done - failed),
        ),
        submitted_at=row.submitted_at,
        notes=json.loads(row.notes),
    )


@router.post("", summary="Submit a plate", status_code=202, responses=described(429))
def submit(
    submission: Submission,
    settings: SettingsDep,
    session: SessionDep,
    apart: ApartDep,
    caller: CallerDep,
    project: ProjectDep,
    lab: LabDep,
    request: Request,
) -> Run:
    """Check scan, plate map and protocol, and queue the run.

    The same plate, map, protocol and engine are the same run, with the priority that it has.
    """
    from imaging_service.jobs.durable.queue import queue_run
    from imaging_service.jobs.submitted import read_submission

    if submission.priority != "normal":
        of_own_laboratory(session, caller, project)
        # Reading takes long, and queueing has a session of its own: no connection is kept for them.
        session.close()
    record, plan = apart.call(
        read_submission,
        submission,
        settings.roots_of(project, lab),
        seconds=settings.reading_minutes * 60,
    )
    run = queue_run(settings, record, plan, project, caller.name, submission.priority)
    request.state.subject = run
    return read_run(session, find_run(session, run))


@router.get("", summary="Runs, the newest first", response_model=list[Run], responses=LIST_CONTENT)
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


@router.post("/{run}/cancel", summary="Stop a run", status_code=202, responses=described(409))
def cancel_run(run: str, settings: SettingsDep, session: SessionDep) -> Run:
    """Wells that are being analysed end before their next field; wells that are done stay done."""
    from imaging_service.jobs.durable.verbs import cancel

    return read_run(session, cancel(settings, session, run))


@router.post(
    "/{run}/resume", summary="Let a cancelled run go on", status_code=202, responses=described(409)
)
def resume_run(run: str, settings: SettingsDep, session: SessionDep) -> Run:
    """With the wells that are not done."""
    from imaging_service.jobs.durable.verbs import resume

    return read_run(session, resume(settings, session, run))


@router.post(
    "/{run}/retry",
    summary="Analyse failed wells again",
    status_code=202,
    responses=described(409),
)
def retry_run(
    run: str, settings: SettingsDep, session: SessionDep, wanted: Retry | None = None
) -> Run:
    """All that failed, or those named; wells that are done stay done."""
    from imaging_service.jobs.durable.verbs import retry

    return read_run(session, retry(settings, session, run, wanted.wells if wanted else None))


@router.put(
    "/{run}/priority",
    summary="Change how soon a run has its turn",
    responses=described(409),
)
def put_priority(run: str, wanted: Priority, session: SessionDep, caller: CallerDep) -> Run:
    """While it is queued; only members of the laboratory whose project it is may do so."""
    from imaging_service.jobs.durable.verbs import prefer

    of_own_laboratory(session, caller, find_run(session, run).project_id)
    return read_run(session, prefer(session, run, wanted.priority))


def of_own_laboratory(session: Session, caller: Caller, project: str) -> None:
    """Raise Forbidden for a project of another laboratory: its priorities are not the caller's."""
    lab = session.get_one(ProjectRow, project).lab_id
    if caller.lab != lab and not caller.everywhere:
        raise Forbidden(
            f"project {project} is of laboratory {lab}, whose members alone set priorities in it"
        )


@router.delete("/{run}", summary="Remove a run", status_code=204, responses=described(409))
def delete_run(run: str, settings: SettingsDep, session: SessionDep) -> None:
    """With its tables, labels and review; 409 while it goes on."""
    from imaging_service.jobs.durable.verbs import delete

    delete(settings, session, run)


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
    asked: AskedDep,
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
        asked,
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
    asked: AskedDep,
    fmt: FormatQuery = Format.JSON,
    labels: LabelsQuery = LabelSource.NEWEST,
    line: str | None = None,
    compound: str | None = None,
    phenotype: str | None = None,
    status: Annotated[str | None, Query(description="ok, flat, …")] = None,
    order: ResponseOrder = "",
) -> Response:
    """One row per line × compound × phenotype."""
    row = find_run(session, run)
    return table_response(
        session,
        row,
        "responses",
        fmt,
        asked,
        labels,
        ordered_responses,
        order,
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
    asked: AskedDep,
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
        asked,
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
    asked: AskedDep,
    fmt: FormatQuery = Format.JSON,
    labels: LabelsQuery = LabelSource.NEWEST,
    status: Annotated[str | None, Query(description="ok, warning or not_assessable")] = None,
    order: Annotated[
        str, Query(pattern="^(finding)?$", description="finding: warnings first")
    ] = "",
) -> Response:
    """Edge, row and column effects, fluorescent compounds, and the source of the thresholds."""
    row = find_run(session, run)
    return table_response(
        session,
        row,
        "checks",
        fmt,
        asked,
        labels,
        lambda rows, _: checks_by_finding(rows),
        order,
        status=status,
    )


@router.get(
    "/{run}/report",
    summary="The report page",
    response_class=FileResponse,
    responses=described(409),
)
def get_report(run: str, session: SessionDep, settings: SettingsDep) -> FileResponse:
    """One self-contained HTML file."""
    row = find_run(session, run)
    path = settings.run_root(row.id) / "report.html"
    if row.state != "done" or not path.is_file():
        raise NotReady(f"run {row.id[:12]} is {row.state}; its report exists once it is done")
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)
