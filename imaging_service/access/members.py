"""Laboratories, their members and projects, and which laboratory may use which project."""

from __future__ import annotations

import re
import secrets

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.access.roles import Role
from imaging_service.database.tenants import (
    LabRow,
    MemberRow,
    ProjectRow,
    ShareRow,
    now,
)
from imaging_service.errors import AccessRefused, NotFound
from plate_maps.names import shape

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def add_lab(session: Session, lab: str, name: str = "") -> LabRow:
    """Add a laboratory under a short id such as `smith-lab`; the caller commits.

    Raises AccessRefused for an id that is taken or not of small letters, digits and hyphens.
    """
    _free_slug(session, LabRow, "laboratory", lab)
    row = LabRow(id=lab, name=name.strip() or lab)
    session.add(row)
    session.flush()
    return row


def add_project(session: Session, lab: str, project: str, name: str = "") -> ProjectRow:
    """Add a project of a laboratory; the caller commits. Raises as `add_lab`."""
    find_lab(session, lab)
    _free_slug(session, ProjectRow, "project", project)
    row = ProjectRow(id=project, lab_id=lab, name=name.strip() or project)
    session.add(row)
    session.flush()
    return row


def add_member(
    session: Session,
    lab: str,
    name: str,
    role: Role,
    *,
    email: str | None = None,
    everywhere: bool = False,
) -> MemberRow:
    """Add a member of a laboratory; the caller commits.

    Parameters
    ----------
    name
        The author of the member's reviews, so it is unique in the service.
    email
        What the member's first sign-in at an identity provider is recognised by.
    everywhere
        Administrator of all laboratories.
    """
    find_lab(session, lab)
    name, email = name.strip(), (email or "").strip().lower() or None
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise AccessRefused("a member needs a name of 1 to 100 letters: the author of reviews")
    _refuse_look_alike(session, name)
    row = MemberRow(
        id=secrets.token_hex(6),
        lab_id=lab,
        name=name,
        email=email,
        role=str(role),
        everywhere=everywhere,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except sa.exc.IntegrityError as error:
        raise AccessRefused(
            f"there is a member {name} or with that e-mail address already; names are unique,"
            " because they sign reviews"
        ) from error
    return row


def _refuse_look_alike(session: Session, name: str) -> None:
    """Raise AccessRefused for a name that would be read as another member's under a review.

    A laboratory with which a project is shared could sign there as a member of the owner's.
    """
    signed = shape(name)
    for other, known in session.exec(select(MemberRow.id, MemberRow.name)).all():
        # Members are found by id or name.
        if name == other or signed == shape(known):
            raise AccessRefused(
                f"there is a member whose name looks like {name} already; names tell who signed a"
                " review, so give another one"
            )


def end_member(session: Session, row: MemberRow) -> None:
    """End a membership: its keys and sessions end with it, its reviews keep their author.

    The caller commits. Raises AccessRefused for the last administrator of all laboratories.
    """
    others = select(MemberRow.id).where(
        col(MemberRow.everywhere), col(MemberRow.ended_at).is_(None), MemberRow.id != row.id
    )
    if row.everywhere and session.exec(others.limit(1)).first() is None:
        raise AccessRefused(
            f"{row.name} is the last administrator of the service; add another one first"
        )
    row.ended_at = row.ended_at or now()


def share(session: Session, project: ProjectRow, lab: str, role: Role) -> ShareRow:
    """Let another laboratory use a project, its members at most in this role; caller commits."""
    find_lab(session, lab)
    if lab == project.lab_id:
        raise AccessRefused(f"project {project.id} belongs to laboratory {lab} already")
    row = session.get(ShareRow, (project.id, lab))
    if row is None:
        row = ShareRow(project_id=project.id, lab_id=lab, role=str(role))
    row.role = str(role)
    session.add(row)
    session.flush()
    return row


def find_lab(session: Session, lab: str) -> LabRow:
    """A laboratory by its id. Raises NotFound."""
    row = session.get(LabRow, lab)
    if row is None:
        raise NotFound(f"there is no laboratory {lab}")
    return row


def find_member(session: Session, member: str) -> MemberRow:
    """A member by id or name. Raises NotFound."""
    query = select(MemberRow).where((MemberRow.id == member) | (MemberRow.name == member))
    row = session.exec(query).first()
    if row is None:
        raise NotFound(f"there is no member {member}; imaging-service members list has their names")
    return row


def find_project(session: Session, project: str) -> ProjectRow:
    """A project by its id. Raises NotFound."""
    row = session.get(ProjectRow, project)
    if row is None:
        raise NotFound(f"there is no project {project}")
    return row


def _free_slug(
    session: Session, table: type[LabRow] | type[ProjectRow], noun: str, slug: str
) -> None:
    # The id becomes a folder's name.
    if not _SLUG.fullmatch(slug):
        raise AccessRefused(
            f"{slug[:60]!r} cannot be the id of a {noun}: 1 to 40 small letters, digits and"
            " hyphens, as in smith-lab"
        )
    if session.get(table, slug) is not None:
        raise AccessRefused(f"there is a {noun} {slug} already; give another id")
