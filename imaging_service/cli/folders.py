"""A service's run or screen where a command reads a folder: `--url`, and the command `fetch`.

With `--url` a run or screen is named by its id. The command fetches what it reads into a scratch
folder, so that it does on this machine what it does with a folder here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imaging_service.cli.registry import ProjectOption, Url
from imaging_service.key_file import LOCAL_URL

if TYPE_CHECKING:
    from imaging_service.client import Client

ServiceUrl = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="Address of a service: the run or screen is its, and named by its id.",
        show_default=False,
    ),
]


def no_service(reason: str) -> Any:
    """The option `--url` of a command that only a folder on this machine suits, and why."""

    def refuse(url: str | None) -> None:
        if url is not None:
            raise typer.BadParameter(reason)

    return typer.Option("--url", hidden=True, callback=refuse)


@contextmanager
def read_runs(
    url: str | None, runs: Sequence[Path], names: Sequence[str], *, fields: bool = False
) -> Iterator[list[Path]]:
    """The folders of runs: as they are given, or fetched from the service at `url` by their ids.

    `names` and `fields` are those of `imaging_service.review.fetched.fetch_run`.
    """
    if url is None:
        yield list(runs)
        return
    from imaging_service.review.fetched import fetch_run

    with opened(url) as client, scratch() as folder:
        yield [
            fetch_run(client, str(run), folder / str(number) / str(run), names, fields=fields)
            for number, run in enumerate(runs)
        ]


@contextmanager
def read_screen(url: str | None, screen: Path, project: str = "") -> Iterator[Path]:
    """The folder of a screen: as it is given, or fetched from the service at `url` by its id.

    Raises ScreenError for one that another version fitted, whose tables would be read as outdated.
    """
    if url is None:
        yield screen
        return
    import json

    from imaging_service import __version__
    from imaging_service.errors import ScreenError
    from imaging_service.review.fetched import fetch_screen

    with opened(url, project) as client, scratch() as folder:
        fetched = fetch_screen(client, str(screen), folder / str(screen))
        fitted = json.loads((fetched / "fitted.json").read_bytes())["software_version"]
        if fitted != __version__:
            raise ScreenError(
                f"screen {screen} of {url} was fitted by version {fitted}, and this is"
                f" {__version__}; install that version here, or read its tables with: screen table"
            )
        yield fetched


@contextmanager
def opened(url: str, project: str = "") -> Iterator[Client]:
    """A client of the service at that address."""
    from imaging_service.client import Client

    with Client(url, project=project) as client:
        yield client


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is removed afterwards."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="imaging-service-") as folder:
        yield Path(folder)


def written_to(url: str | None, folder: Path, out: Path | None) -> Path:
    """Where a command writes that writes into the folder it reads, if no `--out` is given.

    Raises BadParameter where that folder is a service's.
    """
    if out is None and url is not None:
        raise typer.BadParameter("with --url give --out: a service's folder is not written to")
    return folder if out is None else out


def fetch(
    name: Annotated[
        str, typer.Argument(help="Id of a run, or with --screen of a screen.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder that is made.", show_default=False)],
    screen: Annotated[bool, typer.Option("--screen", help="A screen.")] = False,
    tables: Annotated[
        bool,
        typer.Option("--tables", help="Of a run record, tables and review only."),
    ] = False,
    url: Url = LOCAL_URL,
    project: ProjectOption = "",
) -> None:
    """Copy a service's run or screen to a folder, for commands that read folders only."""
    from imaging_service.files import staged
    from imaging_service.review.fetched import TABLES, fetch_run, fetch_screen

    if out.exists():
        raise typer.BadParameter(f"{out} exists already; give a new folder")
    with opened(url, project) as client, staged(out) as folder:
        if screen:
            fetch_screen(client, name, folder)
        else:
            fetch_run(client, name, folder, TABLES if tables else ())
    typer.echo(str(out))
