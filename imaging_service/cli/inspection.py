"""The command `inspect`: what a scan is, before anything is analysed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaging_service.incoming.s3 import place

if TYPE_CHECKING:
    from imaging_service.inspection.survey import Survey

# Exit codes; every refused input has the last one too.
CAN_BE_ANALYSED, PROTOCOL_MUST_STATE, CANNOT_BE_READ = 0, 1, 2


def inspect(
    scan: Annotated[
        Path,
        typer.Argument(
            help="Folder of the plate's scan; an OME-Zarr plate may lie at s3://BUCKET/FOLDER.",
            show_default=False,
            parser=place,
            metavar="SCAN",
        ),
    ],
    protocol: Annotated[
        Path | None,
        typer.Option(help="Protocol whose [acquisition] says how the scan is read."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for five thumbnails (PNG) and the protocol to start from."
        ),
    ] = None,
    qc: Annotated[
        bool, typer.Option("--qc", help="Look at the images too: tables and a page in --out.")
    ] = False,
    fields: Annotated[
        int, typer.Option(min=0, help="With --qc: fields per well that are looked at; 0 for all.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every well.")] = False,
) -> None:
    """Say what a scan holds and what is missing, in seconds, and print a protocol to start from.

    Exit code 0: it can be analysed; 1: once the protocol states what is named; 2: it cannot be
    read, or no image is there.
    """
    from imaging_service.files import write_bytes
    from imaging_service.inspection.drawing import describe
    from imaging_service.inspection.starting_protocol import missing_roles, starting_protocol
    from imaging_service.inspection.survey import survey
    from imaging_service.inspection.thumbnails import write_thumbnails
    from imaging_service.protocol import load_protocol

    if qc and out is None:
        raise typer.BadParameter("--qc writes tables and a page: give their folder with --out")
    given = None if protocol is None else load_protocol(protocol)
    acquisition = None if given is None else given.acquisition
    surveyed = survey(scan, acquisition)
    if given is None and (roles := missing_roles(surveyed.plan.channels)):
        surveyed = surveyed.needing(roles)
    pictures, faults = ([], []) if out is None else write_thumbnails(surveyed.plan, out)
    text = starting_protocol(surveyed, acquisition)
    begun = None
    if out is not None and given is None:
        begun = out / "starting_protocol.toml"
        write_bytes(begun, text.encode())
    page = None
    if qc and out is not None and surveyed.images:
        given_size = None if acquisition is None else acquisition.pixel_size_um
        page = _look(surveyed, out, fields, given_size)
    if as_json:
        content = {
            **surveyed.plain(),
            "protocol": text,
            "thumbnails": [str(path) for path in pictures],
            "unreadable": faults,
            "page": None if page is None else str(page),
        }
        typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        lines = [*describe(surveyed), *(f"  - not shown: {fault}" for fault in faults)]
        lines += [f"Thumbnail   {path}" for path in pictures]
        if page is not None:
            lines.append(f"Page        {page}")
        if begun is not None:
            lines.append(f"Protocol    {begun}")
        if given is None:
            lines += ["", "# A protocol to start from", text]
        typer.echo("\n".join(lines))
    if not surveyed.images:
        raise typer.Exit(CANNOT_BE_READ)
    raise typer.Exit(PROTOCOL_MUST_STATE if surveyed.needs else CAN_BE_ANALYSED)


def _look(surveyed: Survey, out: Path, fields: int, pixel_size_um: float | None) -> Path:
    """Look at the images, with a bar that shows how far it is; returns the page."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from imaging_service.inspection.quality import scan_quality, write_quality

    columns = (TextColumn("looking at wells"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=surveyed.wells)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        quality = scan_quality(surveyed, fields=fields, pixel_size_um=pixel_size_um, progress=show)
    return write_quality(surveyed.plain(), quality, out)
