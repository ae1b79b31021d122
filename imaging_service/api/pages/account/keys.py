"""Keys: made and replaced, shown once, revoked."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session, col, select

from imaging_service.access.keys import DAYS, is_valid
from imaging_service.access.roles import Caller, Role, key_role
from imaging_service.accounts import MadeKey, NewKey
from imaging_service.api.access import CallerDep, SessionDep
from imaging_service.api.accounts.keys import delete_key, list_keys, post_key, rotate_key
from imaging_service.api.forms import FormDep, filled
from imaging_service.api.pages.page import page_router, show
from imaging_service.database.tenants import KeyRow, MemberRow

router = page_router()
PLACE = "/account/keys"
# Neither a proxy, nor the browser's cache or its way back, may keep a key.
_KEEP_NOTHING = {"Cache-Control": "no-store"}


@router.get(PLACE)
def view_keys(caller: CallerDep, session: SessionDep) -> HTMLResponse:
    """The caller's keys, and those of the laboratory for its administrators."""
    return _page(caller, session)


@router.post(PLACE)
def make_key(
    form: FormDep, caller: CallerDep, session: SessionDep, request: Request
) -> HTMLResponse:
    """Make a key, and show it this once."""
    wanted = filled(
        NewKey,
        name=form.one("name"),
        role=form.one("role") or Role.ADMINISTRATOR.value,
        project_id=form.one("project") or None,
        days=form.one("days") or DAYS,
    )
    return _page(caller, session, post_key(wanted, caller, session, request, Response()))


@router.post(PLACE + "/{key}/rotate")
def replace_key(key: str, caller: CallerDep, session: SessionDep, request: Request) -> HTMLResponse:
    """Replace a key, and show the new one this once."""
    return _page(caller, session, rotate_key(key, caller, session, request, Response()))


@router.post(PLACE + "/{key}/revoke")
def revoke_key(key: str, caller: CallerDep, session: SessionDep) -> RedirectResponse:
    """End a key at once."""
    delete_key(key, caller, session)
    return RedirectResponse(PLACE, 303)


def _page(caller: Caller, session: Session, made: MadeKey | None = None) -> HTMLResponse:
    keys = list_keys(caller, session)
    query = select(MemberRow).where(col(MemberRow.id).in_({key.member_id for key in keys}))
    owners = {member.id: member for member in session.exec(query).all()}
    lasting = {key.id for key in keys if is_valid(session.get_one(KeyRow, key.id))}
    # A key ends with its owner's membership.
    left = {key.id for key in keys if owners[key.member_id].ended_at is not None}
    valid = lasting - left
    page = show(
        "account/keys.html",
        title="Keys",
        tab="keys",
        caller=caller,
        keys=sorted(keys, key=lambda key: (key.id not in valid, key.member_id != caller.member)),
        valid=valid,
        left=lasting & left,
        may={key.id: key_role(Role(owners[key.member_id].role), Role(key.role)) for key in keys},
        owners={member.id: member.name for member in owners.values()},
        roles=[role.value for role in Role],
        days=DAYS,
        made=made,
    )
    if made is not None:
        page.headers.update(_KEEP_NOTHING)
    return page
