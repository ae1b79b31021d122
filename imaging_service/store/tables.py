"""Tables as Parquet and CSV bytes; equal tables give equal bytes."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import polars as pl

from imaging_service.errors import ServiceError, StoreError, damaged
from imaging_service.files import write_bytes
from phenotypes.columns.dictionary import COLUMNS

# A cell that starts with one of these is run as a formula by spreadsheets (CWE-1236).
_FORMULA = r"^[=+\-@\t\r]"


def parquet_bytes(table: pl.DataFrame) -> bytes:
    """Zstandard Parquet with statistics."""
    stream = io.BytesIO()
    table.write_parquet(stream, compression="zstd", statistics=True)
    return stream.getvalue()


def arrow_bytes(table: pl.DataFrame) -> bytes:
    """Arrow IPC stream, Zstandard; text as Arrow's plain strings, which every reader knows."""
    stream = io.BytesIO()
    table.write_ipc_stream(stream, compression="zstd", compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def json_bytes(table: pl.DataFrame) -> bytes:
    """A list of objects; JSON has no word for a number that is not finite, so it is null."""
    finite = table.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
        for name, kind in table.schema.items()
        if kind.is_float()
    )
    return finite.write_json().encode()


def csv_bytes(table: pl.DataFrame) -> bytes:
    """UTF-8 CSV; text that a spreadsheet would run as a formula gets a leading apostrophe.

    It begins with a byte order mark: without it Excel takes UTF-8 for Windows-1252, and β and µ
    become other characters.
    """
    text = [name for name, dtype in table.schema.items() if dtype == pl.String]
    safe = table.with_columns(
        pl.when(pl.col(name).str.contains(_FORMULA))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in text
    )
    return safe.write_csv(include_bom=True).encode()


def columns_dictionary() -> str:
    """All columns of all tables: table, name, unit, type, meaning, how a phenotype is compared."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["table", "column", "unit", "type", "meaning", "compared_as"])
    for c in COLUMNS:
        writer.writerow([c.level, c.name, c.unit, str(c.dtype), c.meaning, c.scale or ""])
    return out.getvalue()


def neutral_cell(text: str) -> str:
    """Text of one CSV cell, made harmless as in `csv_bytes`."""
    return f"'{text}" if re.match(_FORMULA, text) else text


def read_table(path: Path, raises: type[ServiceError] = StoreError) -> pl.DataFrame:
    """Read a Parquet table that the service wrote.

    Raises StoreError, or the error given, naming the file where it is missing or damaged.
    """
    with damaged(raises, str(path)):
        return pl.read_parquet(path)


def write_table(table: pl.DataFrame, stem: Path, *, csv: bool = True) -> None:
    """Write stem.parquet and, unless told not to, stem.csv."""
    write_bytes(stem.with_suffix(".parquet"), parquet_bytes(table))
    if csv:
        write_bytes(stem.with_suffix(".csv"), csv_bytes(table))
