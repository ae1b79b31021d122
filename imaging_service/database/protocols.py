"""Protocols that a project's runs were analysed with: by digest, and versions of a name from 1."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.database.tables import ProtocolRow, RunRow
from imaging_service.errors import NotFound


def keep_protocol(
    session: Session, project: str, digest: str, content: dict[str, Any], author: str
) -> int:
    """The version of a project's protocol, a new one for content that the project has not had.

    `digest` is that of the content; versions count by the protocol's name. The caller commits.
    """
    known = session.get(ProtocolRow, (project, digest))
    if known is not None:
        return known.version
    name = str(content["name"])
    last = select(sa.func.max(ProtocolRow.version)).where(
        ProtocolRow.project_id == project, ProtocolRow.name == name
    )
    version = (session.exec(last).one() or 0) + 1
    session.add(
        ProtocolRow(
            project_id=project,
            digest=digest,
            name=name,
            version=version,
            content=json.dumps(content),
            author=author,
        )
    )
    session.flush()
    return version


def protocols_of(session: Session, project: str) -> list[tuple[ProtocolRow, int]]:
    """(protocol, number of its runs) of a project, the newest first."""
    counted = (
        select(col(RunRow.protocol_digest), sa.func.count())
        .where(RunRow.project_id == project)
        .group_by(col(RunRow.protocol_digest))
    )
    runs = dict(session.exec(counted).all())
    query = select(ProtocolRow).where(ProtocolRow.project_id == project)
    rows = session.exec(query.order_by(col(ProtocolRow.created_at).desc())).all()
    return [(row, runs.get(row.digest, 0)) for row in rows]


def find_protocol(session: Session, project: str, digest: str) -> ProtocolRow:
    """A protocol by its digest or a beginning of at least 6 characters. Raises NotFound."""
    query = select(ProtocolRow).where(ProtocolRow.project_id == project)
    query = query.where(col(ProtocolRow.digest).startswith(digest, autoescape=True)).limit(2)
    rows = session.exec(query).all() if len(digest) >= 6 else []
    if len(rows) != 1:
        raise NotFound(f"there is no protocol {digest}")
    return rows[0]
