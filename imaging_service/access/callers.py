"""From what a request shows (a key, a session) to its caller and the caller's roles."""

from __future__ import annotations

import hashlib

from sqlmodel import Session, col, select

from imaging_service.access.keys import is_valid, known_key, note_use
from imaging_service.access.roles import Caller, Role, least
from imaging_service.database.tenants import (
    LOCAL_LAB,
    KeyRow,
    MemberRow,
    ProjectRow,
    ShareRow,
)


def token_digest(token: str) -> str:
    """What a browser's session keeps of a local token: cookies are signed, not hidden."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def local_caller(session: Session) -> Caller:
    """The one user of a service without keys, who may do everything."""
    roles = dict.fromkeys(session.exec(select(ProjectRow.id)).all(), Role.ADMINISTRATOR)
    return Caller(
        member="",
        name="local user",
        lab=LOCAL_LAB,
        roles=roles,
        lab_role=Role.ADMINISTRATOR,
        everywhere=True,
        local=True,
    )


def caller_with_key(session: Session, sent: str) -> Caller | None:
    """The owner of a key; None for a key that is wrong, expired, revoked or of a former member."""
    row = known_key(session, sent)
    caller = None if row is None else _with(session, row.member_id, row)
    if row is not None and caller is not None:
        note_use(session, row)
    return caller


def caller_of_session(session: Session, member: str, key: str) -> Caller | None:
    """The caller of a browser's session, asked anew for every request.

    A session that was opened with a key ends with it.
    """
    if not key:
        return _with(session, member, None)
    row = session.get(KeyRow, key)
    if row is None or row.member_id != member or not is_valid(row):
        return None
    return _with(session, member, row)


def _with(session: Session, member: str, key: KeyRow | None) -> Caller | None:
    row = session.get(MemberRow, member)
    if row is None or row.ended_at is not None:
        return None
    limit = Role.ADMINISTRATOR if key is None else Role(key.role)
    bound = None if key is None else key.project_id
    everywhere = row.everywhere and limit is Role.ADMINISTRATOR and bound is None
    roles = _roles(session, row, limit)
    if bound is not None:
        roles = {project: role for project, role in roles.items() if project == bound}
    return Caller(
        member=row.id,
        name=row.name,
        lab=row.lab_id,
        key="" if key is None else key.id,
        roles=roles,
        lab_role=None if bound is not None else least(Role(row.role), limit),
        everywhere=everywhere,
    )


def _roles(session: Session, member: MemberRow, limit: Role) -> dict[str, Role]:
    """Project ► role: the member's, limited by the share of a foreign project and by the key."""
    if member.everywhere:
        return dict.fromkeys(session.exec(select(ProjectRow.id)).all(), limit)
    role = least(Role(member.role), limit)
    mine = session.exec(select(ProjectRow.id).where(ProjectRow.lab_id == member.lab_id)).all()
    shared = session.exec(select(ShareRow).where(col(ShareRow.lab_id) == member.lab_id)).all()
    return dict.fromkeys(mine, role) | {s.project_id: least(role, Role(s.role)) for s in shared}
