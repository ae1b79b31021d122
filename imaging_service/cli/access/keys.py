"""Commands about keys: `keys first-administrator|add|list|rotate|revoke`."""

from __future__ import annotations

from typing import Annotated

import typer

from imaging_service.access.roles import Role
from imaging_service.cli.access.opened import KeyOut, database, day, operator, show_key

keys = typer.Typer(
    no_args_is_help=True, help="Keys of members; run on the service's own machine, they need none."
)
MemberOption = Annotated[
    str, typer.Option("--member", help="The member's name or id.", show_default=False)
]
KeyArgument = Annotated[str, typer.Argument(help="The key's id.", show_default=False)]
Days = Annotated[int, typer.Option(help="Days until the key ends.", min=1, max=3650)]


@keys.command("first-administrator")
def first_administrator(
    name: Annotated[str, typer.Argument(help="Your name, as it signs reviews.")],
    lab: Annotated[
        str, typer.Option("--lab", help="Id of your laboratory, such as smith-lab.")
    ] = "local",
    lab_name: Annotated[str, typer.Option(help="The laboratory's name.")] = "",
    email: Annotated[str, typer.Option(help="For the sign-in at an identity provider.")] = "",
    out: KeyOut = None,
) -> None:
    """Make the administrator of the service, and the first key.

    From then on every caller needs a key: the link of the service without keys opens it no more.
    """
    from imaging_service.access.audit import note
    from imaging_service.access.keys import have_keys, make_key
    from imaging_service.access.members import add_lab, add_member
    from imaging_service.database.tenants import LabRow
    from imaging_service.errors import AccessRefused

    with database(new=True) as session:
        if have_keys(session):
            raise AccessRefused(
                "the service has members already; an administrator adds others with:"
                " imaging-service members add"
            )
        if session.get(LabRow, lab) is None:
            add_lab(session, lab, lab_name)
        member = add_member(
            session, lab, name, Role.ADMINISTRATOR, email=email or None, everywhere=True
        )
        made = make_key(session, member, "first key")
        note(session, operator(), "first administrator", name, lab=lab, key=made.row.id)
        show_key(made.secret, out)


@keys.command("add")
def add(
    member: MemberOption,
    name: Annotated[str, typer.Option(help="What the key is for, such as “laptop”.")],
    role: Annotated[Role, typer.Option(help="The most that the key may do.")] = Role.ADMINISTRATOR,
    project: Annotated[str, typer.Option(help="The only project that it may be used for.")] = "",
    days: Days = 365,
    out: KeyOut = None,
) -> None:
    """Make a key. It is shown once; the service keeps its digest only."""
    from imaging_service.access.audit import note
    from imaging_service.access.keys import make_key
    from imaging_service.access.members import find_member

    with database() as session:
        owner = find_member(session, member)
        made = make_key(session, owner, name, role=role, project=project or None, days=days)
        note(session, operator(), "key added", owner.name, lab=owner.lab_id, key=made.row.id)
        show_key(made.secret, out)


@keys.command("list")
def list_keys() -> None:
    """All keys, those that have ended included, without their secrets."""
    from sqlmodel import select

    from imaging_service.access.keys import is_valid, keys_of
    from imaging_service.access.roles import key_role
    from imaging_service.database.tenants import MemberRow

    with database() as session:
        owners = {m.id: m for m in session.exec(select(MemberRow)).all()}
        for key in keys_of(session, list(owners)):
            owner = owners[key.member_id]
            ended = owner.ended_at is not None or not is_valid(key)
            state = "revoked" if key.revoked_at else "ended" if ended else "valid"
            role = key_role(Role(owner.role), Role(key.role))
            typer.echo(
                f"{key.id}  {state:<7}  {owner.lab_id}/{owner.name}  {key.name}  {role}"
                f"{f'  project {key.project_id}' if key.project_id else ''}"
                f"  until {day(key.expires_at)}  last used {day(key.used_at) or 'never'}"
            )


@keys.command("rotate")
def rotate(key: KeyArgument, out: KeyOut = None) -> None:
    """Replace a key; the old one works on for a day, unless it is revoked."""
    from imaging_service.access.audit import note
    from imaging_service.access.keys import rotate as rotated
    from imaging_service.database.tenants import KeyRow
    from imaging_service.errors import NotFound

    with database() as session:
        row = session.get(KeyRow, key)
        if row is None:
            raise NotFound(f"there is no key {key}")
        made = rotated(session, row)
        note(session, operator(), "key rotated", key, key=made.row.id)
        show_key(made.secret, out)


@keys.command("revoke")
def revoke(key: KeyArgument) -> None:
    """End a key at once, with the browsers' sessions that it opened."""
    from imaging_service.access.audit import note
    from imaging_service.access.keys import revoke as end
    from imaging_service.database.tenants import KeyRow
    from imaging_service.errors import NotFound

    with database() as session:
        row = session.get(KeyRow, key)
        if row is None:
            raise NotFound(f"there is no key {key}")
        end(row)
        note(session, operator(), "key revoked", key, key=key)
    typer.echo(f"{key} revoked")
