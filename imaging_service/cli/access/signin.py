"""Commands of a client: keep a key for a service's address, forget it, ask who one is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from imaging_service.cli.registry import Url
from imaging_service.key_file import LOCAL_URL


def login(url: Url = LOCAL_URL) -> None:
    """Keep a key for a service's address; it is asked for, or read from standard input.

    Commands and the napari reviewer find it by the address.
    """
    from imaging_service.client import Client
    from imaging_service.errors import AccessRefused
    from imaging_service.key_file import keep_key

    key = (
        typer.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    ).strip()
    if not key:
        raise AccessRefused("no key was given: paste it, or read its file with < bob.key")
    with Client(url, read_seconds=30, key=key) as client:
        who = client.whoami()
    path = keep_key(url, key)
    typer.echo(f"{who.name} of {who.lab_id}; the key is kept in {path}")


def logout(url: Url = LOCAL_URL) -> None:
    """Forget the key of a service's address; the key itself stays valid until it is revoked."""
    from imaging_service.key_file import forget_key

    typer.echo("forgotten" if forget_key(url) else f"no key is kept for {url}")


def whoami(url: Url = LOCAL_URL) -> None:
    """Show who the service takes you for, and your role in each project."""
    from imaging_service.client import Client

    with Client(url, read_seconds=30) as client:
        who = client.whoami()
    key = f", key {who.key}" if who.key else ""
    typer.echo(
        f"{who.name} of {who.lab_id}{key}{', administrator of the service' * who.everywhere}"
    )
    for project in who.projects:
        typer.echo(f"  {project.id}  {project.role}  {project.name}")


def audit(
    url: Url = LOCAL_URL,
    after: Annotated[int, typer.Option(help="Id of the last entry that you have.", min=0)] = 0,
    fmt: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
) -> None:
    """Print the audit log: every change, by whom and when, oldest first."""
    from imaging_service.client import Client

    with Client(url, read_seconds=600) as client:
        for part in client.audit(after, fmt):
            typer.echo(part, nl=False)
