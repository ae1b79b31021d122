"""Which part of a field counts for it where fields of a well overlap.

Strategy. A pixel that several fields show belongs to the one whose centre is nearest, of equally
near ones to the one with the lowest number: the rule prefers no side, and every place of the well
belongs to exactly one field. Centres are rounded to whole pixels first, so that all distances are
whole numbers and two fields never decide a tie differently. A cell belongs to the field that owns
the pixel of its nucleus's centroid. Cells that the edge of one field cuts lie whole in the field
that owns them, where the overlap is wider than a cell.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from segmentation.field import Mask

# Fields that touch may seem to overlap by this share of a side: stages are told to a tenth of a µm.
TOUCHES = 0.005
# Structures of this size are compared: not the pixel noise, and not the lamp's light.
_FINE_UM, _COARSE_UM = 1.5, 15.0
# The stage is trusted to this distance when fields are compared.
_STAGE_UM = 5.0
# Two pictures of the same cells correlate by at least the first (phantoms: 0.99), and by the second
# more than pictures of different ones (phantoms: 0.24 at most; 0.57 with one cell in the overlap).
_SAME, _CLEARLY = 0.7, 0.4

# Centre of a field in pixels, (row, column).
Centre = tuple[int, int]


def overlap_share(first: Centre, second: Centre, shape: tuple[int, int]) -> float:
    """Share of a field that another one of its shape shows too; 0 for fields that only touch."""
    common = [1 - abs(a - b) / n for a, b, n in zip(first, second, shape, strict=True)]
    return common[0] * common[1] if min(common) > TOUCHES else 0.0


def owned_pixels(shape: tuple[int, int], centres: Mapping[int, Centre], number: int) -> Mask | None:
    """Pixels (Y, X) of field `number` that count for it; None for all.

    Parameters
    ----------
    shape
        (Y, X) of every field, in pixels.
    centres
        Field ► its centre (row, column) in pixels, rows downwards; fields without a known place
        are left out, and own all they show.
    number
        The field that is asked for.

    Examples
    --------
    >>> from phenotypes.cells.ownership import owned_pixels
    >>> left = owned_pixels((2, 6), {1: (0, 0), 2: (0, 3)}, 1)
    >>> left.sum(axis=1).tolist()
    [5, 5]
    """
    if number not in centres:
        return None
    owned: Mask | None = None
    height, width = shape
    row, column = np.arange(height)[:, None], np.arange(width)[None, :]
    for other, centre in centres.items():
        if other == number or not overlap_share(centres[number], centre, shape):
            continue
        down, right = (b - a for a, b in zip(centres[number], centre, strict=True))
        shown = (row >= down) & (row < height + down) & (column >= right) & (column < width + right)
        # Squared distance to this centre less that to the other one, in pixels from the corner.
        farther = down * (2 * row + 1 - height - down) + right * (2 * column + 1 - width - right)
        lost = shown & ((farther > 0) | ((farther == 0) & (other < number)))
        owned = ~lost if owned is None else owned & ~lost
    return owned


def owned_cells(places: pl.DataFrame, owned: Mask, pixel_size_um: float) -> NDArray[np.bool_]:
    """Whether each cell (columns y_um, x_um of its centroid) lies on a pixel that is owned."""
    centre_px = [
        np.clip((places[name].to_numpy() / pixel_size_um).astype(int), 0, n - 1)
        for name, n in zip(("y_um", "x_um"), owned.shape, strict=True)
    ]
    return np.asarray(owned[centre_px[0], centre_px[1]], bool)


def other_way(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    offset: Centre,
    pixel_size_um: float,
) -> Centre | None:
    """The offset that the pixels of two overlapping fields show, where it is not the stated one.

    Stages whose axes point the other way, or are exchanged, put the fields at another of eight
    places. None unless the pixels (Y, X) clearly fit another place and do not fit the stated one:
    fields without cells in the overlap prove nothing.

    Parameters
    ----------
    first, second
        One channel of both fields.
    offset
        (rows, columns) from the first field's centre to the second one's, rows downwards.
    pixel_size_um
        Edge of a pixel in µm.
    """
    one, two = _structure(first, pixel_size_um), _structure(second, pixel_size_um)
    down, right = offset
    stated = _likeness(one, two, offset, pixel_size_um)
    if stated > 1 - _CLEARLY:
        return None
    places = [
        (y * a, x * b) for y, x in ((down, right), (right, down)) for a in (1, -1) for b in (1, -1)
    ]
    others = [place for place in dict.fromkeys(places) if place != offset]
    likeness = {place: _likeness(one, two, place, pixel_size_um) for place in others}
    best = max(others, key=lambda place: likeness[place], default=None)
    if best is None or likeness[best] < max(_SAME, stated + _CLEARLY):
        return None
    return best


def _structure(image: NDArray[np.generic], px: float) -> NDArray[np.float32]:
    """An image without its noise and without its lamp's light."""
    pixels = image.astype(np.float32)
    fine = cv2.GaussianBlur(pixels, (0, 0), max(_FINE_UM / px, 0.5))
    return np.asarray(fine - cv2.GaussianBlur(pixels, (0, 0), _COARSE_UM / px), np.float32)


def _likeness(
    first: NDArray[np.float32], second: NDArray[np.float32], offset: Centre, px: float
) -> float:
    """Largest correlation of what both fields show, near the offset; 0 where that is too little."""
    height, width = first.shape
    down, right = offset
    top, left = max(0, down), max(0, right)
    bottom, end = min(height, height + down), min(width, width + right)
    slack = round(_STAGE_UM / px)
    if bottom - top <= 4 * slack or end - left <= 4 * slack:
        return 0.0
    seen = second[top - down : bottom - down, left - right : end - right]
    inner = first[top + slack : bottom - slack, left + slack : end - slack]
    if not (inner.std() > 0 and seen.std() > 0):
        return 0.0
    return float(cv2.matchTemplate(seen, inner, cv2.TM_CCOEFF_NORMED).max())
