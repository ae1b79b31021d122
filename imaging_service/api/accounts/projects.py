"""Projects, and which laboratories may use them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlmodel import Session, col, select

from imaging_service.access.members import add_project, find_project, share
from imaging_service.access.roles import Caller, Role
from imaging_service.accounts import NewProject, Project, Share
from imaging_service.api.access import CallerDep, LabDep, SessionDep
from imaging_service.database.tenants import ProjectRow, ShareRow
from imaging_service.errors import NotFound

router = APIRouter(prefix="/projects", tags=["accounts"])


def projects_of(session: Session, caller: Caller) -> list[Project]:
    """Projects that a caller may use, with the caller's role in each."""
    query = select(ProjectRow).where(col(ProjectRow.id).in_(sorted(caller.roles)))
    return [
        Project(id=row.id, name=row.name, lab_id=row.lab_id, role=caller.roles[row.id].value)
        for row in session.exec(query.order_by(col(ProjectRow.id))).all()
    ]


@router.get("", summary="Projects that the caller may use")
def list_projects(caller: CallerDep, session: SessionDep) -> list[Project]:
    """Those of the caller's laboratory, and those that other laboratories share with it."""
    return projects_of(session, caller)


@router.post("", summary="Add a project", status_code=201)
def post_project(wanted: NewProject, lab: LabDep, session: SessionDep, request: Request) -> Project:
    """A project of the caller's laboratory."""
    row = add_project(session, lab, wanted.id, wanted.name)
    request.state.subject = row.id
    session.commit()
    return Project(id=row.id, name=row.name, lab_id=row.lab_id, role="administrator")


@router.get("/{project}/shares", summary="Laboratories that may use a project")
def list_shares(project: str, session: SessionDep) -> list[Share]:
    """With the most that their members may do."""
    query = select(ShareRow).where(ShareRow.project_id == project).order_by(col(ShareRow.lab_id))
    return [Share.model_validate(row, from_attributes=True) for row in session.exec(query).all()]


@router.put("/{project}/shares", summary="Share a project with another laboratory")
def put_share(project: str, wanted: Share, session: SessionDep) -> Share:
    """A member of that laboratory has the lesser of this role and of the member's own."""
    row = share(session, find_project(session, project), wanted.lab_id, Role(wanted.role))
    session.commit()
    return Share.model_validate(row, from_attributes=True)


@router.delete("/{project}/shares/{lab}", summary="End the sharing of a project", status_code=204)
def delete_share(project: str, lab: str, session: SessionDep) -> None:
    """From the next request on the project does not exist for that laboratory."""
    row = session.get(ShareRow, (project, lab))
    if row is None:
        raise NotFound(f"project {project} is not shared with laboratory {lab}")
    session.delete(row)
    session.commit()
