"""Commands about screens: `screen add`, `remove`, `fit`, `table`, `potency`, `plot`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaging_service.cli.folders import ServiceUrl, no_service, read_screen, written_to
from imaging_service.cli.registry import ProjectOption

if TYPE_CHECKING:
    import polars as pl

screen = typer.Typer(
    no_args_is_help=True, help="Collect runs of many plates, batches and labs into one table."
)

Folder = Annotated[Path, typer.Argument(help="Folder of the screen.", show_default=False)]


# A screen that a command reads; of a service by its id.
ReadFolder = Annotated[
    Path, typer.Argument(help="Folder of the screen; with --url its id.", show_default=False)
]


class Kind(StrEnum):
    """A screen's tables."""

    RESPONSES = "responses"
    DOSES = "doses"
    COMPOUNDS = "compounds"
    WINDOWS = "windows"
    VEHICLES = "vehicles"
    HAZARDS = "hazards"


class TableFormat(StrEnum):
    """How a table is printed."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"


class PictureFormat(StrEnum):
    """How a picture is written."""

    SVG = "svg"
    PNG = "png"


Ordered = no_service(
    "a service's screen is made of its runs at once, and fitted there: imaging-service screen order"
    " NAME RUN RUN --url URL"
)


@screen.command("add")
def add(
    folder: Folder,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of finished runs (--out of analyze), or of release bundles; with --url"
            " ids of a service's runs.",
            show_default=False,
        ),
    ] = None,
    lab: Annotated[
        str,
        typer.Option(help="Laboratory of the runs; tells batches of the same name apart."),
    ] = "",
    lines: Annotated[
        Path | None, typer.Option(help="Line registry (TSV): donors, genes, isogenic pairs.")
    ] = None,
    batches: Annotated[Path | None, typer.Option(help="Differentiation batches (TSV).")] = None,
    compounds: Annotated[
        Path | None,
        typer.Option(help="Compound registry (TSV, CSV, TOML): which names are one compound."),
    ] = None,
    url: ServiceUrl = None,
) -> None:
    """Put runs, or a registry, into a screen, which is made if it does not exist.

    Nothing is fitted yet. Names that may be one compound are listed.
    """
    from imaging_service.release.reading import add_bundle, is_bundle
    from imaging_service.screens.compounds import compounds_of, set_compounds
    from imaging_service.screens.folder import add_run, planned_compounds, set_registry
    from plate_maps.compounds import name_remarks

    if not runs and lines is None and batches is None and compounds is None:
        raise typer.BadParameter("give run folders, --lines, --batches or --compounds")
    if compounds is not None:
        set_compounds(folder, compounds)
    if url is not None:
        _add_from_service(folder, url, [str(run) for run in runs or []], lab)
        runs = []
    for run in runs or []:
        bundle = is_bundle(run)
        for plate in add_bundle(folder, run, lab) if bundle else [add_run(folder, run, lab)]:
            typer.echo(
                f"added {plate.plate_name} (run {plate.run_id[:12]}): {', '.join(plate.phenotypes)}"
            )
    set_registry(folder, lines, batches)
    for remark in name_remarks(planned_compounds(folder), compounds_of(folder)):
        typer.secho(f"note: {remark}", err=True)


def _add_from_service(folder: Path, url: str, runs: Sequence[str], lab: str) -> None:
    import tempfile

    from imaging_service.client import Client
    from imaging_service.screens.folder import add_run
    from imaging_service.screens.remote import fetch_run

    with Client(url) as client, tempfile.TemporaryDirectory() as scratch:
        for number, run in enumerate(runs):
            plate = add_run(folder, fetch_run(client, run, Path(scratch, str(number))), lab)
            typer.echo(
                f"added {plate.plate_name} (run {plate.run_id[:12]}): {', '.join(plate.phenotypes)}"
            )


@screen.command("remove")
def remove(
    folder: Folder,
    run: Annotated[str, typer.Argument(help="A run's id or the beginning of one.")],
    url: Annotated[str | None, Ordered] = None,
) -> None:
    """Take a run out of a screen; the run itself is not touched."""
    from imaging_service.screens.folder import remove_run

    plate = remove_run(folder, run)
    typer.echo(f"removed {plate.plate_name} (run {plate.run_id[:12]})")


@screen.command("fit")
def fit_screen(folder: Folder, url: Annotated[str | None, Ordered] = None) -> None:
    """Fit the rows that new plates change, and write tables and report."""
    from imaging_service.screens.folder import TABLES, fit

    fitted = fit(folder)
    for finding in fitted.findings:
        typer.secho(f"note: {finding}", err=True)
    tables = fitted.tables
    hits = int(tables.responses["hit"].fill_null(value=False).sum())
    typer.echo(
        f"{len(fitted.plates)} plates: {len(tables.responses):,} rows, {tables.refitted:,} of them"
        f" fitted now; {hits:,} hits\n"
        + "\n".join(f"Table   {folder / name}.csv" for name in TABLES)
        + f"\nReport  {folder / 'report.html'}"
    )


@screen.command("unblind")
def unblind_screen(
    folder: ReadFolder,
    compounds: Annotated[
        Path,
        typer.Option(help="Compound registry with blinded codes (TSV, CSV, TOML)."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.", show_default=False)],
    url: ServiceUrl = None,
    project: ProjectOption = "",
) -> None:
    """Write the tables of a fitted screen with the names behind its compounds' codes.

    The screen's own tables stay as they were fitted.
    """
    from imaging_service.screens.compounds import read_compound_file, unblind
    from imaging_service.screens.folder import TABLES, read_screen_table

    with read_screen(url, folder, project) as read:
        optional = ["potencies"] if (read / "potencies.parquet").is_file() else []
        tables = {name: read_screen_table(read, name) for name in (*TABLES, *optional)}
    for note in unblind(tables, read_compound_file(compounds), out):
        typer.secho(f"note: {note}", err=True)
    for name in tables:
        typer.echo(str(out / f"{name}.csv"))


@screen.command("table")
def table(
    folder: ReadFolder,
    kind: Annotated[Kind, typer.Option(help="Which table.")] = Kind.RESPONSES,
    line: Annotated[str, typer.Option(help="Rows of this line only.")] = "",
    compound: Annotated[str, typer.Option(help="Rows of this compound only.")] = "",
    phenotype: Annotated[str, typer.Option(help="Rows of this phenotype only.")] = "",
    hits: Annotated[bool, typer.Option("--hits", help="Hits only.")] = False,
    fmt: Annotated[
        TableFormat,
        typer.Option("--format", help="text shows the main columns; csv and json show all."),
    ] = TableFormat.TEXT,
    url: ServiceUrl = None,
    project: ProjectOption = "",
) -> None:
    """Print one of a screen's tables."""
    import polars as pl

    from imaging_service.client import Client
    from imaging_service.frames import read_screen_table as read_from_service
    from imaging_service.screens.folder import read_screen_table
    from imaging_service.store.tables import csv_bytes

    if url is None:
        rows = read_screen_table(folder, kind.value)
    else:
        with Client(url, project=project) as client:
            rows = read_from_service(client, str(folder), kind.value)
    for name, value in (("line", line), ("compound", compound), ("phenotype", phenotype)):
        if value:
            if name not in rows.columns:
                raise typer.BadParameter(f"table {kind.value} has no column {name}")
            if value not in set(rows[name]):
                raise typer.BadParameter(
                    f"table {kind.value} has no {name} {value!r}; choose one of"
                    f" {', '.join(rows[name].drop_nulls().unique().sort()[:20])}"
                )
            rows = rows.filter(pl.col(name) == value)
    if hits:
        if "hit" not in rows.columns:
            raise typer.BadParameter(
                f"table {kind.value} has no hits; --hits is for --kind responses"
            )
        rows = rows.filter(pl.col("hit").fill_null(value=False))
    if fmt is TableFormat.CSV:
        typer.echo(csv_bytes(rows).decode(), nl=False)
    elif fmt is TableFormat.JSON:
        typer.echo(rows.write_json())
    else:
        _show(rows, _SHOWN[kind])


