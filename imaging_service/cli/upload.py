"""The command `upload`: bring a scan to a service that cannot see its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaging_service.cli.registry import ProjectOption, Url
from imaging_service.key_file import LOCAL_URL


def upload(
    scan: Annotated[
        Path, typer.Argument(help="Folder of the plate's scan, or a zip of it.", show_default=False)
    ],
    url: Url = LOCAL_URL,
    project: ProjectOption = "",
    name: Annotated[
        str, typer.Option(help="Folder on the service; the scan's own name if not given.")
    ] = "",
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Files sent at once.")] = 4,
    watch: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Send files as the microscope finishes them, until none changes for so many"
            " minutes.",
        ),
    ] = None,
) -> None:
    """Upload a scan, and print its folder on the service, to be submitted.

    After an interruption the same command goes on where it stopped.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    from imaging_service.client import Client
    from imaging_service.upload import open_source
    from imaging_service.upload import upload as send

    source = open_source(scan)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        Client(url, read_seconds=120, project=project) as client,
        Progress(*columns, console=Console(stderr=True)) as bar,
    ):
        task = bar.add_task("", total=None)

        def show(there: int, total: int) -> None:
            bar.update(task, completed=there, total=total)

        sent = send(
            source,
            client,
            name=name,
            parallel=parallel,
            quiet_s=None if watch is None else 60 * watch,
            progress=show,
        )
    typer.echo(sent.scan)
