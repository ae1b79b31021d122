"""A channel's plate as one picture: each well's image in its place."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from plate_maps import PlateFormat, Well
from plate_maps.wells import row_letters

# Pixels of the longer side of a picture without its margin, and the largest side of a well in it.
_WIDTH, _LARGEST = 1632, 96
_MARGIN = 22
_LOW, _HIGH = 1.0, 99.5


def well_side(fmt: PlateFormat) -> int:
    """Side of a well in the picture, in pixels."""
    return max(16, min(_LARGEST, _WIDTH // max(fmt.rows, fmt.columns)))


def plate_picture(fmt: PlateFormat, wells: Mapping[Well, NDArray[np.float32]]) -> bytes:
    """PNG of the plate; `wells` are small images of one channel.

    All have one contrast, so that a brighter well is brighter. A well without an image is hatched.
    """
    side = well_side(fmt)
    low, high = _window(wells)
    canvas = np.full((_MARGIN + fmt.rows * side, _MARGIN + fmt.columns * side), 40, np.uint8)
    hatched = ((np.add.outer(np.arange(side), np.arange(side)) % 8 < 2) * 60 + 30).astype(np.uint8)
    for row in range(1, fmt.rows + 1):
        for column in range(1, fmt.columns + 1):
            y, x = _MARGIN + (row - 1) * side, _MARGIN + (column - 1) * side
            image = wells.get(Well(row, column))
            cell = hatched if image is None else _grey(image, low, high, side)
            canvas[y : y + side - 1, x : x + side - 1] = cell[: side - 1, : side - 1]
    step = 1 if side >= 24 else 4
    for column in range(1, fmt.columns + 1, step):
        _write(canvas, str(column), _MARGIN + (column - 1) * side + 2, 15)
    for row in range(1, fmt.rows + 1, step):
        _write(canvas, row_letters(row), 2, _MARGIN + (row - 1) * side + min(side - 3, 16))
    return bytes(cv2.imencode(".png", canvas)[1].tobytes())


def small(image: NDArray[np.generic], side: int) -> NDArray[np.float32]:
    """An image of at most `side` pixels in each direction, by area mean."""
    zoom = min(1.0, side / max(image.shape))
    size = tuple(max(1, round(n * zoom)) for n in reversed(image.shape))
    resized = cv2.resize(np.asarray(image, np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def _window(wells: Mapping[Well, NDArray[np.float32]]) -> tuple[float, float]:
    pixels = np.concatenate([w.ravel() for w in wells.values()] or [np.zeros(1, np.float32)])
    pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(pixels, [_LOW, _HIGH]))
    return low, max(high, low + 1e-6)


def _grey(image: NDArray[np.float32], low: float, high: float, side: int) -> NDArray[np.uint8]:
    cell = np.zeros((side, side), np.uint8)
    grey = np.nan_to_num(np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    cell[: grey.shape[0], : grey.shape[1]] = grey[:side, :side]
    return cell


def _write(canvas: NDArray[np.uint8], text: str, x: int, y: int) -> None:
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
