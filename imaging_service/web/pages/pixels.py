"""Tiles of a field as PNG: channels as coloured light, and outlines of labels to lay over them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import NotFound
from imaging_service.review.local import LocalRun
from imaging_service.review.log import ENGINE_VERSION
from imaging_service.web.light import LIGHT, OUTLINES, outlines
from phenotypes.columns.statuses import WellStatus

# That of the stored chunks: a chunk is unpacked for one tile, and no other.
TILE = 1024
# Wells that the plate's contrast is read from, spread over the plate.
_SPREAD = 24
_OTHER_LIGHT = (0.7, 0.7, 0.7)

Limits = tuple[tuple[float, float], ...]
Levels = tuple[NDArray[np.bool_], ...]


def plate_contrast(run: LocalRun) -> Limits:
    """Grey levels per channel that are black and full light, the same for every well of the plate.

    Wells over the plate are asked for their own range: the median of their lower ends, and the
    90th percentile of their upper ends, so that one well of debris does not darken the others.
    Raises NotFound where no well of the run is stored.
    """
    done = [w for w, how in run.record["wells"].items() if how["status"] == WellStatus.DONE]
    step = max(1, len(done) // _SPREAD)
    ranges = np.array([run.read_pixels(w, 1).contrast for w in done[::step][:_SPREAD]])
    if not ranges.size:
        raise NotFound("no well of this run was analysed, so there are no pixels to show")
    low = np.median(ranges[..., 0], axis=0)
    high = np.percentile(ranges[..., 1], 90, axis=0)
    return tuple((float(a), float(max(b, a + 1))) for a, b in zip(low, high, strict=True))


def pixel_tile(
    levels: Sequence[Any],
    roles: Sequence[str | None],
    channels: Sequence[int],
    limits: Limits,
    place: tuple[int, int, int],
    frame: int = 1,
) -> bytes:
    """One tile of a field as PNG.

    Parameters
    ----------
    levels
        Arrays (C, Y, X), or (T, C, Y, X), each half as large as the one before.
    channels
        Numbers of the channels to show, from 0; each in the colour of its role.
    place
        Level, row and column of the tile, from 0.

    Raises NotFound for a place outside of the field.
    """
    level, row, column = place
    if not 0 <= level < len(levels):
        raise NotFound(f"the field has no level {level}")
    array = levels[level]
    y, x = row * TILE, column * TILE
    if y >= array.shape[-2] or x >= array.shape[-1] or min(row, column) < 0:
        raise NotFound(f"the field has no tile {row}, {column} at level {level}")
    lead = (frame - 1,) if array.ndim == 4 else ()
    height, width = min(TILE, array.shape[-2] - y), min(TILE, array.shape[-1] - x)
    # Plane by plane: one array of colours would be walked through in the wrong order.
    image = [np.zeros((height, width), np.float32) for _ in range(3)]
    for channel in channels:
        plane = np.asarray(array[(*lead, channel, slice(y, y + TILE), slice(x, x + TILE))])
        low, high = limits[channel]
        light = cv2.min(cv2.max((plane.astype(np.float32) - low) / (high - low), 0.0), 1.0)
        role = roles[channel]
        colour = LIGHT.get(role, _OTHER_LIGHT) if role else _OTHER_LIGHT
        # One channel alone is grey: the eye sees more in it.
        for part, share in zip(image, (1, 1, 1) if len(channels) == 1 else colour, strict=True):
            cv2.scaleAdd(light, share, part, part)
    return _png(cv2.merge([cv2.convertScaleAbs(cv2.min(part, 1.0), alpha=255) for part in image]))


def outline_tile(
    run: LocalRun, well: str, field: int, compartment: str, place: tuple[int, int, int], frame: int
) -> bytes:
    """One tile of the outlines of a field's newest labels as PNG, transparent between them.

    Raises NotFound for a compartment that the run has no labels of, or a place outside the field.
    """
    levels = run.label_levels(well, field)
    if compartment not in levels:
        raise NotFound(f"the run has no labels of {compartment}; it has {', '.join(levels)}")
    level, row, column = place
    y, x = row * TILE, column * TILE
    shape = levels[compartment][level].shape[-2:] if 0 <= level < len(levels[compartment]) else ()
    if not shape or y >= shape[0] or x >= shape[1] or min(row, column) < 0:
        raise NotFound(f"the field has no tile {row}, {column} at level {level}")
    version = run.label_version(well, field)
    if version == ENGINE_VERSION:
        edge = _edge_of_window(levels[compartment][level], y, x, frame)
    else:
        count = len(levels[compartment])
        corrected = _corrected_levels(
            run, run.root, well, field, compartment, frame, version, count
        )
        edge = corrected[level][y : y + TILE, x : x + TILE]
    image = np.zeros((*edge.shape, 4), np.uint8)
    image[edge] = (*OUTLINES.get(compartment, (255, 255, 255)), 255)
    return _png(image)


def _edge_of_window(array: Any, y: int, x: int, frame: int) -> NDArray[np.bool_]:
    """Outlines within a tile of stored labels; only this window of them is read."""
    lead = (frame - 1,) if array.ndim == 3 else ()
    # A pixel beyond the tile's edge tells whether an object ends there.
    top, left = max(0, y - 1), max(0, x - 1)
    window = (slice(top, y + TILE + 1), slice(left, x + TILE + 1))
    edge = outlines(np.asarray(array[(*lead, *window)]))
    return edge[y - top : y - top + TILE, x - left : x - left + TILE]


@lru_cache(maxsize=12)
def _corrected_levels(
    run: LocalRun,
    root: Path,
    well: str,
    field: int,
    compartment: str,
    frame: int,
    version: int,
    count: int,
) -> Levels:
    """Outlines of a corrected compartment at every level: corrections are stored in one only."""
    del root, version  # parts of the key: a correction makes new labels
    labels = run.read_field(well, field, frame).labels[compartment]
    return _halved(outlines(np.asarray(labels)), count)


def _halved(edge: NDArray[np.bool_], count: int) -> Levels:
    """Maxima of 2 × 2, so that a line of one pixel stays a line."""
    levels = [edge]
    for _ in range(count - 1):
        height, width = levels[-1].shape
        even = np.pad(levels[-1], ((0, height % 2), (0, width % 2)))
        levels.append(even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).max(axis=(1, 3)))
    return tuple(levels)


def _png(image: Any) -> bytes:
    # Little compression: a tile that is read once is worth no more of the processor's time.
    return bytes(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
