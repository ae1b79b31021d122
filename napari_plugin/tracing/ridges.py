"""The way along a neurite from one click to the next.

Between two clicks a tracer expects the line that the neurite takes. It is the cheapest path over
the pixels, where a bright ridge of the neurites' width costs little, as in live-wire tracers
(Meijering et al., Cytometry A 58:167, 2004). Only the pixels around both clicks are read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from skimage.graph import route_through_array

Pixels = NDArray[np.generic]
Point = tuple[float, float]

# Widths that a ridge is looked for at: standard deviations of the smoothing.
_SIGMAS_UM = (0.6, 1.0)
_LEAST_SIGMA_PX = 1.0
# A step off every ridge costs this much more than one along the brightest.
DETOUR = 20.0
# Pixels around both clicks that the path may use.
MARGIN_UM = 15.0


def ridge_path(pixels: Pixels, start: Point, end: Point, pixel_size_um: float) -> NDArray[np.int64]:
    """Points (n, 2) from start to end along the brightest ridge of pixels (Y, X)."""
    image = np.asarray(pixels, float)
    ridge = np.max([_ridge(image, s, pixel_size_um) for s in _SIGMAS_UM], axis=0)
    bright = np.percentile(ridge, 99)
    # The square root: a dim neurite beside a bright one is followed as well.
    share = np.sqrt(np.clip(ridge / bright, 0, 1)) if bright > 0 else np.zeros_like(ridge)
    height, width = image.shape
    ends = [
        (int(np.clip(round(y), 0, height - 1)), int(np.clip(round(x), 0, width - 1)))
        for y, x in (start, end)
    ]
    cost = 1.0 / (1.0 / DETOUR + share)
    path, _ = route_through_array(cost, *ends, fully_connected=True, geometric=True)
    return np.asarray(path, np.int64)


def between(pixels: Pixels, start: Point, end: Point, pixel_size_um: float) -> NDArray[np.float64]:
    """`ridge_path` in an image (Y, X) of any size: only the pixels around both ends are read."""
    place = around(pixels.shape, start, end, pixel_size_um)
    corner = np.array([place[0].start, place[1].start])
    inside = [(p[0] - corner[0], p[1] - corner[1]) for p in (start, end)]
    path = ridge_path(np.asarray(pixels[place]), inside[0], inside[1], pixel_size_um)
    return np.asarray(smoothed(path) + corner)


def around(
    shape: tuple[int, ...], start: Point, end: Point, pixel_size_um: float
) -> tuple[slice, slice]:
    """Rows and columns that a path between two points may use."""
    margin = MARGIN_UM / pixel_size_um
    rows, columns = (
        slice(
            max(0, int(min(start[axis], end[axis]) - margin)),
            min(shape[axis], int(max(start[axis], end[axis]) + margin) + 1),
        )
        for axis in (0, 1)
    )
    return rows, columns


def smoothed(path: NDArray[np.int64], sigma_px: float = 2.0) -> NDArray[np.float64]:
    """A path without the corners of the pixels' grid; its ends stay."""
    if len(path) < 3:
        return np.asarray(path, float)
    line = ndimage.gaussian_filter1d(np.asarray(path, float), sigma_px, axis=0, mode="nearest")
    line[0], line[-1] = path[0], path[-1]
    return np.asarray(line)


def _ridge(
    image: NDArray[np.float64], sigma_um: float, pixel_size_um: float
) -> NDArray[np.float64]:
    """How much a pixel lies on a bright line: minus the most negative curvature, at least 0."""
    sigma = max(sigma_um / pixel_size_um, _LEAST_SIGMA_PX)
    hessian = hessian_matrix(image, sigma, mode="nearest", use_gaussian_derivatives=False)
    return np.asarray(np.maximum(-hessian_matrix_eigvals(hessian)[-1], 0.0) * sigma**2)