_SHOWN = {
    Kind.RESPONSES: (
        "line",
        "compound",
        "phenotype",
        "status",
        "effect",
        "moderated_q_value",
        "best_dose_molar",
        "best_effect",
        "best_q_value",
        "hit",
        "n_batches",
        "curve_status",
        "ec50_molar",
        "rescue_status",
        "rescue",
        "rescue_dose_molar",
        "responder",
    ),
    Kind.DOSES: (
        "line",
        "compound",
        "phenotype",
        "dose_molar",
        "status",
        "effect",
        "p_value",
        "p_over_doses",
        "n_batches",
    ),
    Kind.COMPOUNDS: (
        "compound",
        "phenotype",
        "group",
        "status",
        "effect",
        "q_value",
        "moderated_q_value",
        "limited_by",
        "n_donors",
        "i2",
        "stable",
        "association_status",
    ),
    Kind.WINDOWS: ("line", "isogenic", "phenotype", "batch", "status", "gap", "ssmd", "n_wells"),
    Kind.VEHICLES: (
        "line",
        "phenotype",
        "batch",
        "status",
        "shift",
        "n_compounds",
        "history_status",
        "level",
        "n_wells",
    ),
    Kind.HAZARDS: ("line", "compound", "dose_molar", "status", "hazard_ratio", "q_value"),
}


