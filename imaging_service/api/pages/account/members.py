"""Laboratories and their members: added, given another role, ended."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from imaging_service.access.members import find_lab
from imaging_service.access.roles import Role
from imaging_service.accounts import MemberChange, NewLab, NewMember
from imaging_service.api.access import CallerDep, LabDep, SessionDep
from imaging_service.api.accounts.members import (
    delete_member,
    list_labs,
    list_members,
    patch_member,
    post_lab,
    post_member,
)
from imaging_service.api.forms import FormDep, filled
from imaging_service.api.pages.page import page_router, show

router = page_router()
PLACE = "/account/members"


@router.get(PLACE)
def view_members(caller: CallerDep, lab: LabDep, session: SessionDep) -> HTMLResponse:
    """Members of a laboratory; all laboratories for an administrator of the service."""
    administers = caller.everywhere or (caller.lab == lab and caller.lab_role is Role.ADMINISTRATOR)
    return show(
        "account/members.html",
        title=f"Members of {find_lab(session, lab).name}",
        tab="members",
        caller=caller,
        lab=lab,
        labs=list_labs(caller, session),
        members=sorted(list_members(lab, session), key=lambda m: m.ended_at is not None),
        roles=[role.value for role in Role],
        administers=administers,
    )


@router.post(PLACE)
def add_member(
    form: FormDep, caller: CallerDep, lab: LabDep, session: SessionDep, request: Request
) -> RedirectResponse:
    """Add a member, and show the laboratory."""
    wanted = filled(
        NewMember, name=form.one("name"), role=form.one("role"), email=form.one("email") or None
    )
    post_member(wanted, lab, session, caller, request)
    return _back(lab)


@router.post(PLACE + "/{member}/role")
def change_role(member: str, form: FormDep, lab: LabDep, session: SessionDep) -> RedirectResponse:
    """Give a member another role, and show the laboratory."""
    patch_member(member, filled(MemberChange, role=form.one("role")), lab, session)
    return _back(lab)


@router.post(PLACE + "/{member}/end")
def end_member(member: str, lab: LabDep, session: SessionDep) -> RedirectResponse:
    """End a membership, and show the laboratory."""
    delete_member(member, lab, session)
    return _back(lab)


@router.post("/account/labs")
def add_lab(form: FormDep, session: SessionDep, request: Request) -> RedirectResponse:
    """Add a laboratory, and show it."""
    wanted = filled(NewLab, id=form.one("id"), name=form.one("name"))
    return _back(post_lab(wanted, session, request).id)


def _back(lab: str) -> RedirectResponse:
    return RedirectResponse(f"{PLACE}?{urlencode({'lab': lab})}", 303)
