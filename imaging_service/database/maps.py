"""Versions of a plate's map: each map that its runs were analysed with, counted from 1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.database.tables import MapRow


def map_version(
    session: Session,
    plate: str,
    digest: str,
    records: Sequence[dict[str, Any]],
    *,
    source: str,
    author: str,
) -> int:
    """The version of a plate's map, a new one for a map that the plate has not had.

    The caller commits. `digest` is that of the map's content: the same content in another file is
    the same version.
    """
    known = select(MapRow.version).where(MapRow.plate_id == plate, MapRow.digest == digest)
    version = session.exec(known).first()
    if version is None:
        last = select(sa.func.max(MapRow.version)).where(MapRow.plate_id == plate)
        version = (session.exec(last).one() or 0) + 1
        session.add(
            MapRow(
                plate_id=plate,
                version=version,
                digest=digest,
                source=source,
                author=author,
                records=json.dumps(list(records)),
            )
        )
        session.flush()
    return version


def maps_of(session: Session, plate: str) -> list[MapRow]:
    """All versions of a plate's map, the oldest first."""
    query = select(MapRow).where(MapRow.plate_id == plate).order_by(col(MapRow.version))
    return list(session.exec(query).all())
