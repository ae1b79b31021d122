"""What an export holds: its tables, what their columns mean, and what they are of.

FOLDER/order.json     the order
FOLDER/tables/        tables as they are written, one by one
FOLDER/ID.zip         wells.parquet, …, columns.tsv, export.json
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from imaging_service import __version__
from imaging_service.errors import NotFound, NotReady, StoreError, damaged
from imaging_service.files import sweep, write_bytes, write_through, written_whole
from imaging_service.ingest.images.digests import combine
from imaging_service.orders import ExportFormat
from imaging_service.review.local import TABLES as RUN_TABLES
from imaging_service.review.local import review_state
from imaging_service.store.tables import arrow_bytes, columns_dictionary, csv_bytes

# Rows of a CSV that are text in memory at once: a plate's cells are millions.
_ROWS = 200_000
# The zip's own clock: the same tables give the same bytes.
_WHEN = (1980, 1, 1, 0, 0, 0)


class ExportOrder(BaseModel):
    """Everything that an export follows from; its id is a digest of it.

    `submitted_at` is when the run or screen was: one that was removed and submitted again has its
    id, attempt and revision from before, and tables that need not be the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str
    run: str
    screen: str
    revision: int
    attempt: int
    submitted_at: datetime
    tables: tuple[str, ...]
    format: ExportFormat
    software_version: str = __version__

    @property
    def id(self) -> str:
        """16 hex digits; the same tables in the same form have the same."""
        return combine([("export", self.model_dump_json())])[:16]


def tables_of(source: Path, *, run: bool) -> list[str]:
    """Tables that a run or a screen has."""
    # It brings what fits screens, which a worker that starts does not need.
    from imaging_service.screens.folder import TABLES as SCREEN_TABLES

    names = RUN_TABLES if run else SCREEN_TABLES
    return [name for name in names if _path(source, name, run=run).is_file()]


def _path(source: Path, name: str, *, run: bool) -> Path:
    # As reviewers left them, where the tables have followed a review.
    corrected = run and (source / "corrected" / "corrected.json").is_file()
    return (source / "corrected" if corrected else source) / f"{name}.parquet"


def lay_out(order: ExportOrder, folder: Path) -> None:
    """Write the order."""
    write_bytes(folder / "order.json", order.model_dump_json(indent=1).encode())


def read_order(folder: Path) -> ExportOrder:
    """The order in a folder. Raises StoreError where it is damaged."""
    path = folder / "order.json"
    with damaged(StoreError, str(path)):
        return ExportOrder.model_validate_json(path.read_bytes())


def write_table(folder: Path, source: Path, number: int) -> None:
    """Write the order's table of that number, from 0, unless it is written.

    Raises NotFound where the run or the screen has it no more, NotReady where a review changed the
    tables since the order.
    """
    order = read_order(folder)
    name, run = order.tables[number], bool(order.run)
    target = folder / "tables" / f"{name}.{order.format}"
    if target.is_file():
        return
    path = _path(source, name, run=run)
    if not path.is_file():
        raise NotFound(f"{'run' if run else 'screen'} {order.run or order.screen} has no {name}")
    if order.format == "parquet":
        target.parent.mkdir(exist_ok=True)
        write_through(target, _blocks(path))
    else:
        with damaged(StoreError, str(path)):
            table = pl.read_parquet(path)
        parts = _csv(table) if order.format == "csv" else iter([arrow_bytes(table)])
        write_through(target, parts)
    # After the reading: before it, the tables might have been replaced in between.
    if run and review_state(source).applied != order.revision:
        target.unlink()
        raise NotReady(
            f"run {order.run[:12]} was reviewed since the export was ordered; order it again"
        )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(2**22):
            yield block


def _csv(table: pl.DataFrame) -> Iterator[bytes]:
    yield csv_bytes(table.head(_ROWS))
    for start in range(_ROWS, len(table), _ROWS):
        yield csv_bytes(table.slice(start, _ROWS)).partition(b"\n")[2]


def zip_tables(folder: Path) -> tuple[int, str]:
    """Put the written tables into the zip; returns its size in bytes and its SHA-256 (hex).

    Once is enough, and again changes nothing: a kill may come after the tables were removed. Of two
    processes that do it at once one raises FileNotFoundError, and finds the zip the next time.
    """
    order = read_order(folder)
    target = folder / f"{order.id}.zip"
    if not target.is_file():
        with written_whole(target) as stream, zipfile.ZipFile(stream, "w") as archive:
            _add_all(archive, order, folder / "tables")
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    shutil.rmtree(folder / "tables", ignore_errors=True)
    sweep(folder)
    return target.stat().st_size, digest


def _add_all(archive: zipfile.ZipFile, order: ExportOrder, tables: Path) -> None:
    digests = {}
    for name in order.tables:
        file = f"{name}.{order.format}"
        digests[file] = _add(archive, tables / file)
    _add_text(archive, "columns.tsv", columns_dictionary())
    described = {**order.model_dump(mode="json"), "id": order.id, "sha256": digests}
    _add_text(archive, "export.json", json.dumps(described, indent=1))


def _entry(name: str, compressed: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _WHEN)
    entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    return entry


def _add(archive: zipfile.ZipFile, path: Path) -> str:
    digest = hashlib.sha256()
    # Parquet and Arrow are compressed already.
    with archive.open(_entry(path.name, path.suffix == ".csv"), "w", force_zip64=True) as stream:
        for block in _blocks(path):
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def _add_text(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(_entry(name, compressed=True), text)
