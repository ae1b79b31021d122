"""A screen's compounds: names that are one compound, and the names behind blinded codes.

Known names are joined before the fit, so that a compound's batches are not split over its
spellings. A blinded code is fitted as it stands; its name is joined to the finished tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import polars as pl

from imaging_service.errors import ScreenError
from imaging_service.files import write_bytes
from imaging_service.screens.remarks import ScreenFile
from imaging_service.store.tables import write_table
from plate_maps.compounds import CompoundError, Compounds, read_compounds, write_compounds

_FILE = "compound_registry.tsv"
_CONDITION = ["plate", "batch", "line", "phenotype", "control", "dose_molar"]


def read_compound_file(path: Path) -> Compounds:
    """Read a compound registry. Raises ScreenError."""
    try:
        return read_compounds(path.read_text(encoding="utf-8-sig"), path.name)
    except FileNotFoundError as error:
        raise ScreenError(f"there is no file {path}") from error
    except UnicodeDecodeError as error:
        raise ScreenError(f"{path} is not UTF-8 text: {error}") from error
    except CompoundError as error:
        raise ScreenError(str(error)) from error


def set_compounds(screen: Path, path: Path) -> None:
    """Check a compound registry and keep it with the screen. Raises ScreenError."""
    known = read_compound_file(path)
    write_bytes(screen / _FILE, write_compounds(known.records.values()).encode())


def compounds_of(screen: str | PathLike[str]) -> Compounds:
    """The screen's compound registry; empty without a file."""
    path = Path(screen) / _FILE
    return read_compound_file(path) if path.is_file() else Compounds({})


def renamed(
    conditions: pl.DataFrame, planned: pl.DataFrame, file: ScreenFile, known: Compounds
) -> tuple[pl.DataFrame, pl.DataFrame, ScreenFile]:
    """Conditions, planned doses and settings with one name per known compound.

    Raises ScreenError where a plate has one compound at one dose under two names: which wells its
    mean is over would depend on the order of the rows.
    """
    if not known:
        return conditions, planned, file
    named = _named(conditions, known)
    twice = (
        named.with_columns(conditions["compound"].alias("as_written"))
        .group_by(*_CONDITION, "compound")
        .agg(pl.col("as_written").unique().sort())
        .filter((pl.col("as_written").list.len() > 1) & (pl.col("control") != "vehicle"))
        .sort("plate", "line", "compound")
    )
    if len(twice):
        row = twice.row(0, named=True)
        raise ScreenError(
            f"plate {row['plate'][:12]} has {row['compound']} at one dose on line {row['line']}"
            f" under several names ({', '.join(row['as_written'])}); write one name in its plate"
            " map and analyse it again, or give each name a row of its own in the compound registry"
        )
    doses = {known.shown(name): dose for name, dose in file.effect_dose_molar.items()}
    return (
        named,
        _named(planned, known).unique().sort(pl.all()),
        file.model_copy(update={"effect_dose_molar": doses}),
    )


def named_tracks(tracks: pl.DataFrame, known: Compounds) -> pl.DataFrame:
    """Tracks with one name per known compound."""
    return _named(tracks, known) if known else tracks


def _named(table: pl.DataFrame, known: Compounds) -> pl.DataFrame:
    names = table["compound"].drop_nulls().unique()
    shown = {name: known.shown(name) for name in names}
    return table.with_columns(
        pl.col("compound").replace_strict(shown, default=pl.col("compound"), return_dtype=pl.String)
    )


def unblind(tables: Mapping[str, pl.DataFrame], known: Compounds, out: Path) -> list[str]:
    """Write tables with `compound_id` and `compound_name` beside their compound; returns notes.

    A compound that the registry does not have keeps empty cells and is noted, and so are rows of
    one compound that were fitted apart, under its code and its name.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = sorted(
        {n for t in tables.values() if "compound" in t.columns for n in t["compound"].drop_nulls()}
    )
    records = {name: known.unblinded(name) for name in names}
    ids = {name: r[0] for name, r in records.items() if r is not None}
    plain = {name: r[1] for name, r in records.items() if r is not None}
    for stem, table in tables.items():
        if "compound" in table.columns:
            position = table.columns.index("compound") + 1
            added = [
                pl.Series(title, [values.get(n) for n in table["compound"]], dtype=pl.String)
                for title, values in (("compound_id", ids), ("compound_name", plain))
            ]
            columns = table.get_columns()
            table = pl.DataFrame([*columns[:position], *added, *columns[position:]])
        write_table(table, out / stem)
    apart: dict[str, list[str]] = {}
    for name, of in plain.items():
        apart.setdefault(of, []).append(name)
    return [
        *(f"compound {n} is not in the compound registry" for n in names if n and n not in ids),
        *(
            f"{' and '.join(group)} are one compound, {plain[group[0]]}, and were fitted apart"
            for group in apart.values()
            if len(group) > 1
        ),
    ]
