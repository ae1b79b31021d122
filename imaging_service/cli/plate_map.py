"""Commands about plate maps: `plate-map check`, `plate-map split` and `plate-map new`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plate_maps import PlateMap
    from plate_maps.compounds import Compounds
    from plate_maps.registry import Registry

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
    line: Annotated[str, typer.Option(help="Cell line of wells without one in the map.")] = "",
    lines: Annotated[
        Path | None, typer.Option(help="Line registry (TSV): which lines are healthy.")
    ] = None,
    compounds: Annotated[
        Path | None,
        typer.Option(help="Compound registry (TSV, CSV, TOML): which names are one compound."),
    ] = None,
) -> None:
    """Draw the plate and print what should be checked before the plate is used.

    Says which lines are taken for healthy, and why, and which names may be one compound.

    Exits with 1 where a response cannot be computed.
    """
    from imaging_service.errors import PlateMapRefused
    from plate_maps import PlateMapError, plate_format, plates_of_map, read_plate_map

    registry, known = _registry(lines), _compounds(compounds)
    try:
        names = [plate] if plate else plates_of_map(path) or [""]
        plates = {
            name: read_plate_map(path, plate_format(wells) if wells else None, line, name)
            for name in names
        }
    except PlateMapError as error:
        raise PlateMapRefused(str(error)) from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    has_error = [_show(name, mapped, registry, known) for name, mapped in plates.items()]
    for sentence in (*_confounded(plates), *_names_over_plates(plates, known)):
        typer.secho(f"warning: {sentence}", fg="yellow")
    if any(has_error):
        raise typer.Exit(1)


def _registry(lines: Path | None) -> Registry:
    from plate_maps.registry import Registry, RegistryError, read_lines

    if lines is None:
        return Registry({}, {})
    try:
        return Registry(read_lines(lines.read_text(encoding="utf-8-sig"), lines.name), {})
    except (OSError, UnicodeDecodeError, RegistryError) as error:
        raise typer.BadParameter(f"{lines}: {error}") from error


def _compounds(path: Path | None) -> Compounds:
    from plate_maps.compounds import CompoundError, Compounds, read_compounds

    if path is None:
        return Compounds({})
    try:
        return read_compounds(path.read_text(encoding="utf-8-sig"), path.name)
    except (OSError, UnicodeDecodeError, CompoundError) as error:
        raise typer.BadParameter(f"{path}: {error}") from error


def _names_over_plates(plates: dict[str, PlateMap], known: Compounds) -> list[str]:
    """Names that may be one compound, of which no plate has two."""
    from plate_maps.compounds import name_remarks

    if len(plates) == 1:
        return []
    every = {name for mapped in plates.values() for name in mapped.compounds}
    said = {s for mapped in plates.values() for s in name_remarks(mapped.compounds, known)}
    return [sentence for sentence in name_remarks(every, known) if sentence not in said]


def _show(name: str, mapped: PlateMap, registry: Registry, known: Compounds) -> bool:
    """Draw one plate and print its findings; returns whether one of them is an error."""
    from plate_maps import check
    from plate_maps.check import line_healths
    from plate_maps.genotypes import Health
    from plate_maps.layout import draw

    of = f", plate {name}" if name else ""
    typer.echo(
        f"{mapped.source}{of}: {len(mapped)} wells of a {mapped.format} plate, {len(mapped.lines)}"
        f" lines, {len(mapped.compounds)} compounds at doses\n"
    )
    typer.echo(draw(mapped) + "\n")
    judged = line_healths(mapped, registry).values()
    for health, words in (
        (Health.HEALTHY, "healthy or corrected"),
        (Health.DISEASE, "disease"),
        (Health.UNKNOWN, "not known to be healthy or diseased"),
    ):
        lines_of = [str(line) for line in judged if line.health is health]
        if lines_of or health is Health.HEALTHY:
            typer.echo(f"{words}: {', '.join(lines_of) or 'no line'}")
    findings = check(mapped, registry, known)
    for finding in findings:
        typer.secho(
            f"{finding.severity}: {finding.message} [{finding.code}]",
            fg="red" if finding.severity == "error" else "yellow",
        )
    if not findings:
        typer.echo("no errors or warnings")
    return any(f.severity == "error" for f in findings)


def _confounded(plates: dict[str, PlateMap]) -> list[str]:
    """Lines or genotypes that only have plates or batches of their own, in a map of several."""
    import polars as pl

    from plate_maps.check import confounded

    rows = {
        (c.line, c.genotype, name, c.batch)
        for name, mapped in plates.items()
        for c in mapped.conditions.values()
    }
    table = pl.DataFrame(sorted(rows), schema=["line", "genotype", "plate", "batch"], orient="row")
    return [
        *confounded(table, "line"),
        *confounded(table.filter(pl.col("genotype") != ""), "genotype"),
    ]


@plate_map.command("split")
def split_map(
    path: Annotated[Path, typer.Argument(help="A map whose wells differ.", show_default=False)],
    by: Annotated[str, typer.Option("--by", help="Column, such as growth_condition.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for one CSV per value.")],
    wells: Annotated[
        int | None,
        typer.Option(help="Wells of the plate, such as 384; the smallest that fits if not given."),
    ] = None,
    plate: Annotated[str, typer.Option(help="One plate of a map of several.")] = "",
    line: Annotated[str, typer.Option(help="Cell line of wells without one in the map.")] = "",
) -> None:
    """Write one map per value of a treatment in which wells of a line differ.

    Responses are relative to vehicle wells of the same treatment: analyse the scan once per map.
    """
    from imaging_service.errors import PlateMapRefused
    from plate_maps import PlateMapError, plate_format
    from plate_maps.layout import to_csv
    from plate_maps.readers.reading import read_divided

    try:
        parts = read_divided(path, by, plate_format(wells) if wells else None, line, plate)
    except PlateMapError as error:
        raise PlateMapRefused(str(error)) from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    for n, (value, part) in enumerate(parts.items(), start=1):
        words = "_".join(re.findall(r"\w+", value)) or "none"
        _write_new(out / f"{path.stem}_{n}_{words}.csv", to_csv(part))
        typer.echo(f"{path.stem}_{n}_{words}.csv: {len(part)} wells, {by} {value or 'not given'}")


def _write_new(path: Path, text: str) -> None:
    if path.exists():
        raise typer.BadParameter(
            f"{path} exists already, and it may be of a plate that was made; choose another --out"
        )
    path.write_text(text, encoding="utf-8-sig")


@plate_map.command("new")
def new_map(
    lines: Annotated[
        list[str],
        typer.Option(
            "--line", help="NAME or NAME=GENOTYPE; once per line, isogenic controls included."
        ),
    ],
    compounds: Annotated[list[str], typer.Option("--compound", help="Once per compound.")],
    doses: Annotated[str, typer.Option("--doses", help='With units, such as "0.01,0.1,1,10 uM".')],
    out: Annotated[Path, typer.Option("--out", help="Folder for one CSV per plate.")],
    replicates: Annotated[int, typer.Option(min=1)] = 2,
    vehicles: Annotated[int, typer.Option(min=3, help="Vehicle wells per line and plate.")] = 8,
    positive: Annotated[
        str, typer.Option(help='Positive control with its dose, such as "riluzole 10 uM".')
    ] = "",
    wells: Annotated[int, typer.Option(help="96, 384 or 1536.")] = 384,
    edge: Annotated[bool, typer.Option(help="Use the outer wells too.")] = False,
    batch: Annotated[str, typer.Option(help="Differentiation batch.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the randomisation.")] = 1,
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
        _write_new(path, to_csv(plate))
        typer.echo(f"{path}: {len(plate)} wells\n\n{draw(plate)}\n")
