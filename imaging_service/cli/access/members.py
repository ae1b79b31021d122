"""Commands about laboratories, members and projects, on the service's own machine."""

from __future__ import annotations

from typing import Annotated

import typer

from imaging_service.access.roles import Role
from imaging_service.cli.access.opened import database, day, operator

labs = typer.Typer(no_args_is_help=True, help="Laboratories.")
members = typer.Typer(no_args_is_help=True, help="Members of laboratories.")
projects = typer.Typer(no_args_is_help=True, help="Projects, and which laboratories use them.")
LabOption = Annotated[str, typer.Option("--lab", help="Id of the laboratory.", show_default=False)]
ID = Annotated[str, typer.Argument(help="Small letters, digits and hyphens.", show_default=False)]
Name = Annotated[str, typer.Option(help="As people write it.")]
RoleOption = Annotated[Role, typer.Option(help="What a member may do at most.")]


@labs.command("add")
def add_lab(lab: ID, name: Name = "") -> None:
    """Add a laboratory."""
    from imaging_service.access.audit import note
    from imaging_service.access.members import add_lab as add

    with database() as session:
        add(session, lab, name)
        note(session, operator(), "laboratory added", lab, lab=lab)
    typer.echo(lab)


@labs.command("list")
def list_labs() -> None:
    """All laboratories."""
    from sqlmodel import select

    from imaging_service.database.tenants import LabRow

    with database() as session:
        for row in session.exec(select(LabRow).order_by(LabRow.id)).all():
            typer.echo(f"{row.id}  {row.name}")


@labs.command("limit")
def limit_lab(
    lab: ID,
    runs: Annotated[
        int | None, typer.Option(help="Runs that may go on at once.", min=0, show_default=False)
    ] = None,
    upload_gib: Annotated[
        float | None,
        typer.Option(help="GiB of all uploads together.", min=0, show_default=False),
    ] = None,
) -> None:
    """Limit what a laboratory may use at once; what is not given has no limit."""
    from imaging_service.access.audit import note
    from imaging_service.access.members import find_lab

    with database() as session:
        row = find_lab(session, lab)
        row.most_runs = runs
        row.most_upload_bytes = None if upload_gib is None else round(upload_gib * 2**30)
        session.add(row)
        words = (
            f"runs: {'no limit' if runs is None else runs},"
            f" uploads: {'no limit' if upload_gib is None else f'{upload_gib} GiB'}"
        )
        note(session, operator(), "laboratory limited", words, lab=lab)
    typer.echo(f"{lab}  {words}")


@members.command("add")
def add_member(
    name: Annotated[str, typer.Argument(help="Signs the member's reviews.", show_default=False)],
    lab: LabOption,
    role: RoleOption = Role.VIEWER,
    email: Annotated[str, typer.Option(help="For the sign-in at an identity provider.")] = "",
) -> None:
    """Add a member; `keys add` makes the member's key."""
    from imaging_service.access.audit import note
    from imaging_service.access.members import add_member as add

    with database() as session:
        row = add(session, lab, name, role, email=email or None)
        note(session, operator(), "member added", f"{name} as {role}", lab=lab)
        typer.echo(f"{row.id}  {row.name}")


@members.command("list")
def list_members() -> None:
    """All members, those who have left included."""
    from sqlmodel import select

    from imaging_service.database.tenants import MemberRow

    with database() as session:
        for row in session.exec(select(MemberRow).order_by(MemberRow.lab_id, MemberRow.name)).all():
            left = f"  left {day(row.ended_at)}" if row.ended_at else ""
            everywhere = "  everywhere" if row.everywhere else ""
            typer.echo(f"{row.id}  {row.lab_id}/{row.name}  {row.role}{everywhere}{left}")


@members.command("end")
def end_member(
    member: Annotated[str, typer.Argument(help="Name or id.", show_default=False)],
) -> None:
    """End a membership: its keys and sessions end at once, its reviews keep their author."""
    from imaging_service.access.audit import note
    from imaging_service.access.members import end_member as end
    from imaging_service.access.members import find_member

    with database() as session:
        row = find_member(session, member)
        end(session, row)
        note(session, operator(), "membership ended", row.name, lab=row.lab_id)
        typer.echo(f"{row.name} is not a member any more")


@projects.command("add")
def add_project(project: ID, lab: LabOption, name: Name = "") -> None:
    """Add a project of a laboratory."""
    from imaging_service.access.audit import note
    from imaging_service.access.members import add_project as add

    with database() as session:
        add(session, lab, project, name)
        note(session, operator(), "project added", project, lab=lab, project=project)
    typer.echo(project)


@projects.command("list")
def list_projects() -> None:
    """All projects, and the laboratories that they are shared with."""
    from sqlmodel import select

    from imaging_service.database.tenants import ProjectRow, ShareRow

    with database() as session:
        shares = session.exec(select(ShareRow)).all()
        for row in session.exec(select(ProjectRow).order_by(ProjectRow.id)).all():
            others = ", ".join(f"{s.lab_id} as {s.role}" for s in shares if s.project_id == row.id)
            typer.echo(f"{row.id}  {row.lab_id}  {row.name}{f'  shared: {others}' * bool(others)}")


@projects.command("share")
def share_project(
    project: Annotated[str, typer.Argument(help="The project's id.", show_default=False)],
    lab: Annotated[
        str, typer.Option("--lab", help="The laboratory that may use it.", show_default=False)
    ],
    role: RoleOption = Role.VIEWER,
) -> None:
    """Let another laboratory use a project, its members at most in this role."""
    from imaging_service.access.audit import note
    from imaging_service.access.members import find_project
    from imaging_service.access.members import share as shared

    with database() as session:
        row = find_project(session, project)
        shared(session, row, lab, role)
        note(
            session,
            operator(),
            "project shared",
            f"{lab} as {role}",
            lab=row.lab_id,
            project=project,
        )
    typer.echo(f"{project} is shared with {lab} as {role}")
