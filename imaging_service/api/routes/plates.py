"""Plates, and the versions of their maps."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from sqlmodel import Session, col, select

from imaging_service.access.members import find_project
from imaging_service.api.access import ApartDep, CallerDep, SessionDep, SettingsDep
from imaging_service.api.problems import described
from imaging_service.api.tables import LIST_CONTENT, Format, FormatQuery, list_response
from imaging_service.database.maps import maps_of
from imaging_service.database.session import find_plate
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.errors import NotFound, NotReady
from imaging_service.schemas import NewPlateMap, Plate, PlateMapVersion

router = APIRouter(prefix="/plates", tags=["plates"])


def _plate(row: PlateRow) -> Plate:
    return Plate(
        id=row.id,
        name=row.name,
        rows=row.rows,
        columns=row.columns,
        channels=json.loads(row.channels),
        pixel_size_um=row.pixel_size_um,
    )


@router.get(
    "",
    summary="Plates that were submitted, the newest first",
    response_model=list[Plate],
    responses=LIST_CONTENT,
)
def list_plates(session: SessionDep, fmt: FormatQuery = Format.JSON) -> Response:
    """All plates."""
    rows = session.exec(select(PlateRow).order_by(col(PlateRow.created_at).desc())).all()
    return list_response([_plate(row) for row in rows], "plates", fmt)


@router.get("/{plate}", summary="One plate")
def get_plate(plate: str, session: SessionDep) -> Plate:
    """One plate."""
    return _plate(find_plate(session, plate))


@router.get("/{plate}/maps", summary="Versions of a plate's map")
def list_maps(plate: str, session: SessionDep) -> list[PlateMapVersion]:
    """The oldest first, each with its runs."""
    return _versions(session, find_plate(session, plate).id)


@router.get("/{plate}/maps/{version}", summary="What is in each well, by one version of the map")
def get_map(
    plate: str, version: Annotated[int, PathParameter(ge=1, le=2**31)], session: SessionDep
) -> list[dict[str, object]]:
    """One object per well."""
    for row in maps_of(session, find_plate(session, plate).id):
        if row.version == version:
            records: list[dict[str, object]] = json.loads(row.records)
            return records
    raise NotFound(f"plate {plate} has no map of version {version}")


@router.post(
    "/{plate}/maps",
    summary="Correct a plate's map",
    status_code=202,
    responses=described(409, 429),
)
def post_map(
    plate: str,
    given: NewPlateMap,
    settings: SettingsDep,
    session: SessionDep,
    apart: ApartDep,
    caller: CallerDep,
) -> PlateMapVersion:
    """The next version of the map. What depends on the map follows, as runs of their own.

    There is one new run per protocol and engine that the plate was analysed with; it takes over the
    labels and measurements of the earlier one. The same map again is the same version.
    """
    from imaging_service.jobs.durable.queue import queue_run
    from imaging_service.jobs.durable.remap import last_records
    from imaging_service.jobs.submitted import read_new_map

    row = find_plate(session, plate)
    project = row.project_id
    roots = settings.roots_of(project, find_project(session, project).lab_id)
    records = list(last_records(settings, session, row.id))
    # Reading takes long, and queueing has a session of its own: no connection is kept for them.
    session.close()
    queued = []
    for record in records:
        made, plan = apart.call(
            read_new_map, record, given, roots, seconds=settings.reading_minutes * 60
        )
        queued.append(queue_run(settings, made, plan, project, caller.name))
    if not queued:
        raise NotReady(f"plate {plate} has no run whose inputs are known; submit it with the map")
    version = session.exec(select(RunRow.map_version).where(RunRow.id == queued[-1])).one()
    return next(v for v in _versions(session, plate) if v.version == version)


def _versions(session: Session, plate: str) -> list[PlateMapVersion]:
    query = select(RunRow.id, RunRow.map_version).where(RunRow.plate_id == plate)
    runs = session.exec(query.order_by(col(RunRow.submitted_at))).all()
    return [
        PlateMapVersion(
            version=row.version,
            source=row.source,
            author=row.author,
            created_at=row.created_at,
            wells=len(json.loads(row.records)),
            runs=[run for run, version in runs if version == row.version],
        )
        for row in maps_of(session, plate)
    ]
