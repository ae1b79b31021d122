"""A screen on disk: runs of many plates, batches and labs, and the tables that follow from them.

    SCREEN/
        screen.toml               name, dose and floor choices; may be edited
        lines.tsv, batches.tsv    the registry, if given
        compound_registry.tsv     the compound registry, if given
        plates/RUN/…              what each run contributes: conditions, quality, tracks, origin
        fitted.json               the runs that the tables are made of, and remarks on them
        fits.parquet              rows as they were fitted, by the digest of their input
        responses, doses, compounds, windows, vehicles, hazards (.parquet, .csv), report.html

Adding a run copies what it contributes and fits nothing; `fit` then fits the rows that the new
plates change.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from imaging_service import __version__
from imaging_service.errors import ScreenError
from imaging_service.files import staged, write_bytes
from imaging_service.incoming.s3 import on_disk
from imaging_service.review.local import review_state
from imaging_service.screens.compounds import compounds_of, named_tracks, renamed
from imaging_service.screens.remarks import (
    PlateFile,
    ScreenFile,
    facts_of,
    place_remarks,
    remarks,
)
from imaging_service.screens.sites import (
    merged_lines,
    pooled_hazards,
    pooled_parts,
    pooled_table,
    site_of_batches,
    site_page,
    sites_digest,
    sites_of,
)
from imaging_service.store.tables import read_table, write_table
from imaging_service.toml_text import parse_toml
from imaging_service.web import charts
from imaging_service.web.screen_report import (
    KINDS,
    Picture,
    ScreenContent,
    pictures,
    render_screen,
)
from imaging_service.web.undrawn import drawn_or_why
from phenotypes.columns.dictionary import empty_table
from phenotypes.columns.dictionary import phenotype as phenotype_column
from phenotypes.films.hazard import hazard_table
from phenotypes.screens.across.sites import sites_table
from phenotypes.screens.batches.effect_doses import effect_doses
from phenotypes.screens.conditions import measurable, plate_effects, plate_refusals
from phenotypes.screens.fit import Screen, ScreenSettings, fit_parts
from phenotypes.screens.parts import parts_of
from phenotypes.statistics.curves.hill import MIN_VEHICLES
from plate_maps import PlateFormat
from plate_maps.registry import Registry, RegistryError, read_batches, read_lines

# Columns that a plate's heat maps show with the phenotypes.
_WELL_COLUMNS = ("well", "status", "reason", "line", "compound", "dose_molar", "control")
TABLES = ("responses", "doses", "compounds", "windows", "vehicles", "hazards")


@dataclass(frozen=True)
class FittedScreen:
    """A screen with its tables and the remarks on it."""

    name: str
    plates: tuple[PlateFile, ...]
    tables: Screen
    hazards: pl.DataFrame
    findings: tuple[str, ...]


def add_run(screen: str | PathLike[str], run: str | PathLike[str], lab: str = "") -> PlateFile:
    """Add a run's contribution to a screen, which is made if it does not exist.

    `lab` tells batches of the same name in different laboratories apart. Of a reviewed run the
    corrected tables are used.

    Raises ScreenError for a plate that is in the screen already, with any protocol, because its
    wells would count twice; and for a run whose tables have not followed its review yet.
    """
    screen, run = Path(screen), Path(run)
    record = _record(run)
    protocol = record["inputs"]["protocol"]
    engine = record.get("engine", {})
    tables, label_version = reviewed_tables(run)
    wells = read_table(tables / "wells.parquet", ScreenError)
    named = tuple(protocol["response"]["phenotypes"])
    usable = measurable(named, float(record["pixel_size_um"]))
    plate = PlateFile(
        run_id=record["run_id"],
        plate_digest=record["plate_digest"],
        plate_name=record["plate_name"],
        lab=lab,
        plate_map_digest=record["plate_map_digest"],
        protocol_digest=record["protocol_digest"],
        software_version=record["software_version"],
        # A plate of a release has its corrected tables and no review of its own.
        label_version=max(label_version, int(record.get("label_version", label_version))),
        rows=record["plate_format"]["rows"],
        columns=record["plate_format"]["columns"],
        phenotypes=named,
        too_coarse=tuple(n for n in named if n not in usable),
        engine=str(engine.get("engine", "")).partition(":")[0],
        weights_sha256=str((engine.get("checkpoint") or {}).get("sha256") or ""),
    )
    for other in plates_of(screen):
        if other.plate_digest == plate.plate_digest:
            raise ScreenError(
                f"plate {plate.plate_name} of run {plate.run_id[:12]} is in the screen already, as"
                f" run {other.run_id[:12]}, and its wells would count twice. Remove that run first:"
                f" imaging-service screen remove {screen} {other.run_id[:12]}"
            )
    if not (screen / "screen.toml").is_file():
        # json's strings are TOML's basic strings.
        write_bytes(
            screen / "screen.toml", f"name = {json.dumps(screen.resolve().name)}\n".encode()
        )
    located_wells = _located(wells, plate)
    with staged(screen / "plates" / plate.run_id) as folder:
        least = int(protocol.get("measurement", {}).get("min_vehicle_wells", MIN_VEHICLES))
        shape = (plate.rows, plate.columns)
        plate_effects(located_wells, usable, min_vehicles=least, plate_shape=shape).write_parquet(
            folder / "conditions.parquet"
        )
        plate_refusals(located_wells, usable, min_vehicles=least).write_parquet(
            folder / "refusals.parquet"
        )
        located_wells.select(*_WELL_COLUMNS, *named).write_parquet(folder / "wells.parquet")
        located_wells.filter((pl.col("control") == "none") & (pl.col("compound") != "")).select(
            "line", "compound", "dose_molar", "batch"
        ).unique().sort(pl.all()).write_parquet(folder / "planned.parquet")
        quality = read_table(tables / "quality.parquet", ScreenError).select(
            "line", "phenotype", "z_prime", "ssmd"
        )
        quality.with_columns(pl.lit(plate.run_id).alias("plate")).write_parquet(
            folder / "quality.parquet"
        )
        tracks = tables / "tracks.parquet"
        if tracks.is_file():
            located_tracks = _located(read_table(tracks, ScreenError), plate).drop("plate")
            # A cluster is a well of one plate: B03 of another plate is another cluster.
            located_tracks.with_columns(
                pl.lit(plate.run_id[:12] + " ").add(pl.col("well")).alias("well")
            ).write_parquet(folder / "tracks.parquet")
        (folder / "plate.json").write_text(plate.model_dump_json(indent=1), encoding="utf-8")
    return plate


def remove_run(screen: str | PathLike[str], run: str) -> PlateFile:
    """Take a run's contribution out of a screen; `run` is its id or the beginning of it.

    Raises ScreenError unless exactly one run is meant.
    """
    screen = Path(screen)
    plates = plates_of(screen)
    matching = [p for p in plates if p.run_id.startswith(run)]
    if len(matching) != 1:
        raise ScreenError(
            f"{len(matching)} runs of screen {screen} begin with {run!r}; name one of"
            f" {', '.join(p.run_id[:12] for p in plates) or 'none: the screen has no run'}"
        )
    shutil.rmtree(screen / "plates" / matching[0].run_id)
    return matching[0]


def set_registry(screen: Path, lines: Path | None, batches: Path | None) -> None:
    """Check a registry's files and keep them with the screen. Raises ScreenError."""
    for path, name, read in (
        (lines, "lines.tsv", read_lines),
        (batches, "batches.tsv", read_batches),
    ):
        if path is not None:
            text = _text(path)
            try:
                read(text, path.name)
            except RegistryError as error:
                raise ScreenError(str(error)) from error
            write_bytes(screen / name, text.encode())


