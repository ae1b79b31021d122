"""The service's database, opened by a command on the service's own machine.

It needs no key: the user who can write the database can do everything already. Each change is in
the audit log with the user's name.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

KeyOut = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Write the key to a new file that only you can read, instead of printing it."
    ),
]


@contextmanager
def database(*, new: bool = False) -> Iterator[Session]:
    """A session on the service's database, brought to this version; commits at the end.

    Only with `new` is a database file made: elsewhere than on the server it would be an empty one,
    which knows no laboratory. Raises NotFound where there is none.
    """
    from sqlalchemy.engine import make_url
    from sqlmodel import Session

    from imaging_service.database.session import database_engine
    from imaging_service.errors import NotFound
    from imaging_service.jobs.durable.opening import prepare_database
    from imaging_service.settings import settings

    url = settings().url
    place = make_url(url)
    if not new and place.get_backend_name() == "sqlite" and not Path(str(place.database)).exists():
        raise NotFound(
            f"there is no database of a service at {place.database}; run this on the server, with"
            " the service's settings, or begin a new service with: imaging-service keys"
            " first-administrator"
        )
    prepare_database(url)
    with Session(database_engine(url)) as session:
        yield session
        session.commit()


def operator() -> str:
    """Who runs the command, for the audit log."""
    return f"command line ({getpass.getuser()})"


def show_key(secret: str, out: Path | None) -> None:
    """Show a new key, this once. Raises AccessRefused for a file that is there already."""
    from imaging_service.errors import AccessRefused

    if out is None:
        typer.echo(secret)
        typer.echo("This key is shown only now; keep it where only its owner can read.", err=True)
        return
    try:
        number = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise AccessRefused(
            f"no key was made: {out} cannot be written as a new file ({error.strerror}); give"
            " another --out"
        ) from error
    with os.fdopen(number, "w") as stream:
        stream.write(secret + "\n")
    typer.echo(str(out))


def day(moment: datetime | None) -> str:
    """A moment to the minute; empty where there is none."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
