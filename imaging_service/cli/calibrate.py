"""The command `calibrate`: an assay's numbers, and its accuracy, from corrected fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaging_service.cli.folders import ServiceUrl, read_runs


def calibrate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Runs (--out of analyze) with corrected fields; with --url ids of runs.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Protocol (TOML) that is written.", show_default=False)],
    lines: Annotated[
        Path | None,
        typer.Option(
            help="Line registry (TSV), for the consent of each line.", exists=True, dir_okay=False
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Such as motornet:MODEL; the runs' own if not given.")
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    url: ServiceUrl = None,
) -> None:
    """Fit the few numbers of an assay to corrected fields, and print how good they are.

    The figures are of wells that the numbers were not chosen on. They stand in the protocol, in
    the record of every run with it, and in its report.
    """
    from imaging_service.errors import ModelRefused
    from imaging_service.files import write_once
    from imaging_service.jobs.review.export import read_registry
    from imaging_service.models.calibration import calibrate_assay
    from imaging_service.models.protocol_file import protocol_toml
    from imaging_service.review.fetched import FIELDS
    from imaging_service.review.local import LocalRun
    from segmentation.scoring.figures import figure_value, figure_words

    if out.exists():
        raise ModelRefused(f"{out} exists already; give another --out, so that no protocol is lost")
    with read_runs(url, runs, FIELDS, fields=True) as folders:
        fitted = calibrate_assay(
            [LocalRun(folder) for folder in folders],
            None if lines is None else read_registry(lines),
            registry="" if lines is None else lines.name,
            engine=engine,
            device=device,
        )
    for note in fitted.notes:
        typer.secho(f"note: {note}", err=True)
    known = fitted.protocol.accuracy
    if known is not None:
        typer.echo(f"{known.fields} traced fields of {known.wells} wells, {known.engine}")
        for name, figure in known.figures.items():
            before = figure_value(name, fitted.before[name].value)
            typer.echo(f"  {figure_words(name, figure)}; before: {before}")
    for name, value in fitted.chosen.items():
        typer.echo(f"segmentation.{name} = {value:g}")
    if not fitted.chosen:
        typer.echo("no number was moved")
    write_once(out, protocol_toml(fitted.protocol).encode())
    typer.echo(f"Protocol {out}")
