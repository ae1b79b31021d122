"""The command `inspect`: what a scan is, before anything is analysed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

# Exit codes; every refused input has the last one too.
CAN_BE_ANALYSED, PROTOCOL_MUST_STATE, CANNOT_BE_READ = 0, 1, 2


def inspect(
    scan: Annotated[Path, typer.Argument(help="Folder of the plate's scan.", show_default=False)],
    protocol: Annotated[
        Path | None,
        typer.Option(help="Protocol whose [acquisition] says how the scan is read."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for five thumbnails (PNG).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every well.")] = False,
) -> None:
    """Say what a scan holds and what is missing, in seconds, and print a protocol to start from.

    Exit code 0: it can be analysed; 1: once the protocol states what is named; 2: it cannot be
    read, or no image is there.
    """
    from imaging_service.inspection.drawing import describe
    from imaging_service.inspection.starting_protocol import missing_roles, starting_protocol
    from imaging_service.inspection.survey import survey
    from imaging_service.inspection.thumbnails import write_thumbnails
    from imaging_service.protocol import load_protocol

    given = None if protocol is None else load_protocol(protocol)
    acquisition = None if given is None else given.acquisition
    surveyed = survey(scan, acquisition)
    if given is None and (roles := missing_roles(surveyed.plan.channels)):
        surveyed = surveyed.needing(roles)
    pictures, faults = ([], []) if out is None else write_thumbnails(surveyed.plan, out)
    text = starting_protocol(surveyed, acquisition)
    if as_json:
        content = {
            **surveyed.plain(),
            "protocol": text,
            "thumbnails": [str(path) for path in pictures],
            "unreadable": faults,
        }
        typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        lines = [*describe(surveyed), *(f"  - not shown: {fault}" for fault in faults)]
        lines += [f"Thumbnail   {path}" for path in pictures]
        if given is None:
            lines += ["", "# A protocol to start from", text]
        typer.echo("\n".join(lines))
    if not surveyed.images:
        raise typer.Exit(CANNOT_BE_READ)
    raise typer.Exit(PROTOCOL_MUST_STATE if surveyed.needs else CAN_BE_ANALYSED)
