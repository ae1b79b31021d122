"""How much brighter a line is than what lies beside it, against how bright it is at all.

A neurite stands on its background: a white top-hat (Meyer 1979) with a disc wider than any neurite
leaves its light and takes everything broad away. The edge, the folds and the tips of a spread cell
stand on the cell, so that little of their light is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Image, Labels, Mask
from segmentation.filters.labels import nearest
from segmentation.filters.ridges import remove_short

# Half the width of the disc: wider than the thickest neurite (2.5 µm), narrower than a soma.
_RADIUS_UM = 2.5
# What the read-out's sensitivity to the floor is told by.
OTHER_FLOORS = {
    "length_ratio_floor_0": 0.0,
    "length_ratio_floor_30": 0.3,
    "length_ratio_floor_70": 0.7,
}
# Skeleton pixels under which a plate has no typical neurite.
_LEAST_LENGTH_PX = 200
# A lens and a camera make no line narrower than this.
_LEAST_RADIUS_PX = 4
# A line of which this share runs this near to a nucleus is the rim of its cell.
_ALONG, _ALONG_UM = 0.5, 2.5
# Lines that are typically shorter are edges, folds and granules of cells: photographs of cells
# without neurites have 15 to 29 µm, traced ones of short processes 38 to 41, drawn neurons 110.
LEAST_EXTENT_UM = 32.0
# Unless they stand alone: this share of the light there is their own. In photographs without
# neurites 0.36 to 0.67 is, of drawn neurites 20 µm long 0.79 to 0.89.
LEAST_OWN_LIGHT = 0.75
# Noise would stand out of every opening.
_SMOOTH_UM = 0.4


def line_contrast(image: Image, pixel_size_um: float) -> Image:
    """White top-hat of a (Y, X) image, in its own grey levels, ≥ 0.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation.filters.contrast import line_contrast
    >>> image = np.full((64, 64), 100, np.float32)
    >>> image[30:34] = 300
    >>> contrast = line_contrast(image, 0.5)
    >>> int(contrast[20].max()), int(contrast[32].min()) > 150
    (0, True)
    """
    smooth = cv2.GaussianBlur(image, (0, 0), max(0.6, _SMOOTH_UM / pixel_size_um))
    side = 2 * max(_LEAST_RADIUS_PX, round(_RADIUS_UM / pixel_size_um)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_TOPHAT, disc), np.float32)


@dataclass(frozen=True)
class Stretches:
    """The skeleton of a neurite mask, cut at its junctions.

    `of` (Y, X): number of the stretch that each mask pixel is nearest to, 0 outside the mask.
    `length_px` (n,): skeleton pixels of stretch 1…n. `contrast`, `light` (n,): mean along it of the
    top-hat, and of the light above the background. `rim_share` (n,): share of its skeleton that
    runs along a nucleus.
    """

    of: Labels
    length_px: NDArray[np.int64]
    contrast: NDArray[np.float64]
    light: NDArray[np.float64]
    rim_share: NDArray[np.float64]


def stretches(
    mask: Mask, image: Image, pixel_size_um: float, nuclei: Labels | None = None
) -> Stretches:
    """Cut a neurite mask (Y, X) into stretches and measure them on `image`, background 0."""
    from skimage.morphology import skeletonize

    line = skeletonize(mask).astype(np.uint8)
    neighbours = cv2.filter2D(line, -1, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT)
    junction = (line > 0) & (neighbours > 3)
    parts = line & ~cv2.dilate(junction.astype(np.uint8), np.ones((3, 3), np.uint8))
    # What is nothing but junction is a stretch as well.
    lone = (line > 0) & (parts == 0)
    count, numbered = cv2.connectedComponents(parts, connectivity=8)
    of = np.zeros(mask.shape, np.int32)
    if not line.any():
        empty = np.zeros(0)
        return Stretches(of, np.zeros(0, np.int64), empty, empty, empty)
    if count == 1:
        count, numbered = cv2.connectedComponents(lone.astype(np.uint8), connectivity=8)
    _, owner = nearest(np.asarray(numbered, np.int32))
    of[mask] = owner[mask]
    places = np.flatnonzero(numbered)
    number = numbered.ravel()[places]
    length = np.bincount(number, minlength=count)[1:]
    near = np.zeros(mask.shape, bool)
    if nuclei is not None and nuclei.any():
        away = cv2.distanceTransform((nuclei == 0).astype(np.uint8), cv2.DIST_L2, 5)
        near = away <= _ALONG_UM / pixel_size_um
    contrast, light, rim_share = (
        np.bincount(number, plane.ravel()[places], count)[1:] / length
        for plane in (line_contrast(image, pixel_size_um), image, near)
    )
    return Stretches(of, length, contrast, light, rim_share)


def typical_contrast(pieces: Sequence[Stretches]) -> float | None:
    """The plate's median contrast over the length of its neurites, in grey levels.

    None where there is too little of them for a median to mean anything.
    """
    if sum(int(s.length_px.sum()) for s in pieces) < _LEAST_LENGTH_PX:
        return None
    contrast = np.concatenate([s.contrast for s in pieces])
    length = np.concatenate([s.length_px for s in pieces])
    return max(_weighted_median(contrast, length), 1e-6)


def typical_extent(masks: Sequence[Mask], pixel_size_um: float) -> float | None:
    """Median extent (µm) over the area of a plate's neurites: the diagonals of connected pieces.

    None where there is too little of them for a median to mean anything.
    """
    extent, area = [np.zeros(0)], [np.zeros(0)]
    for mask in masks:
        stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2][1:]
        width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
        extent.append(np.hypot(width, height) * pixel_size_um)
        area.append(stats[:, cv2.CC_STAT_AREA])
    pooled = np.concatenate(area)
    if pooled.sum() < _LEAST_LENGTH_PX:
        return None
    return _weighted_median(np.concatenate(extent), pooled)


def typical_own_light(pieces: Sequence[Stretches], least: float) -> float | None:
    """Median over the length of a plate's neurites of the share of light that is their own.

    Of stretches with a contrast of `least` or more, in grey levels. None where there are none.
    """
    contrast, light, length = (
        np.concatenate([np.zeros(0), *(getattr(s, name)[s.contrast >= least] for s in pieces)])
        for name in ("contrast", "light", "length_px")
    )
    if not length.size:
        return None
    return max(_weighted_median(contrast / np.maximum(light, 1e-6), length), 1e-6)


def _weighted_median(values: NDArray[np.floating], weights: NDArray[np.number]) -> float:
    order = np.argsort(values, kind="stable")
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(values[order[half]])


def standing_out(
    pieces: Stretches, typical: float | None, floor: float, light: float = 0.0
) -> Mask:
    """The neurite mask (Y, X) without stretches that a tracer would not draw.

    Parameters
    ----------
    typical
        Contrast of the plate's neurites, as `typical_contrast` gives it; None drops nothing for it.
    floor
        Least contrast as a share of `typical`.
    light
        Least contrast as a share of a stretch's own light.
    """
    least = 0.0 if typical is None else floor * typical
    keep = (pieces.contrast >= least) & (pieces.contrast >= light * pieces.light)
    keep &= pieces.rim_share < _ALONG
    return np.asarray(np.concatenate([[False], keep])[pieces.of], bool)


def kept_length(pieces: Stretches, typical: float | None, floor: float) -> float:
    """Skeleton pixels in stretches with at least `floor` of the typical contrast."""
    if typical is None:
        return float(pieces.length_px.sum())
    return float(pieces.length_px[pieces.contrast >= floor * typical].sum())


def drawn_neurites(
    mask: Mask,
    image: Image,
    pixel_size_um: float,
    somas: Labels | None,
    *,
    typical: float | None,
    floor: float,
    light: float = 0.0,
    nuclei: Labels | None = None,
) -> tuple[Labels, dict[str, float]]:
    """What a tracer would draw of a candidate mask (Y, X), 0/1 int32, and how sure that is.

    `image` is the neurite channel with background 0; the other numbers are those of
    `standing_out`. The figures give the length that other floors would keep, relative to this one.
    """
    pieces = stretches(mask, image, pixel_size_um, nuclei)
    kept = standing_out(pieces, typical, floor, light)
    here = kept_length(pieces, typical, floor)
    figures = {
        name: kept_length(pieces, typical, other) / here
        for name, other in OTHER_FLOORS.items()
        if here > 0
    }
    return remove_short(kept, pixel_size_um, somas).astype(np.int32), figures
