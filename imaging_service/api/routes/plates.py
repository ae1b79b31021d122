"""Plates."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response
from sqlmodel import col, select

from imaging_service.api.access import SessionDep
from imaging_service.api.routes.tables import LIST_CONTENT, Format, FormatQuery, list_response
from imaging_service.database.session import find_plate
from imaging_service.database.tables import PlateRow
from imaging_service.schemas import Plate

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
