"""Mosaics of Fractal and ngio: one array per well, and a table of the fields that it was put from.

A tile that no field covers has no chunk. Whether a missing chunk is such a tile, or lost pixels,
only the table `FOV_ROI_table` says: per field its corner and size in µm.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from imaging_service.ingest.images.zarr_on_s3 import zarr_store

TABLE = "FOV_ROI_table"
_COLUMNS = ("x_micrometer", "y_micrometer", "len_x_micrometer", "len_y_micrometer")
# Corners in µm are rounded; a field that reaches this far into a tile in pixels does not cover it.
_ROUNDED = 0.5

Box = tuple[float, float, float, float]


def covered_by(
    tables: Path, pixel_um: tuple[float, float], boxes: Iterable[tuple[int, int, int, int]]
) -> bool | None:
    """Whether any box (first row and column, last ones excluded) overlaps a field of the mosaic.

    None where there is no table of fields, or none that can be read.
    """
    fields = _fields(tables / TABLE, pixel_um)
    if not fields:
        return None
    return any(_overlap(box, field) for box in boxes for field in fields)


def _overlap(one: tuple[int, int, int, int], other: Box) -> bool:
    return all(
        min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis]) > _ROUNDED
        for axis in (0, 1)
    )


def _fields(table: Path, pixel_um: tuple[float, float]) -> list[Box]:
    columns = _columns(table)
    if not set(_COLUMNS) <= columns.keys():
        return []
    boxes = []
    for x, y, width, height in zip(*(columns[c] for c in _COLUMNS), strict=True):
        if not all(math.isfinite(v) for v in (x, y, width, height)):
            return []
        boxes.append(
            (
                y / pixel_um[1],
                x / pixel_um[0],
                (y + height) / pixel_um[1],
                (x + width) / pixel_um[0],
            )
        )
    return boxes


def _columns(table: Path) -> Mapping[str, list[float]]:
    """Columns of numbers of a table that is stored as CSV, or as AnnData with one row per field."""
    import zarr

    if not table.is_dir():
        return {}
    if (table / "table.csv").is_file():
        text = (table / "table.csv").read_bytes().decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return {c: [float(row[c]) for row in rows] for c in _COLUMNS if rows and c in rows[0]}
    group: Any = zarr.open_group(zarr_store(table), mode="r")
    if "X" not in group or "var" not in group:
        return {}
    index = group["var"].attrs.get("_index", "_index")
    names = [str(n) for n in group["var"][index][...].tolist()]
    values = group["X"][...]
    return {name: [float(v) for v in values[:, n]] for n, name in enumerate(names)}
