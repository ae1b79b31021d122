"""Commands about plate maps: `plate-map check` and `plate-map new`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plate_maps import PlateMap

plate_map = typer.Typer(no_args_is_help=True, help="Check a plate map, or lay out a new one.")


@plate_map.command("check")
def check_map(
    path: Annotated[
        Path,
        typer.Argument(
            help="CSV, TSV, XLSX, TOML (wellmap), XML (Harmony) or PlateMap (IncuCyte).",
            show_default=False,
        ),
    ],
    wells: Annotated[
        int | None,
        typer.Option(help="Wells of the plate, such as 384; the smallest that fits if not given."),
    ] = None,
    plate: Annotated[
        str, typer.Option(help="One plate of a map of several; all if not given.")
    ] = "",
    line: Annotated[str, typer.Option(help="Cell line of wells that name none.")] = "",
) -> None:
    """Draw the plate and say what a careful colleague would.

    Exits with 1 where a response cannot be computed.
    """
    from imaging_service.errors import PlateMapRefused
    from plate_maps import PlateMapError, plate_format, plates_of_map, read_plate_map

    try:
        names = [plate] if plate else plates_of_map(path) or [""]
        found = {
            name: read_plate_map(path, plate_format(wells) if wells else None, line, name)
            for name in names
        }
    except PlateMapError as error:
        raise PlateMapRefused(str(error)) from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    bad = [_show(name, mapped) for name, mapped in found.items()]
    for sentence in _confounded(found):
        typer.secho(f"warning: {sentence}", fg="yellow")
    if any(bad):
        raise typer.Exit(1)


def _show(name: str, found: PlateMap) -> bool:
    """Draw one plate and print its findings; returns whether one is an error."""
    from plate_maps import check
    from plate_maps.layout import draw

    of = f", plate {name}" if name else ""
    typer.echo(
        f"{found.source}{of}: {len(found)} wells of a {found.format} plate, {len(found.lines)}"
        f" lines, {len(found.compounds)} compounds at doses\n"
    )
    typer.echo(draw(found) + "\n")
    findings = check(found)
    for finding in findings:
        typer.secho(
            f"{finding.severity}: {finding.message} [{finding.code}]",
            fg="red" if finding.severity == "error" else "yellow",
        )
    if not findings:
        typer.echo("nothing to remark")
    return any(f.severity == "error" for f in findings)


def _confounded(found: dict[str, PlateMap]) -> list[str]:
    """Whether lines, or genotypes, have plates or batches of their own over the plates of one map."""
    import polars as pl

    from plate_maps.check import confounded

    rows = {
        (c.line, c.genotype, name, c.batch)
        for name, mapped in found.items()
        for c in mapped.conditions.values()
    }
    table = pl.DataFrame(sorted(rows), schema=["line", "genotype", "plate", "batch"], orient="row")
    return [
        *confounded(table, "line"),
        *confounded(table.filter(pl.col("genotype") != ""), "genotype"),
    ]


@plate_map.command("new")
def new_map(
    lines: Annotated[
        list[str],
        typer.Option(
            "--line", help="NAME or NAME=GENOTYPE; once a line, isogenic controls included."
        ),
    ],
    compounds: Annotated[list[str], typer.Option("--compound", help="Once a compound.")],
    doses: Annotated[str, typer.Option("--doses", help='With units, such as "0.01,0.1,1,10 uM".')],
    out: Annotated[Path, typer.Option("--out", help="Folder for one CSV a plate.")],
    replicates: Annotated[int, typer.Option(min=1)] = 2,
    vehicles: Annotated[int, typer.Option(min=3, help="Vehicle wells a line and plate.")] = 8,
    positive: Annotated[
        str, typer.Option(help='Positive control with its dose, such as "riluzole 10 uM".')
    ] = "",
    wells: Annotated[int, typer.Option(help="96, 384 or 1536.")] = 384,
    edge: Annotated[bool, typer.Option(help="Use the outer wells too.")] = False,
    batch: Annotated[str, typer.Option(help="Differentiation batch.")] = "",
    seed: Annotated[int, typer.Option(help="Another seed, another randomisation.")] = 1,
) -> None:
    """Write randomised maps with all lines and their vehicle wells on every plate."""
    from plate_maps import parse_dose, plate_format
    from plate_maps.layout import Design, LayoutError, draw, lay_out, to_csv

    try:
        numbers, _, unit = doses.strip().rpartition(" ")
        molar = tuple(parse_dose(d, unit) for d in numbers.split(","))
        name, _, strength = positive.partition(" ")
        design = Design(
            {n: g for n, _, g in (line.partition("=") for line in lines)},
            tuple(compounds),
            molar,
            replicates,
            vehicles,
            positive=name,
            positive_molar=parse_dose(strength) if strength else None,
        )
        plates = lay_out(design, plate_format(wells), seed, edge=edge, batch=batch)
    except (LayoutError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    for n, plate in enumerate(plates, start=1):
        path = out / f"plate_map_{n}.csv"
        if path.exists():
            raise typer.BadParameter(
                f"{path} exists already; a layout that was plated must not be lost"
            )
        path.write_text(to_csv(plate), encoding="utf-8")
        typer.echo(f"{path}: {len(plate)} wells\n\n{draw(plate)}\n")
