"""From what a request shows (a key, a session) to its caller and the caller's roles."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from imaging_service.access.keys import id_of_key, is_right, is_valid, note_use
from imaging_service.access.roles import Caller, Role, least
from imaging_service.database.tenants import (
    LOCAL_LAB,
    KeyRow,
    MemberRow,
    ProjectRow,
    ShareRow,
)

# Who asks, and what the caller may do, is read for every request: in two statements that are put
# together once, and without the ORM, which takes several times as long.
_MEMBER: list[sa.Label[Any]] = [
    col(MemberRow.id).label("member"),
    col(MemberRow.name).label("name"),
    col(MemberRow.lab_id).label("lab"),
    col(MemberRow.role).label("role"),
    col(MemberRow.everywhere).label("everywhere"),
    col(MemberRow.ended_at).label("ended_at"),
]
_KEY: list[sa.Label[Any]] = [
    col(KeyRow.id).label("key"),
    col(KeyRow.digest).label("digest"),
    col(KeyRow.role).label("most"),
    col(KeyRow.project_id).label("bound"),
    col(KeyRow.expires_at).label("expires_at"),
    col(KeyRow.revoked_at).label("revoked_at"),
    col(KeyRow.used_at).label("used_at"),
]
_BY_MEMBER: sa.Select[Any] = sa.select(*_MEMBER).where(col(MemberRow.id) == sa.bindparam("member"))
_BY_KEY: sa.Select[Any] = (
    sa.select(*_MEMBER, *_KEY)
    .join_from(MemberRow, KeyRow, col(KeyRow.member_id) == col(MemberRow.id))
    .where(col(KeyRow.id) == sa.bindparam("key"))
)
_PROJECTS = sa.select(col(ProjectRow.id))
# A laboratory's own projects, and those of others with the most that it may do there.
_PROJECTS_OF_LAB: sa.CompoundSelect[Any] = sa.union_all(
    sa.select(col(ProjectRow.id), sa.null().label("most")).where(
        col(ProjectRow.lab_id) == sa.bindparam("lab")
    ),
    sa.select(col(ShareRow.project_id), col(ShareRow.role)).where(
        col(ShareRow.lab_id) == sa.bindparam("lab")
    ),
)


def token_digest(token: str) -> str:
    """What a browser's session keeps of a local token: cookies are signed, not hidden."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def local_caller(session: Session) -> Caller:
    """The one user of a service without keys, who may do everything."""
    return Caller(
        member="",
        name="local user",
        lab=LOCAL_LAB,
        roles=_everywhere(session, Role.ADMINISTRATOR),
        lab_role=Role.ADMINISTRATOR,
        everywhere=True,
        local=True,
    )


def caller_with_key(session: Session, sent: str) -> Caller | None:
    """The owner of a key; None for a key that is wrong, expired, revoked or of a former member.

    All that is wrong with a key has the same answer: who guesses learns nothing.
    """
    row = session.connection().execute(_BY_KEY, {"key": id_of_key(sent)}).one_or_none()
    # Compared in any case, so that an unknown id takes as long as a wrong secret.
    right = is_right(sent, "" if row is None else row.digest)
    if row is None or not right or not is_valid(row) or row.ended_at is not None:
        return None
    note_use(session, row.key, row.used_at)
    return _with_key(session, row)


def caller_of_session(session: Session, member: str, key: str) -> Caller | None:
    """The caller of a browser's session, asked anew for every request.

    A session that was opened with a key ends with it.
    """
    connection = session.connection()
    if not key:
        row = connection.execute(_BY_MEMBER, {"member": member}).one_or_none()
        if row is None or row.ended_at is not None:
            return None
        return _caller(session, row, Role.ADMINISTRATOR)
    row = connection.execute(_BY_KEY, {"key": key}).one_or_none()
    if row is None or row.member != member or not is_valid(row) or row.ended_at is not None:
        return None
    return _with_key(session, row)


def _with_key(session: Session, row: sa.Row[Any]) -> Caller:
    return _caller(session, row, Role(row.most), key=row.key, bound=row.bound)


def _caller(
    session: Session, row: sa.Row[Any], limit: Role, key: str = "", bound: str | None = None
) -> Caller:
    """A member, with what the key allows: at most the role `limit`, and one project if `bound`."""
    everywhere = row.everywhere and limit is Role.ADMINISTRATOR and bound is None
    roles = _roles(session, row, limit)
    if bound is not None:
        roles = {project: role for project, role in roles.items() if project == bound}
    return Caller(
        member=row.member,
        name=row.name,
        lab=row.lab,
        key=key,
        roles=roles,
        lab_role=None if bound is not None else least(Role(row.role), limit),
        everywhere=everywhere,
    )


def _roles(session: Session, member: sa.Row[Any], limit: Role) -> dict[str, Role]:
    """Project ► role: the member's, limited by the share of a foreign project and by the key."""
    if member.everywhere:
        return _everywhere(session, limit)
    role = least(Role(member.role), limit)
    rows = session.connection().execute(_PROJECTS_OF_LAB, {"lab": member.lab}).all()
    return {project: least(role, Role(most)) if most else role for project, most in rows}


def _everywhere(session: Session, role: Role) -> dict[str, Role]:
    return dict.fromkeys(session.connection().execute(_PROJECTS).scalars(), role)
