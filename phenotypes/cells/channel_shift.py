"""How far a channel lies beside the cells' outlines: another filter cube, or a stage that moved.

Outlines come from the DNA and the neurite stain. A channel that lies elsewhere shows the nucleus's
light as cytoplasm's, and the other way round. The model of `partial_volume` says what a cell's
pixels show if the channel lies where the outlines are; the shift is the movement of the channel
after which that model leaves the least of the light unexplained, over all cells of a field together
(least squares by Gauss and Newton, from coarse to fine). It needs no landmark: any difference
between nucleus, cytoplasm and outside will do, and a channel without any has a shift that is not
known.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from phenotypes.cells.partial_volume import Mixture, Real
from segmentation.field import Image

# Nearer than this a channel stays where it is: a ratio of nucleus to cytoplasm moves by less than
# 0.05 log2, and every optic parts its colours by some tenths of a micrometre.
LEAST_UM = 0.5
# Further away a cell's light would be taken for its neighbour's.
MOST_UM = 3.0
# Blur under which the steps are taken, in µm: the first catches a shift of a few µm.
_BLURS_UM = (2.0, 1.0, 0.5, 0.5, 0.5, 0.5)
_SETTLED_PX = 0.03
# Less of the light than this is explained where the steps end beside the cells, or where a channel
# shows no cells.
_LEAST_EXPLAINED = 0.2
_FEWEST_CELLS = 5
_SURE = 3.0
# Cells in so many pixels in the middle of a field tell its shift to a hundredth of a micrometre.
_SIDE = 1024
_WORST_CONDITION = 1e8


@dataclass(frozen=True)
class Shift:
    """Where a channel lies against the outlines: y, x in µm, and the standard error of either."""

    y_um: float
    x_um: float
    error_um: float

    @property
    def distance_um(self) -> float:
        """How far it lies from the outlines."""
        return float(np.hypot(self.y_um, self.x_um))

    @property
    def sure(self) -> bool:
        """Whether it lies further away than LEAST_UM by more than three standard errors."""
        return self.distance_um - _SURE * self.error_um > LEAST_UM

    def taken_back(self, image: Image, pixel_size_um: float) -> Image:
        """The channel (Y, X) where the outlines are."""
        return _moved(image, np.array([self.y_um, self.x_um]) / pixel_size_um)


def channel_shift(cells: Mixture, image: Image, pixel_size_um: float) -> Shift | None:
    """The shift of a channel (Y, X), background-subtracted; None where it cannot be told.

    The standard error is over cells (each is one observation): how far they agree.

    Examples
    --------
    >>> from phenotypes.cells.channel_shift import Shift
    >>> Shift(0.6, 0.8, 0.1).sure, Shift(0.6, 0.8, 0.2).sure
    (True, False)
    """
    cells, image = _middle(cells, image)
    if np.count_nonzero(np.bincount(cells.of)) < _FEWEST_CELLS:
        return None
    moved = np.zeros(2)
    cover, explained = np.eye(2), 0.0
    for blur in _BLURS_UM:
        smooth = cv2.GaussianBlur(image, (0, 0), max(0.5, blur / pixel_size_um))
        step, cover, explained = _step(cells, _moved(smooth, moved))
        moved = moved - step
        if not np.isfinite(moved).all():
            return None
        if blur == _BLURS_UM[-1] and np.abs(step).max() < _SETTLED_PX:
            break
    if explained < _LEAST_EXPLAINED:
        return None
    y, x = moved * pixel_size_um
    return Shift(float(y), float(x), float(np.sqrt(np.trace(cover) / 2)) * pixel_size_um)


def _middle(cells: Mixture, image: Image) -> tuple[Mixture, Image]:
    corner = [max(0, (n - _SIDE) // 2) for n in image.shape]
    if not any(corner):
        return cells, image
    part = image[corner[0] : corner[0] + _SIDE, corner[1] : corner[1] + _SIDE]
    y, x = (
        place - first
        for place, first in zip(np.unravel_index(cells.index, image.shape), corner, strict=True)
    )
    kept = (y >= 0) & (y < part.shape[0]) & (x >= 0) & (x < part.shape[1])
    place = np.ravel_multi_index((y[kept], x[kept]), part.shape)
    inside = Mixture(place, cells.of[kept], cells.nucleus[kept], cells.cytoplasm[kept], cells.thin)
    return inside, np.ascontiguousarray(part)


def _moved(image: Image, by: Real) -> Image:
    """The image whose pixel (y, x) is that of `image` at (y + by, x + by)."""
    affine = np.array([[1, 0, by[1]], [0, 1, by[0]]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, affine, image.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)
    )


def _step(cells: Mixture, image: Image) -> tuple[Real, Real, float]:
    """y, x by which the fit improves most, its covariance over cells, and how good the fit was.

    The latter is the share of the light's variance within cells that two levels per cell explain.
    """
    gradient = [cv2.Sobel(image, cv2.CV_32F, *o, ksize=3, scale=1 / 8) for o in ((0, 1), (1, 0))]
    light, *slopes_of = (p.ravel()[cells.index].astype(np.float64) for p in (image, *gradient))
    left = cells.unexplained(light)
    slopes = np.stack([cells.unexplained(slope) for slope in slopes_of])
    count = np.maximum(np.bincount(cells.of), 1)
    spread = np.bincount(cells.of, left**2) / count
    around = light - (np.bincount(cells.of, light) / count)[cells.of]
    explained = 1 - float((left**2).sum() / max(float((around**2).sum()), 1e-12))
    # Bright cells would decide alone.
    weight = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)[cells.of]
    normal = (slopes * weight) @ slopes.T
    if not np.linalg.cond(normal) < _WORST_CONDITION:
        return np.full(2, np.nan), np.full((2, 2), np.nan), explained
    inverse = np.linalg.inv(normal)
    step = inverse @ (slopes * weight) @ left
    after = left - step @ slopes
    scores = np.stack([np.bincount(cells.of, weight * slope * after) for slope in slopes])
    return step, inverse @ (scores @ scores.T) @ inverse, explained
