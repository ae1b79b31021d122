"""Shape of labelled objects, all labels at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segmentation.field import Labels

Real = NDArray[np.float64]


def place(labels: Labels, area: Real, px: float) -> dict[str, NDArray[np.generic]]:
    """Centre of mass of labels 1…n in µm from the field's upper left corner, and whether the field's edge cuts them."""
    n = len(area) + 1
    y, x = np.nonzero(labels)
    of = labels[y, x]
    safe = np.maximum(area, 1)
    border = np.zeros(n, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        border[edge] = True
    return {
        "y_um": (np.bincount(of, y, n)[1:] / safe + 0.5) * px,
        "x_um": (np.bincount(of, x, n)[1:] / safe + 0.5) * px,
        "touches_border": border[1:],
    }


def shapes(nuclei: Labels, area: Real, px: float) -> dict[str, NDArray[np.generic]]:
    """Area, equivalent ellipse, perimeter and form factor of labels 1…n."""
    n = len(area) + 1
    y, x = np.nonzero(nuclei)
    label = nuclei[y, x]
    safe = np.maximum(area, 1)

    def total(weights: Real) -> Real:
        return np.asarray(np.bincount(label, weights, minlength=n)[1:], float)

    cy, cx = total(y.astype(float)) / safe, total(x.astype(float)) / safe
    dy, dx = y - cy[label - 1], x - cx[label - 1]
    # 1/12: the second moment of a pixel's own square (Haralick & Shapiro 1992).
    vyy, vxx, vxy = total(dy * dy) / safe + 1 / 12, total(dx * dx) / safe + 1 / 12, total(dy * dx) / safe
    mean, half = (vyy + vxx) / 2, np.hypot((vyy - vxx) / 2, vxy)
    major, minor = 4 * np.sqrt(mean + half), 4 * np.sqrt(np.maximum(mean - half, 0))
    perimeter = perimeters(nuclei, n)
    return {
        "nucleus_area_um2": area * px**2,
        "nucleus_major_um": major * px,
        "nucleus_minor_um": minor * px,
        "nucleus_eccentricity": np.sqrt(1 - np.minimum(minor / np.maximum(major, 1e-9), 1) ** 2),
        "nucleus_perimeter_um": perimeter * px,
        "nucleus_form_factor": 4 * np.pi * area / np.maximum(perimeter, 1e-9) ** 2,
    }


def perimeters(labels: Labels, n: int) -> Real:
    """Perimeter in pixels by Cauchy–Crofton: π/2 × the mean over four directions of boundary crossings × line spacing."""
    padded = np.pad(labels, 1)
    total = np.zeros(n)
    for first, second, spacing in (
        (padded[:, :-1], padded[:, 1:], 1.0),
        (padded[:-1], padded[1:], 1.0),
        (padded[:-1, :-1], padded[1:, 1:], np.sqrt(0.5)),
        (padded[1:, :-1], padded[:-1, 1:], np.sqrt(0.5)),
    ):
        differ = first != second
        crossings = np.bincount(first[differ], minlength=n) + np.bincount(second[differ], minlength=n)
        total += crossings[:n] * spacing
    return np.asarray(total[1:] * np.pi / 8)
