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
from imaging_service.web.report import LIGHT, OUTLINES, outlines

TILE = 512
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
    done = [w for w, how in run.record["wells"].items() if how["status"] == "done"]
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
    image = np.zeros((height, width, 3), np.float32)
    for channel in channels:
        plane = np.asarray(array[(*lead, channel, slice(y, y + TILE), slice(x, x + TILE))])
        low, high = limits[channel]
        light = np.clip((plane.astype(np.float32) - low) / (high - low), 0, 1)
        role = roles[channel]
        colour = LIGHT.get(role, _OTHER_LIGHT) if role else _OTHER_LIGHT
        # One channel alone is grey: the eye sees more in it.
        image += light[..., None] * np.array((1, 1, 1) if len(channels) == 1 else colour)
    return _png((np.clip(image, 0, 1) * 255).astype(np.uint8))


def outline_tile(levels: Levels, compartment: str, place: tuple[int, int, int]) -> bytes:
    """One tile of a compartment's outlines, transparent between them."""
    level, row, column = place
    if not 0 <= level < len(levels):
        raise NotFound(f"the field has no level {level}")
    y, x = row * TILE, column * TILE
    part = levels[level][y : y + TILE, x : x + TILE]
    if not part.size or min(row, column) < 0:
        raise NotFound(f"the field has no tile {row}, {column} at level {level}")
    image = np.zeros((*part.shape, 4), np.uint8)
    image[part] = (*OUTLINES.get(compartment, (255, 255, 255)), 255)
    return _png(image)


def outline_levels(run: LocalRun, well: str, field: int, frame: int) -> dict[str, Levels]:
    """Compartment ► outlines of the newest labels, at every level of the field's pixels."""
    count = len(run.read_pixels(well, field).levels)
    version = run.label_version(well, field)
    return _outline_levels(run, run.root, well, field, frame, version, count)


@lru_cache(maxsize=6)
def _outline_levels(
    run: LocalRun, root: Path, well: str, field: int, frame: int, version: int, count: int
) -> dict[str, Levels]:
    del root, version  # parts of the key: a correction makes new labels
    labels = run.read_field(well, field, frame).labels
    return {name: _halved(outlines(np.asarray(image)), count) for name, image in labels.items()}


def _halved(edge: NDArray[np.bool_], count: int) -> Levels:
    """Maxima of 2 × 2, so that a line of one pixel stays a line."""
    levels = [edge]
    for _ in range(count - 1):
        height, width = levels[-1].shape
        even = np.pad(levels[-1], ((0, height % 2), (0, width % 2)))
        levels.append(even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).max(axis=(1, 3)))
    return tuple(levels)


def _png(image: NDArray[np.uint8]) -> bytes:
    # Little compression: a tile that is read once is worth no more of the processor's time.
    return bytes(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
