"""Submitting a plate: the scan drawn, the plate map checked and drawn, then the run."""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import ConfigDict, Field

from imaging_service.access.roles import Role
from imaging_service.api.access import (
    ApartDep,
    CallerDep,
    LabDep,
    ProjectDep,
    SessionDep,
    SettingsDep,
)
from imaging_service.api.pages.page import page_router, show
from imaging_service.api.routes.protocols import list_protocols
from imaging_service.api.routes.runs import submit
from imaging_service.errors import PlateMapRefused, ProtocolError, ServiceError
from imaging_service.schemas import ProtocolVersion, Sent, Submission
from imaging_service.settings import Settings
from imaging_service.toml_text import parse_toml
from imaging_service.web.pages.drawn_plate import contents_plate
from imaging_service.web.pages.submit import not_in_both, scan_plate
from plate_maps import PlateFormat

router = page_router()
# Asked by the page's script, which shows the sentence of a problem document.
asked = APIRouter(include_in_schema=False)


class SentMap(Sent):
    """A plate map to be checked against a scan."""

    model_config = ConfigDict(extra="forbid")

    scan: str = Field(max_length=4096)
    plate_map_name: str = Field(max_length=400)
    plate_map_base64: str = Field(max_length=28_000_000)
    plate: str = Field("", max_length=200)
    protocol: str = Field("", max_length=1_000_000)


class SentRun(SentMap):
    """A plate to be analysed, with the protocol as the text of its file."""


@router.get("/submit")
def view_submit(caller: CallerDep, settings: SettingsDep) -> HTMLResponse:
    """The first step: a project and a folder."""
    projects = sorted(p for p, role in caller.roles.items() if role.includes(Role.OPERATOR))
    return _page(settings, caller.lab, projects, projects[0] if len(projects) == 1 else "", "")


@router.get("/submit/scan")
def view_scan(
    settings: SettingsDep,
    session: SessionDep,
    apart: ApartDep,
    project: ProjectDep,
    lab: LabDep,
    scan: Annotated[str, Query(min_length=1, max_length=4096)],
) -> HTMLResponse:
    """What the scan holds, and the next steps."""
    from imaging_service.inspection.submission import look_at_scan

    roots = settings.roots_of(project, lab)
    try:
        looked = apart.call(look_at_scan, scan, roots, seconds=settings.reading_minutes * 60)
    except ServiceError as error:
        return _page(settings, lab, [project], project, scan, fault=str(error))
    known = list_protocols(project, session)
    return _page(settings, lab, [project], project, scan, looked, protocols=known)


def _page(
    settings: Settings,
    lab: str,
    projects: list[str],
    project: str,
    scan: str,
    looked: dict[str, Any] | None = None,
    fault: str = "",
    protocols: Sequence[ProtocolVersion] = (),
) -> HTMLResponse:
    plate = None
    if looked:
        fmt = PlateFormat(looked["plate_rows"], looked["plate_columns"])
        plate = scan_plate(looked["name"], fmt, looked["present"])
    return show(
        "submit.html",
        422 if fault else 200,
        title="Submit a plate",
        scan=scan,
        project=project,
        projects=projects,
        roots=[str(r) for r in settings.roots_of(project, lab)] if project else [],
        survey=looked,
        plate=plate,
        fault=fault,
        protocols=protocols,
    )


@asked.post("/submit/map")
def check_map(
    sent: SentMap, settings: SettingsDep, apart: ApartDep, project: ProjectDep, lab: LabDep
) -> HTMLResponse:
    """The plate map drawn, with what should be checked before the plate is used."""
    from imaging_service.inspection.submission import look_at_map, look_at_protocol, look_at_scan

    seconds = settings.reading_minutes * 60
    looked = apart.call(look_at_scan, sent.scan, settings.roots_of(project, lab), seconds=seconds)
    fmt = PlateFormat(looked["plate_rows"], looked["plate_columns"])
    protocol = _protocol(sent.protocol)
    acquisition = protocol.get("acquisition", {})
    line = acquisition.get("line", "") if isinstance(acquisition, dict) else ""
    mapped = apart.call(
        look_at_map,
        _map_name(sent.plate_map_name),
        _content(sent.plate_map_base64),
        sent.plate or looked["name"],
        fmt.size,
        str(line),
        seconds=seconds,
    )
    only_scan, only_map = not_in_both(looked["present"], {w["well"] for w in mapped["wells"]})
    drawn = contents_plate(mapped["wells"], PlateFormat(mapped["rows"], mapped["columns"]))
    return show(
        "map.html",
        map=mapped,
        plate=drawn,
        only_scan=only_scan,
        only_map=only_map,
        # The map is drawn none the less; what cannot be submitted is told before it is sent.
        protocol_fault=apart.call(look_at_protocol, protocol, seconds=seconds),
    )


@asked.post("/submit/run")
def submit_run(
    sent: SentRun,
    settings: SettingsDep,
    session: SessionDep,
    apart: ApartDep,
    caller: CallerDep,
    project: ProjectDep,
    lab: LabDep,
    request: Request,
) -> JSONResponse:
    """Queue the run, and say where its page is."""
    submission = Submission(
        scan=sent.scan,
        plate_map_name=sent.plate_map_name,
        plate_map_base64=sent.plate_map_base64,
        protocol=_protocol(sent.protocol),
        plate=sent.plate,
    )
    run = submit(submission, settings, session, apart, caller, project, lab, request)
    return JSONResponse({"page": f"/view/{run.id}"}, 202)


def _protocol(text: str) -> dict[str, object]:
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"the protocol is not TOML: {error}; correct that line") from error


def _map_name(sent: str) -> str:
    from imaging_service.jobs.submitted import map_name

    return map_name(sent)


def _content(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise PlateMapRefused(f"plate_map_base64 is not base64: {error}") from error
