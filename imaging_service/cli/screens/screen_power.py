"""Command `screen power`: plan the next screen from the scatter of this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaging_service.cli.folders import ServiceUrl, read_screen, written_to
from imaging_service.cli.registry import ProjectOption
from imaging_service.cli.screens.screen import PictureFormat, ReadFolder

if TYPE_CHECKING:
    from imaging_service.screens.planning import Plan


def power(
    folder: ReadFolder,
    effect: Annotated[
        float,
        typer.Option(help="Effect to be found, as of a hit: log2 ratio, or difference."),
    ],
    phenotype: Annotated[
        str, typer.Option(help="Plan for this phenotype; all log2 ratios if not given.")
    ] = "",
    working: Annotated[
        float, typer.Option(help="Share of rows that have such an effect.", min=0.001, max=1)
    ] = 0.1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for table and pictures; the screen's if not given."),
    ] = None,
    fmt: Annotated[PictureFormat, typer.Option("--format", help="svg or png.")] = PictureFormat.SVG,
    url: ServiceUrl = None,
    project: ProjectOption = "",
) -> None:
    """Plan the next screen: batches, donors, wells and vehicle wells that an effect needs.

    From the scatter of this one.
    """
    from imaging_service.screens.planning import plan, write_plans

    target = written_to(url, folder, out)
    with read_screen(url, folder, project) as read:
        plans, reasons = plan(read, effect, phenotype, working)
    for reason in reasons:
        typer.secho(f"note: {reason}", err=True)
    for one in plans:
        _show_plan(one)
    for path in write_plans(plans, target, fmt.value):
        typer.echo(str(path))


_TESTS = {"line": "one line", "donors": "mean over donors"}


def _show_plan(one: Plan) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    from phenotypes.screens.power import TARGET, best_vehicles, smallest_designs

    parts, question = one.components, one.question
    typer.echo(
        f"{parts.phenotype}: effect {question.effect:g} ({one.unit}) in"
        f" {100 * question.working:g} % of rows, false discovery rate 5 %, best of"
        f" {parts.doses} dose(s)\n"
        "Standard deviations: "
        + (
            f"between donors {parts.donors.variance**0.5:.3f} ({parts.donors.compounds}), "
            if parts.donors
            else ""
        )
        + f"batch × compound, shared by lines {parts.batch**0.5:.3f}, line × batch"
        f" {parts.line**0.5:.3f}, wells {parts.wells**0.5:.3f}, vehicle wells"
        f" {parts.vehicles**0.5:.3f}\nFrom {parts.n_lines} lines × {parts.n_compounds} compounds:"
        f" {parts.n_rows} rows, worth {parts.freedom:.0f} degrees of freedom\nVehicle wells:"
        f" {best_vehicles(parts, parts.n_wells):.0f} per plate of a line with {parts.arms} arms of"
        f" {parts.n_wells} wells (√arms × wells × ratio of SDs); this screen has"
        f" {parts.n_vehicles}"
    )
    for reason in filter(None, (parts.no_donors, parts.not_borrowed)):
        typer.echo(f"Not told: {reason}")
    smallest = smallest_designs(one.designs)
    for test in dict.fromkeys(one.designs["test"]):
        if test not in set(smallest["test"]):
            typer.echo(
                f"{_TESTS[test]}: no design of the table reaches {TARGET:.0%}; ask for a larger"
                " effect"
            )
    if smallest.is_empty():
        return
    view = Table(
        "test",
        "batches",
        "donors",
        "wells per arm",
        "vehicle wells",
        "wells in all",
        "power, plain",
        "power, borrowed",
        title=f"Smallest designs that reach {TARGET:.0%}",
        title_justify="left",
    )
    for r in smallest.iter_rows(named=True):
        view.add_row(
            _TESTS[r["test"]],
            *(
                "" if r[name] is None else str(r[name])
                for name in ("n_batches", "n_donors", "n_wells", "n_vehicle", "all_wells")
            ),
            *("" if r[c] is None else f"{r[c]:.0%}" for c in ("power", "moderated_power")),
        )
    Console(width=None if sys.stdout.isatty() else 120).print(view)
