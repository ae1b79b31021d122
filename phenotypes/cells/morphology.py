"""Shape of labelled objects, all labels at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segmentation.field import Labels, Pixels

Real = NDArray[np.float64]


def place(pixels: Pixels, px: float) -> dict[str, NDArray[np.generic]]:
    """Centre of mass of labels 1…n, and whether the field's edge cuts them.

    In µm from the field's upper left corner.
    """
    y, x = np.divmod(pixels.index, pixels.shape[1])
    safe = np.maximum(pixels.count[1:], 1)
    border = np.zeros(pixels.n + 1, bool)
    border[
        pixels.of[(y == 0) | (x == 0) | (y == pixels.shape[0] - 1) | (x == pixels.shape[1] - 1)]
    ] = True
    return {
        "y_um": (np.bincount(pixels.of, y, pixels.n + 1)[1:] / safe + 0.5) * px,
        "x_um": (np.bincount(pixels.of, x, pixels.n + 1)[1:] / safe + 0.5) * px,
        "touches_border": border[1:],
    }


def shapes(nuclei: Labels, pixels: Pixels, px: float) -> dict[str, NDArray[np.generic]]:
    """Area, equivalent ellipse, perimeter and form factor of labels 1…n."""
    n = pixels.n + 1
    area = pixels.count[1:].astype(float)
    safe = np.maximum(area, 1)
    y, x = (v.astype(float) for v in np.divmod(pixels.index, pixels.shape[1]))

    def total(weights: Real) -> Real:
        return np.asarray(np.bincount(pixels.of, weights, n)[1:], float)

    cy, cx = total(y) / safe, total(x) / safe
    dy, dx = y - cy[pixels.of - 1], x - cx[pixels.of - 1]
    # 1/12: the second moment of a pixel's own square (Haralick & Shapiro 1992).
    vyy, vxx, vxy = (
        total(dy * dy) / safe + 1 / 12,
        total(dx * dx) / safe + 1 / 12,
        total(dy * dx) / safe,
    )
    mean, half = (vyy + vxx) / 2, np.hypot((vyy - vxx) / 2, vxy)
    major, minor = 4 * np.sqrt(mean + half), 4 * np.sqrt(np.maximum(mean - half, 0))
    perimeter = perimeters(nuclei, pixels)
    return {
        "nucleus_area_um2": area * px**2,
        "nucleus_major_um": major * px,
        "nucleus_minor_um": minor * px,
        "nucleus_eccentricity": np.sqrt(1 - np.minimum(minor / np.maximum(major, 1e-9), 1) ** 2),
        "nucleus_perimeter_um": perimeter * px,
        "nucleus_form_factor": 4 * np.pi * area / np.maximum(perimeter, 1e-9) ** 2,
    }


def perimeters(labels: Labels, pixels: Pixels) -> Real:
    """Perimeter in pixels by the Cauchy–Crofton formula over four directions.

    π/2 × the mean over the directions of boundary crossings × line spacing.
    """
    total = np.zeros(pixels.n + 1)
    for diagonal, neighbour in pixels.neighbours(labels):
        spacing = np.sqrt(0.5) if diagonal else 1.0
        total += np.bincount(pixels.of[neighbour != pixels.of], minlength=pixels.n + 1) * spacing
    return np.asarray(total[1:] * np.pi / 8)
