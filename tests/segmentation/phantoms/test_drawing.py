from __future__ import annotations

import numpy as np
import pytest

from segmentation.phantoms.drawing import (
    add_spot,
    blob,
    draw_line,
    draw_polygon,
    smooth_noise,
    walk,
)


def test_a_polygon_is_filled_and_overwrites():
    canvas = np.full((20, 20), 5, np.float32)
    draw_polygon(canvas, np.array([[2.0, 3.0], [2.0, 9.0], [8.0, 9.0], [8.0, 3.0]]), 2.0)
    assert (canvas[2:9, 3:10] == 2).all()
    assert (canvas == 2).sum() == 49


def test_a_blob_without_irregularity_is_the_ellipse():
    outline = blob(
        np.random.default_rng(0), np.array([50.0, 40.0]), np.array([10.0, 5.0]), 0.0, 0.0
    )
    assert outline.shape == (64, 2)
    y, x = (outline - [50, 40]).T
    assert x**2 / 100 + y**2 / 25 == pytest.approx(np.ones(64))
    turned = blob(
        np.random.default_rng(0), np.array([50.0, 40.0]), np.array([10.0, 5.0]), 90.0, 0.0
    )
    y, x = (turned - [50, 40]).T
    assert x**2 / 25 + y**2 / 100 == pytest.approx(np.ones(64))


def test_noise_has_unit_variance_and_the_grain_asked_for():
    fine, coarse = (smooth_noise(np.random.default_rng(1), (100, 140), grain) for grain in (4, 16))
    assert fine.shape == coarse.shape == (100, 140)
    assert (fine.std(), coarse.std()) == pytest.approx((1, 1), abs=1e-4)
    steps = [np.abs(np.diff(noise, axis=1)).mean() for noise in (fine, coarse)]
    assert 2 < steps[0] / steps[1] < 8


def test_a_walk_has_the_length_asked_for_and_bends_as_it_wanders():
    start = np.array([5.0, 7.0])
    path = walk(np.random.default_rng(2), start, 0.3, 100.0, 2.0, 0.1)
    assert path.shape == (51, 2)
    assert np.array_equal(path[0], start)
    assert np.hypot(*np.diff(path, axis=0).T) == pytest.approx(np.full(50, 2.0))
    straight = walk(np.random.default_rng(2), start, 0.0, 100.0, 2.0, 0.0)
    assert straight[-1, 1] - start[1] > 99  # heading 0 is along x


def test_lines_add_up():
    canvas = np.zeros((20, 40), np.float32)
    draw_line(canvas, np.array([[10.0, 5.0], [10.0, 35.0]]), 3, 50.0)
    assert canvas[10, 20] == pytest.approx(50)
    assert not canvas[:7].any()
    once = canvas.copy()
    draw_line(canvas, np.array([[10.0, 5.0], [10.0, 35.0]]), 3, 50.0)
    assert canvas == pytest.approx(2 * once)
    draw_line(canvas, np.array([[-50.0, -50.0], [-40.0, -40.0]]), 1, 50.0)
    assert canvas == pytest.approx(2 * once)  # outside the canvas


def test_a_spot_has_its_height_and_its_light():
    canvas = np.zeros((61, 61), np.float32)
    add_spot(canvas, np.array([30.0, 25.0]), 3.0, 10.0)
    assert canvas[30, 25] == pytest.approx(10)
    assert canvas[33, 25] == pytest.approx(10 * np.exp(-0.5))
    assert canvas.sum() == pytest.approx(2 * np.pi * 9 * 10, rel=0.001)
    add_spot(canvas, np.array([-100.0, 0.0]), 3.0, 10.0)
    assert canvas.sum() == pytest.approx(2 * np.pi * 9 * 10, rel=0.001)