_POTENCIES = (
    "line",
    "reference",
    "compound",
    "phenotype",
    "status",
    "ratio",
    "p_value",
    "q_value",
    "n_batches",
    "slope_p",
    "reason",
)


def _show(rows: pl.DataFrame, columns: Sequence[str]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from imaging_service.web.templating import number
    from plate_maps.conditions import format_dose

    view = Table(*columns)
    for r in rows.iter_rows(named=True):
        cells = []
        for name in columns:
            shown = format_dose if name.endswith("_molar") else number
            text = "" if r[name] is None else shown(r[name])
            low, high = r.get(f"{name}_low"), r.get(f"{name}_high")
            cells.append(
                Text(f"{text} ({shown(low)} … {shown(high)})" if text and low is not None else text)
            )
        view.add_row(*cells)
    Console(width=None if sys.stdout.isatty() else 220).print(view)
    typer.echo(f"{len(rows):,} rows")


@screen.command("potency")
def potency(
    folder: ReadFolder,
    reference: Annotated[
        str, typer.Option(help="Line to compare all others with; else isogenic pairs.")
    ] = "",
    phenotype: Annotated[str, typer.Option(help="Rows of this phenotype only.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the table; SCREEN if not given.")
    ] = None,
    url: ServiceUrl = None,
    project: ProjectOption = "",
) -> None:
    """Compare EC50s between lines: the ratio, its interval, and whether the slopes are one."""
    import polars as pl

    from imaging_service.screens.potencies import potencies

    target = written_to(url, folder, out)
    with read_screen(url, folder, project) as read:
        rows = potencies(read, reference, target)
    if phenotype:
        rows = rows.filter(pl.col("phenotype") == phenotype)
    _show(rows, _POTENCIES)
    typer.echo(f"Table   {target / 'potencies.csv'}")


@screen.command("plot")
def plot(
    folder: ReadFolder,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the pictures.", show_default=False)
    ],
    kind: Annotated[
        str,
        typer.Option(help="curve, forest, heatmap, window, variance or plate; all if not given."),
    ] = "",
    line: Annotated[str, typer.Option(help="Pictures of this line only.")] = "",
    compound: Annotated[str, typer.Option(help="Pictures of this compound only.")] = "",
    phenotype: Annotated[str, typer.Option(help="Pictures of this phenotype only.")] = "",
    fmt: Annotated[PictureFormat, typer.Option("--format", help="svg or png.")] = PictureFormat.SVG,
    most: Annotated[
        int, typer.Option(help="Most pictures to write, the strongest effects first.", min=1)
    ] = 100,
    url: ServiceUrl = None,
    project: ProjectOption = "",
) -> None:
    """Draw a screen for papers."""
    from imaging_service.screens.folder import draw

    with read_screen(url, folder, project) as read:
        written = draw(
            read,
            out,
            kind=kind,
            line=line,
            compound=compound,
            phenotype=phenotype,
            fmt=fmt.value,
            most=most,
        )
    for path in written:
        typer.echo(str(path))
