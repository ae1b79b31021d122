"""API keys of the caller; an administrator also sees and ends those of the laboratory."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlmodel import Session, select

from imaging_service.access.keys import NewKey as NewRow
from imaging_service.access.keys import keys_of, make_key, revoke, rotate
from imaging_service.access.members import find_member
from imaging_service.access.roles import Caller, Role
from imaging_service.accounts import Key, MadeKey, NewKey
from imaging_service.api.access import CallerDep, SessionDep
from imaging_service.database.tenants import KeyRow, MemberRow
from imaging_service.errors import AccessRefused, Forbidden, NotFound

router = APIRouter(prefix="/keys", tags=["accounts"])


@router.get("", summary="Keys without their secrets")
def list_keys(caller: CallerDep, session: SessionDep) -> list[Key]:
    """The caller's own; those of the laboratory's members for its administrators."""
    rows = keys_of(session, _members(session, caller))
    return [Key.model_validate(row, from_attributes=True) for row in rows]


@router.post("", summary="Make a key", status_code=201)
def post_key(
    wanted: NewKey, caller: CallerDep, session: SessionDep, request: Request, answer: Response
) -> MadeKey:
    """A key of the caller. Its secret is in this answer and nowhere else.

    A key that is limited, to a role or to a project, makes none: others that a thief
    made with it would outlive it.
    """
    if caller.local:
        raise AccessRefused(
            "a service without members has no keys; make the first administrator with:"
            " imaging-service keys first-administrator"
        )
    if _is_limited(session, caller):
        raise Forbidden(f"key {caller.key} is limited, and makes no keys; use one that is not")
    if wanted.project_id is not None and wanted.project_id not in caller.roles:
        raise NotFound(f"there is no project {wanted.project_id}")
    made = make_key(
        session,
        find_member(session, caller.member),
        wanted.name,
        role=Role(wanted.role),
        project=wanted.project_id,
        days=wanted.days,
    )
    return _made(session, made, request, answer)


@router.post("/{key}/rotate", summary="Replace a key", status_code=201)
def rotate_key(
    key: str, caller: CallerDep, session: SessionDep, request: Request, answer: Response
) -> MadeKey:
    """A new key that may do the same; the old one works on for a day.

    A limited key replaces itself only.
    """
    row = _row(session, caller, key)
    if row.member_id != caller.member:
        raise AccessRefused(f"key {key} is another member's; end it, and let the owner make one")
    if key != caller.key and _is_limited(session, caller):
        raise Forbidden(f"key {caller.key} is limited, and replaces no other key")
    return _made(session, rotate(session, row), request, answer)


@router.delete("/{key}", summary="Revoke a key", status_code=204)
def delete_key(key: str, caller: CallerDep, session: SessionDep) -> None:
    """It ends at once, and so do the browsers' sessions that it opened."""
    revoke(_row(session, caller, key))
    session.commit()


def _members(session: Session, caller: Caller) -> list[str]:
    """Members whose keys the caller may see and end."""
    if caller.everywhere:
        return list(session.exec(select(MemberRow.id)).all())
    if caller.lab_role is not Role.ADMINISTRATOR:
        return [caller.member]
    return list(session.exec(select(MemberRow.id).where(MemberRow.lab_id == caller.lab)).all())


def _is_limited(session: Session, caller: Caller) -> bool:
    row = session.get_one(KeyRow, caller.key) if caller.key else None
    return row is not None and (row.role != Role.ADMINISTRATOR or row.project_id is not None)


def _row(session: Session, caller: Caller, key: str) -> KeyRow:
    row = session.get(KeyRow, key)
    if row is None or row.member_id not in _members(session, caller):
        raise NotFound(f"there is no key {key}")
    return row


def _made(session: Session, made: NewRow, request: Request, answer: Response) -> MadeKey:
    request.state.subject = made.row.id
    # No proxy and no browser may keep it.
    answer.headers["Cache-Control"] = "no-store"
    session.commit()
    session.refresh(made.row)
    known = Key.model_validate(made.row, from_attributes=True)
    return MadeKey(**known.model_dump(), key=made.secret)
