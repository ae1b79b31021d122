"""The commands `backup`, `restore` and `copy-run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaging_service.cli.folders import no_service
from imaging_service.incoming.s3 import place

Folder = no_service(
    "what is copied is a folder: imaging-service fetch RUN --url URL makes one of a service's run"
)


def backup(
    out: Annotated[
        Path,
        typer.Argument(
            help="Folder on another disk; what it has of an earlier backup is not copied again.",
            show_default=False,
        ),
    ],
) -> None:
    """Back up database and data folder while the service works.

    Runs in flight are in it, and go on once it is restored. The service's own secrets are not.
    """
    from rich.console import Console

    from imaging_service.backups.backup import back_up
    from imaging_service.settings import settings

    with Console(stderr=True).status("copying") as shown:
        made = back_up(settings(), out, lambda n: shown.update(f"{n:,} files"))
    size = sum(file.size for file in made.files.values())
    typer.echo(f"{len(made.files):,} files, {size / 1e9:.2f} GB, and the database, in {out}")


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of a backup.", show_default=False)],
) -> None:
    """Fill an empty data folder and database from a backup; every file is checked."""
    from rich.console import Console

    from imaging_service.backups.restore import restore as put_back
    from imaging_service.settings import settings

    with Console(stderr=True).status("copying") as shown:
        made = put_back(settings(), folder, lambda n: shown.update(f"{n:,} files"))
    typer.echo(
        f"restored {len(made.files):,} files and the database of {made.made_at:%Y-%m-%d %H:%M};"
        " start the service, and what was in flight goes on"
    )


def copy_run(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of a finished run, or s3://BUCKET/FOLDER.",
            show_default=False,
            parser=place,
            metavar="SOURCE",
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="s3://BUCKET/FOLDER, or a new folder.",
            show_default=False,
            parser=place,
            metavar="TARGET",
        ),
    ],
    url: Annotated[str | None, Folder] = None,
) -> None:
    """Copy a finished run, with its pixels, to S3, or from there to a new folder.

    Every file is checked. The same command after an interruption goes on.
    """
    from rich.console import Console

    from imaging_service.backups.runs_on_s3 import copy_run as copy

    with Console(stderr=True).status("copying") as shown:
        made = copy(source, target, lambda n: shown.update(f"{n:,} files"))
    typer.echo(f"{len(made.files):,} files of run {made.run_id[:12]} in {target}")
