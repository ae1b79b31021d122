"""The way along a neurite: on drawn arcs, with noise, beside brighter ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_plugin.tracing.ridges import MARGIN_UM, around, between, ridge_path, smoothed

PIXEL = 0.5


def arc(radius=40.0, level=300.0, noise=10.0, shape=(120, 120), seed=0):
    """A half circle around (100, 60) of a neurite's width, in noise."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.abs(np.hypot(y - 100, x - 60) - radius)
    image = level * np.exp(-0.5 * (away / 1.5) ** 2) * (y < 100)
    return 100 + image + np.random.default_rng(seed).normal(0, noise, shape)


def off(path, radius=40.0):
    return np.abs(np.hypot(path[:, 0] - 100, path[:, 1] - 60) - radius)


@pytest.mark.parametrize("level", [60.0, 300.0, 5000.0])
def test_between_two_clicks_the_line_follows_the_neurite(level):
    path = between(arc(level=level).astype(np.float32), (72, 32), (72, 88), PIXEL)
    assert off(path).max() <= 2.0
    length = np.hypot(*np.diff(path, axis=0).T).sum()
    assert length == pytest.approx(2 * 40 * np.arcsin(28 / 40), rel=0.03)
    assert path[0].tolist() == [72, 32]
    assert path[-1].tolist() == [72, 88]


def test_a_dim_neurite_is_followed_past_a_bright_one_that_it_crosses():
    image = arc(level=100.0)
    image[:, 60] += 3000.0
    path = between(gaussian_filter(image, 0.7), (72, 32), (72, 88), PIXEL)
    assert np.percentile(off(path), 95) <= 2.0


def test_without_a_ridge_the_way_is_straight():
    path = ridge_path(np.full((40, 60), 100, np.uint16), (20, 5), (20, 55), PIXEL)
    assert np.array_equal(path, [(20, x) for x in range(5, 56)])


def test_clicks_outside_end_at_the_edge():
    path = ridge_path(np.zeros((20, 20)), (-4, 3), (30, 3), PIXEL)
    assert path[0].tolist() == [0, 3]
    assert path[-1].tolist() == [19, 3]


def test_only_the_pixels_around_both_clicks_are_read():
    rows, columns = around((1000, 1000), (500, 400), (450, 480), PIXEL)
    margin = int(MARGIN_UM / PIXEL)
    assert (rows.start, columns.start) == (450 - margin, 400 - margin)
    assert (rows.stop, columns.stop) == (501 + margin, 481 + margin)
    rows, columns = around((1000, 1000), (0, 999), (3, 990), PIXEL)
    assert rows.start == 0
    assert columns.stop == 1000


def test_corners_of_the_grid_are_smoothed_and_ends_stay():
    stairs = np.array([(i // 2, (i + 1) // 2) for i in range(60)])
    line = smoothed(stairs)
    assert line[0].tolist() == [0, 0]
    assert line[-1].tolist() == stairs[-1].tolist()
    steps = np.hypot(*np.diff(line, axis=0).T).sum()
    assert steps == pytest.approx(np.hypot(*stairs[-1]), rel=0.02)
    assert smoothed(stairs[:2]).tolist() == stairs[:2].tolist()
