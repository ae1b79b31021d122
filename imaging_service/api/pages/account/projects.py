"""Projects, and the laboratories that they are shared with."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import col, select

from imaging_service.access.roles import Role
from imaging_service.accounts import NewProject, Share
from imaging_service.api.access import CallerDep, LabDep, SessionDep
from imaging_service.api.accounts.projects import (
    delete_share,
    post_project,
    projects_of,
    put_share,
)
from imaging_service.api.forms import FormDep, filled
from imaging_service.api.pages.page import page_router, show
from imaging_service.database.tenants import ShareRow

router = page_router()
PLACE = "/account/projects"


@router.get(PLACE)
def view_projects(caller: CallerDep, session: SessionDep) -> HTMLResponse:
    """Projects that the caller may use; who else may use them, where the caller administers."""
    projects = projects_of(session, caller)
    administered = {p.id for p in projects if p.role == Role.ADMINISTRATOR.value}
    shares = session.exec(
        select(ShareRow)
        .where(col(ShareRow.project_id).in_(administered))
        .order_by(col(ShareRow.lab_id))
    ).all()
    return show(
        "account/projects.html",
        title="Projects",
        tab="projects",
        caller=caller,
        projects=projects,
        administered=administered,
        shares={p: [s for s in shares if s.project_id == p] for p in administered},
        roles=[role.value for role in Role],
        adds=caller.lab_role is Role.ADMINISTRATOR,
    )


@router.post(PLACE)
def add_project(
    form: FormDep, lab: LabDep, session: SessionDep, request: Request
) -> RedirectResponse:
    """Add a project of the caller's laboratory, and show all."""
    wanted = filled(NewProject, id=form.one("id"), name=form.one("name"))
    post_project(wanted, lab, session, request)
    return RedirectResponse(PLACE, 303)


@router.post(PLACE + "/{project}/shares")
def share_project(project: str, form: FormDep, session: SessionDep) -> RedirectResponse:
    """Share a project with another laboratory, and show all."""
    put_share(project, filled(Share, lab_id=form.one("lab"), role=form.one("role")), session)
    return RedirectResponse(PLACE, 303)


@router.post(PLACE + "/{project}/shares/{lab}/end")
def end_share(project: str, lab: str, session: SessionDep) -> RedirectResponse:
    """End the sharing of a project, and show all."""
    delete_share(project, lab, session)
    return RedirectResponse(PLACE, 303)