def plates_of(screen: str | PathLike[str]) -> list[PlateFile]:
    """The runs in a screen, by run id."""
    screen = Path(screen)
    plates = []
    for path in sorted(screen.glob("plates/*/plate.json")):
        try:
            plates.append(PlateFile.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise ScreenError(
                f"{path} is damaged or of another version; remove its folder and add the run again"
                f" ({error})"
            ) from error
    return plates


def registry_of(screen: str | PathLike[str]) -> Registry:
    """The screen's registry; empty without files."""
    screen = Path(screen)
    lines, batches = screen / "lines.tsv", screen / "batches.tsv"
    sites = sites_of(screen)
    if sites:
        return Registry(merged_lines(sites), {})
    return Registry(
        read_lines(_text(lines)) if lines.is_file() else {},
        read_batches(_text(batches)) if batches.is_file() else {},
    )


def fit(screen: str | PathLike[str]) -> FittedScreen:
    """Fit the rows that changed, and write tables, report and record. Raises ScreenError."""
    screen = Path(screen)
    file, plates, sites = settings_of(screen), plates_of(screen), sites_of(screen)
    if not plates and not sites:
        raise ScreenError(
            f"screen {screen} has no run; add one: imaging-service screen add {screen} RUN_FOLDER"
        )
    folders = [screen / "plates" / p.run_id for p in plates]
    registry, compounds = registry_of(screen), compounds_of(screen)
    if sites:
        plates = sorted((p for site in sites for p in site.plates), key=lambda p: p.run_id)
        parts, planned = pooled_parts(sites), pooled_table(sites, "planned").unique().sort(pl.all())
        refusals, quality = pooled_table(sites, "refusals"), pooled_table(sites, "quality")
        facts = facts_of(parts.placed, registry, file)
    else:
        conditions = _parts(folders, "conditions")
        planned = _parts(folders, "planned").unique().sort(pl.all())
        conditions, planned, file = renamed(conditions, planned, file, compounds)
        facts = facts_of(conditions, registry, file)
        parts = parts_of(conditions, facts.isogenic)
        refusals, quality = _parts(folders, "refusals"), _parts(folders, "quality")
    tables = fit_parts(
        parts,
        planned,
        facts=facts,
        phenotypes=list(dict.fromkeys(n for p in plates for n in p.phenotypes)),
        refusals=refusals,
        settings=ScreenSettings(
            effect_dose=file.effect_dose_molar,
            effect_floor=file.effect_floor,
            robust_curves=file.robust_curves,
        ),
        quality=quality,
        provenance=pl.DataFrame(
            [
                {
                    "plate": p.run_id,
                    **p.model_dump(
                        include={"run_id", "plate_map_digest", "protocol_digest", "label_version"}
                    ),
                }
                for p in plates
            ]
        ),
        known=_known(screen / "fits.parquet"),
        software_version=__version__,
    )
    # Survival is compared within plates, as every other phenotype.
    tracks = [
        read_table(f / "tracks.parquet", ScreenError).with_columns(pl.lit(p.run_id).alias("plate"))
        for f, p in zip(folders, plates if not sites else (), strict=True)
        if (f / "tracks.parquet").is_file()
    ]
    hazards = pooled_hazards(sites) if sites else empty_table("hazard")
    if tracks:
        hazards = hazard_table(named_tracks(pl.concat(tracks), compounds))
    fitted = FittedScreen(
        file.name,
        tuple(plates),
        tables,
        hazards,
        (
            *remarks(parts.placed, planned, registry, plates, file, facts, compounds),
            *chain.from_iterable(
                place_remarks(read_table(folder / "wells.parquet", ScreenError), plate)
                for folder, plate in zip(folders, plates if not sites else (), strict=True)
            ),
        ),
    )
    # The record is the commit point: without it the tables of an interrupted fit are not read.
    (screen / "fitted.json").unlink(missing_ok=True)
    # Potencies are of the fit that they were taken from.
    for suffix in (".parquet", ".csv"):
        (screen / "potencies").with_suffix(suffix).unlink(missing_ok=True)
    for name, table in tables_of(fitted).items():
        write_table(table, screen / name)
    _keep(screen / "fits.parquet", tables)
    tables.batches.write_parquet(screen / "batches.parquet")
    if sites:
        compared = sites_table(
            tables.batches,
            effect_doses(planned, file.effect_dose_molar),
            site_of_batches(sites),
            donors=facts.donors,
            healthy=facts.healthy,
            unknown=list(facts.unknown),
        )
        write_table(compared, screen / "sites")
    summary = {
        "name": file.name,
        "software_version": __version__,
        "runs": [p.run_id for p in plates],
        "findings": fitted.findings,
        "genes": dict(facts.genes) | dict.fromkeys(facts.unknown, "health not known"),
        "inputs": _inputs_digest(screen),
    }
    write_bytes(screen / "fitted.json", json.dumps(summary, indent=1, ensure_ascii=False).encode())
    write_bytes(
        screen / "report.html",
        drawn_or_why(file.name, lambda: render_screen(content_of(screen))),
    )
    return fitted


def tables_of(fitted: FittedScreen) -> dict[str, pl.DataFrame]:
    """The screen's tables by name."""
    return {
        "responses": fitted.tables.responses,
        "doses": fitted.tables.doses,
        "compounds": fitted.tables.compounds,
        "windows": fitted.tables.windows,
        "vehicles": fitted.tables.vehicles,
        "hazards": fitted.hazards,
    }


def fitted_table(screen: str | PathLike[str], name: str) -> pl.DataFrame:
    """A table that `fit` wrote, whatever changed since.

    Raises ScreenError where there was no fit.
    """
    screen = Path(screen)
    path = screen / f"{name}.parquet"
    if not path.is_file() or not (screen / "fitted.json").is_file():
        raise ScreenError(
            f"screen {screen} was not fitted yet, or a fit was interrupted; fit it:"
            f" imaging-service screen fit {screen}"
        )
    return read_table(path, ScreenError)


def read_screen_table(screen: str | PathLike[str], name: str) -> pl.DataFrame:
    """A table that `fit` wrote.

    Raises ScreenError where there was no fit, or where plates, settings, registry or software
    changed since.
    """
    screen = Path(screen)
    table = fitted_table(screen, name)
    record = json.loads(_text(screen / "fitted.json"))
    sited = sorted(p.run_id for site in sites_of(screen) for p in site.plates)
    if record["runs"] != (sited or [p.run_id for p in plates_of(screen)]):
        raise ScreenError(
            f"plates were added to or removed from screen {screen} since it was fitted; fit it"
            f" again: imaging-service screen fit {screen}"
        )
    if record["inputs"] != _inputs_digest(screen):
        raise ScreenError(
            f"settings, registry or software of screen {screen} changed since it was fitted; fit it"
            f" again: imaging-service screen fit {screen}"
        )
    return table


def _inputs_digest(screen: Path) -> str:
    """SHA-256 of a screen's inputs other than its runs: settings, registry, software."""
    digest = hashlib.sha256(__version__.encode())
    for name in ("screen.toml", "lines.tsv", "batches.tsv", "compound_registry.tsv"):
        path = screen / name
        digest.update(name.encode() + (path.read_bytes() if path.is_file() else b""))
    if sites := sites_of(screen):
        digest.update(sites_digest(sites))
    return digest.hexdigest()


def content_of(
    screen: str | PathLike[str],
    read: Callable[[Path, str], pl.DataFrame] = read_screen_table,
) -> ScreenContent:
    """What report and pictures show, from what `fit` wrote. Raises ScreenError.

    `read` gives a table by its name: as `read_screen_table`, or as `fitted_table` does.
    """
    screen = Path(screen)
    by_name = {name: read(screen, name) for name in TABLES}
    summary = json.loads(_text(screen / "fitted.json"))
    tables = Screen(
        by_name["responses"],
        by_name["doses"],
        by_name["compounds"],
        by_name["windows"],
        by_name["vehicles"],
        read_table(screen / "batches.parquet", ScreenError),
        {},
        0,
    )
    sites = sites_of(screen)
    plates = [p for site in sites for p in site.plates] or plates_of(screen)
    return ScreenContent(
        summary["name"],
        [p.model_dump() for p in plates],
        tables,
        by_name["hazards"],
        summary["findings"],
        summary["genes"],
        site_page(screen),
    )


def draw(
    screen: Path,
    out: Path,
    *,
    kind: str = "",
    line: str = "",
    compound: str = "",
    phenotype: str = "",
    fmt: str = "svg",
    most: int = 100,
) -> list[Path]:
    """Write a screen's pictures; returns their paths.

    Raises ScreenError where no picture fits the choice.
    """
    if kind and kind not in (*KINDS, "plate"):
        raise ScreenError(
            f"{kind!r} is not a kind of picture; choose one of {', '.join(KINDS)}, plate"
        )
    written: list[Path] = []
    content = content_of(screen)
    for picture in chain(pictures(content), _plate_pictures(screen)):
        wanted = (
            (kind, picture.kind),
            (line, picture.line),
            (compound, picture.compound),
            (phenotype, picture.phenotype),
        )
        if (
            len(written) < most
            and all(choice in ("", of) for choice, of in wanted)
            and (spec := picture.draw())
        ):
            path = out / f"{picture.name}.{fmt}"
            write_bytes(path, charts.png(spec) if fmt == "png" else charts.svg(spec).encode())
            written.append(path)
    if not written:
        raise ScreenError(
            f"screen {screen} has no picture for this choice; `imaging-service screen table"
            f" {screen}` lists its lines, compounds and phenotypes"
        )
    return written


def _plate_pictures(screen: Path) -> Iterator[Picture]:
    """A heat map per plate and phenotype."""
    for plate in plates_of(screen):
        path, form = (
            screen / "plates" / plate.run_id / "wells.parquet",
            PlateFormat(plate.rows, plate.columns),
        )
        for name in plate.phenotypes:

            def drawn(path: Path = path, name: str = name, form: PlateFormat = form) -> charts.Spec:
                wells = read_table(path, ScreenError)
                return (
                    charts.plate_heatmap(wells, name, form)
                    if wells[name].null_count() < len(wells)
                    else {}
                )

            yield Picture("plate", name, f"{plate.plate_name}-{plate.run_id[:8]}", "", drawn)


def conditions_of(screen: str | PathLike[str]) -> pl.DataFrame:
    """Conditions of all plates with the names by which they are fitted. Raises ScreenError."""
    folders = [Path(screen) / "plates" / p.run_id for p in plates_of(screen)]
    conditions, planned = _parts(folders, "conditions"), _parts(folders, "planned")
    return renamed(conditions, planned, settings_of(screen), compounds_of(Path(screen)))[0]


def screen_part(screen: str | PathLike[str], name: str) -> pl.DataFrame:
    """One of the tables that runs contribute (planned, refusals, quality), of all runs."""
    return _parts([Path(screen) / "plates" / p.run_id for p in plates_of(screen)], name)


def settings_of(screen: str | PathLike[str]) -> ScreenFile:
    """`screen.toml`, checked. Raises ScreenError."""
    screen = Path(screen)
    path = screen / "screen.toml"
    if not path.is_file():
        raise ScreenError(
            f"{screen} is not a screen: it has no screen.toml; make one with: imaging-service"
            f" screen add {screen} RUN_FOLDER"
        )
    try:
        settings = ScreenFile.model_validate(parse_toml(_text(path)))
        for name in settings.effect_floor:
            phenotype_column(name)
    except (tomllib.TOMLDecodeError, ValidationError, ValueError) as error:
        raise ScreenError(f"{path} cannot be used: {error}") from error
    return settings


def _record(run: Path) -> dict[str, Any]:
    for name in ("run.json", "wells.parquet", "quality.parquet"):
        if not (on_disk(run) / name).is_file():
            raise ScreenError(
                f"{run} is not a finished run: it has no {name}; give the --out folder of"
                " imaging-service analyze"
            )
    try:
        record: dict[str, Any] = json.loads(_text(run / "run.json"))
        record["inputs"]["protocol"]["response"]["phenotypes"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ScreenError(f"{run / 'run.json'} is not the record of a run: {error}") from error
    return record


def reviewed_tables(run: Path) -> tuple[Path, int]:
    """Folder of the run's newest tables, and the revision of the review that they follow.

    Raises ScreenError where the review has a later revision.
    """
    state = review_state(run)
    if state.applied != state.revision:
        raise ScreenError(
            f"{run} was reviewed since its tables were made (review at revision {state.revision},"
            f" tables at {state.applied}); bring them up to date first: imaging-service review"
            f" apply {run}"
        )
    return (
        run / "corrected" if (run / "corrected" / "corrected.json").is_file() else run
    ), state.applied


def _located(table: pl.DataFrame, plate: PlateFile) -> pl.DataFrame:
    """The table with `plate`, and with the laboratory's name before that of each `batch`."""
    batch = (
        pl.concat_str(pl.lit(f"{plate.lab}/"), pl.col("batch").fill_null(""))
        if plate.lab
        else pl.col("batch").fill_null("")
    )
    return table.with_columns(pl.lit(plate.run_id).alias("plate"), batch.alias("batch"))


def _known(path: Path) -> dict[str, dict[str, object]]:
    """Fits of an earlier call; after a damaged file every row is fitted again."""
    if not path.is_file():
        return {}
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError:
        return {}
    return {str(r.pop("digest")): r for r in table.iter_rows(named=True)}


def _keep(path: Path, tables: Screen) -> None:
    rows = [{"digest": digest, **row} for digest, row in sorted(tables.fits.items())]
    write_table(pl.DataFrame(rows, infer_schema_length=None), path.with_suffix(""), csv=False)


def planned_compounds(screen: str | PathLike[str]) -> dict[str, list[str]]:
    """Name ► plates of the compounds on the screen's plates, as their maps have them."""
    plates_with: dict[str, list[str]] = {}
    for plate in plates_of(screen):
        names = _parts([Path(screen) / "plates" / plate.run_id], "planned")["compound"]
        for name in names.unique().sort():
            plates_with.setdefault(name, []).append(plate.plate_name)
    return plates_with


def _parts(folders: list[Path], name: str) -> pl.DataFrame:
    """One table of all runs.

    Raises ScreenError that says how to restore a missing or damaged part.
    """
    try:
        # Diagonally: a run that was added by an earlier version may lack a column.
        return pl.concat(
            [read_table(folder / f"{name}.parquet", ScreenError) for folder in folders],
            how="diagonal",
        )
    except ScreenError as error:
        raise ScreenError(
            f"{error}; take that run out (screen remove) and add it again from its own folder"
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ScreenError(f"there is no file {path}") from error
    except UnicodeDecodeError as error:
        raise ScreenError(f"{path} is not UTF-8 text: {error}") from error
