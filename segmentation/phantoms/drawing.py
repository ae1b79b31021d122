"""Strokes and shapes that the phantoms are drawn with: OpenCV at a sixteenth of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Image, Labels

SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
Points = NDArray[np.float64]


def draw_polygon(canvas: Image | Labels, points: Points, value: float) -> None:
    """Fill a (n, 2) y, x polygon with a value (overwrites)."""
    fixed = np.round(points[:, ::-1] * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], value, cv2.LINE_8, SHIFT)


def blob(
    rng: np.random.Generator, centre: Points, axes: Points, angle: float, irregularity: float
) -> Points:
    """Outline (64, 2) of an ellipse with random low harmonics.

    Semi-axes in pixels, angle in degrees.
    """
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = np.ones_like(t)
    for order in (2, 3, 4, 5):
        radius += (
            irregularity
            * rng.normal(0, 1.2 / order)
            * np.cos(order * t + rng.uniform(0, 2 * np.pi))
        )
    x, y = axes[0] * np.cos(t) * radius, axes[1] * np.sin(t) * radius
    a = np.deg2rad(angle)
    return np.stack(
        [centre[0] + x * np.sin(a) + y * np.cos(a), centre[1] + x * np.cos(a) - y * np.sin(a)],
        axis=1,
    )


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Image:
    """(Y, X) Gaussian noise of unit variance with a correlation length of `grain` pixels."""
    pitch = max(grain / 2, 1.0)
    small = (int(np.ceil(shape[0] / pitch)) + 6, int(np.ceil(shape[1] / pitch)) + 6)
    coarse = cv2.GaussianBlur(rng.standard_normal(small).astype(np.float32), (0, 0), 1.0)
    fine = cv2.resize(coarse, None, fx=pitch, fy=pitch, interpolation=cv2.INTER_CUBIC)
    fine = fine[int(pitch) :, int(pitch) :][: shape[0], : shape[1]]
    return np.asarray(fine / max(float(fine.std()), 1e-6), np.float32)


def walk(
    rng: np.random.Generator,
    start: Points,
    heading: float,
    length: float,
    step: float,
    wander: float,
) -> Points:
    """Persistent random path (n, 2).

    The curvature itself drifts, so that bends are smooth as those of a growing tip.
    """
    steps = max(2, round(length / step))
    curvature = np.zeros(steps)
    noise = rng.normal(0, 1, steps)
    for i in range(1, steps):
        curvature[i] = 0.85 * curvature[i - 1] + 0.5 * noise[i]
    headings = heading + np.cumsum(wander * curvature) + rng.normal(0, 0.05, steps)
    moves = step * np.stack([np.sin(headings), np.cos(headings)], axis=1)
    return np.vstack([start, start + np.cumsum(moves, axis=0)])


def draw_line(canvas: Image, line: Points, thickness: int, brightness: float) -> None:
    """Add an anti-aliased polyline to the canvas, in a window around it."""
    margin = thickness + 2
    low = np.maximum(np.floor(line.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(line.max(axis=0)).astype(int) + margin, canvas.shape)
    if (high <= low).any():
        return
    window = np.zeros(tuple(high - low), np.uint8)
    points = np.round((line - low)[:, ::-1] * (1 << SHIFT)).astype(np.int32)
    cv2.polylines(window, [points], False, 255, thickness, cv2.LINE_AA, SHIFT)
    canvas[low[0] : high[0], low[1] : high[1]] += window.astype(np.float32) * (brightness / 255)


def add_spot(canvas: Image, centre: Points, sigma: float, height: float) -> None:
    """Add a Gaussian spot of `sigma` pixels."""
    reach = int(np.ceil(4 * sigma))
    y, x = (int(v) for v in centre)
    ys = np.arange(max(0, y - reach), min(canvas.shape[0], y + reach + 1))
    xs = np.arange(max(0, x - reach), min(canvas.shape[1], x + reach + 1))
    if not (ys.size and xs.size):
        return
    gy = np.exp(-((ys - centre[0]) ** 2) / (2 * sigma**2))
    gx = np.exp(-((xs - centre[1]) ** 2) / (2 * sigma**2))
    canvas[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] += (height * gy[:, None] * gx[None, :]).astype(
        np.float32
    )
