"""Strokes of a tracer: lines that become neurites, and neurites that are taken out.

Arrays in, painted arrays out, as in `edits`; nothing is written here. Points are (y, x) in pixels
of the loaded labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from imaging_service.review.field_image import FieldImage
from imaging_service.review.neurites import NEURITES

Mask = NDArray[np.bool_]
Point = tuple[float, float]
Painted = dict[str, NDArray[np.integer[Any]]]

# A stroke is this wide, and at least so many pixels: of a narrower line thinning would take the
# corners off, of a wider one two neurites side by side would become one
# (`benchmarks/masks/tracing.py`).
STROKE_UM, STROKE_LEAST_PX = 1.5, 3.0
# The eraser is wide enough to hit a neurite, and narrow enough to spare the next.
ERASER_UM = 5.0
# Twigs of the skeleton shorter than this are made by thinning; they do not divide a neurite.
_TWIG_UM = 5.0
_AROUND = np.ones((3, 3), bool)


def stroke_width_px(pixel_size_um: float) -> float:
    """Width of a stroke in pixels."""
    return max(STROKE_UM / pixel_size_um, STROKE_LEAST_PX)


def line_mask(shape: tuple[int, int], points: Sequence[Point], width_px: float) -> Mask:
    """The pixels (Y, X) nearer than half the width to a line through points; one point is a dot."""
    mask = np.zeros(shape, bool)
    radius = width_px / 2
    ends = np.asarray(points, float).reshape(-1, 2)
    for a, b in zip(ends[: max(len(ends) - 1, 1)], ends[min(1, len(ends) - 1) :], strict=True):
        low = np.maximum(np.floor(np.minimum(a, b) - radius), 0).astype(int)
        high = np.minimum(np.ceil(np.maximum(a, b) + radius) + 1, shape).astype(int)
        if (low >= high).any():
            continue
        y, x = np.mgrid[low[0] : high[0], low[1] : high[1]]
        along = b - a
        square = float(along @ along)
        share = ((y - a[0]) * along[0] + (x - a[1]) * along[1]) / square if square else 0.0
        share = np.clip(share, 0.0, 1.0)
        away = np.hypot(y - a[0] - share * along[0], x - a[1] - share * along[1])
        mask[low[0] : high[0], low[1] : high[1]] |= away <= radius
    return mask


def traced(shown: FieldImage, points: Sequence[Point]) -> Painted:
    """Neurites with a line through points; what lies under somas stays the somas'.

    Raises ValueError for a field without neurites, and for a line that adds nothing.
    """
    neurites = _neurites(shown)
    line = line_mask(_shape(neurites), points, stroke_width_px(shown.pixel_size_um))
    if "somas" in shown.labels:
        line &= shown.labels["somas"] == 0
    if not (line & (neurites == 0)).any():
        raise ValueError(
            "the line adds nothing: it lies on neurites that are there, on somas, or outside of"
            " the loaded labels"
        )
    return {NEURITES: np.where(line, 1, neurites).astype(neurites.dtype)}


def without_branch(shown: FieldImage, point: Point) -> Painted:
    """Neurites without the one at a point, from its tip or crossing to the next.

    Raises ValueError where there is none.
    """
    neurites = _neurites(shown)
    y, x = (round(v) for v in point)
    height, width = neurites.shape
    if not (0 <= y < height and 0 <= x < width) or not neurites[y, x]:
        raise ValueError("there is no neurite under the cursor")
    pieces, _ = ndimage.label(neurites > 0, _AROUND)
    (place,) = ndimage.find_objects((pieces == pieces[y, x]).astype(np.uint8))
    piece = pieces[place] == pieces[y, x]
    gone = _branch(piece, (y - place[0].start, x - place[1].start), _TWIG_UM / shown.pixel_size_um)
    left = neurites.copy()
    left[place][gone] = 0
    return {NEURITES: left}


def _branch(piece: Mask, point: tuple[int, int], twig_px: float) -> Mask:
    """The pixels of a connected mask that belong to the branch at a point."""
    skeleton = skeletonize(piece)
    branches = _branches(_without_twigs(skeleton, twig_px))
    lines = np.argwhere(branches > 0)
    if not len(lines):
        return piece
    number = branches[branches > 0]
    tree = cKDTree(lines)
    target = number[tree.query(point)[1]]
    pixels = np.argwhere(piece)
    mine = number[tree.query(pixels)[1]] == target
    gone = np.zeros_like(piece)
    gone[tuple(pixels[mine].T)] = True
    return gone


def _branches(skeleton: Mask) -> NDArray[np.int32]:
    """The skeleton in pieces between tips and crossings, numbered from 1."""
    return np.asarray(ndimage.label(skeleton & ~_crossings(skeleton), _AROUND)[0], np.int32)


def _crossings(skeleton: Mask) -> Mask:
    around = ndimage.convolve(skeleton.astype(np.uint8), _AROUND.astype(np.uint8), mode="constant")
    # A pixel with three others around it, itself counted.
    return np.asarray(skeleton & (around > 3))


def _without_twigs(skeleton: Mask, twig_px: float) -> Mask:
    """The skeleton without free ends that are short and begin at a crossing."""
    crossings = _crossings(skeleton)
    branches = _branches(skeleton)
    count = int(branches.max(initial=0))
    if not crossings.any() or not count:
        return skeleton
    length = np.bincount(branches.ravel(), minlength=count + 1)
    meets = np.zeros(count + 1, int)
    groups, _ = ndimage.label(ndimage.binary_dilation(crossings, _AROUND), _AROUND)
    touching = np.unique(np.column_stack([branches[groups > 0], groups[groups > 0]]), axis=0)
    np.add.at(meets, touching[:, 0], 1)
    short = (length < twig_px) & (meets == 1)
    short[0] = False
    return np.asarray(skeletonize(skeleton & ~short[branches]))


def _neurites(shown: FieldImage) -> NDArray[np.integer[Any]]:
    if NEURITES not in shown.labels:
        raise ValueError("the run has no neurites, so none can be traced; it has no such channel")
    return shown.labels[NEURITES]


def _shape(image: NDArray[np.generic]) -> tuple[int, int]:
    height, width = image.shape
    return int(height), int(width)
