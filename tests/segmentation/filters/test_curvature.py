from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.filters.curvature import curvatures, derivatives, noise_gain

Y, X = np.mgrid[-32:33, -32:33].astype(np.float32)


def test_a_line_bends_across_itself_and_not_along():
    """A Gaussian line of σ 3 seen at σ 2: 4 · 3 / 13^1.5 of its brightness."""
    strong, weak = curvatures(100 * np.exp(-(X**2) / 18), 2.0)
    assert strong[32, 32] == pytest.approx(100 * 4 * 3 / 13**1.5, rel=0.03)
    assert abs(weak[32, 32]) < 0.01 * strong[32, 32]


def test_a_spot_bends_both_ways_alike():
    """A Gaussian spot of σ 3 seen at σ 2: 4 · 9 / 13² of its brightness, in both directions."""
    strong, weak = curvatures(100 * np.exp(-(X**2 + Y**2) / 18), 2.0)
    assert strong[32, 32] == pytest.approx(100 * 4 * 9 / 13**2, rel=0.03)
    assert weak[32, 32] == pytest.approx(strong[32, 32], rel=1e-3)


def test_a_line_in_a_slant_is_as_strong_as_an_upright_one():
    along = (X + Y) / np.sqrt(np.float32(2))
    strong, weak = curvatures(100 * np.exp(-(along**2) / 18), 2.0)
    assert strong[32, 32] == pytest.approx(100 * 4 * 3 / 13**1.5, rel=0.03)
    assert abs(weak[32, 32]) < 0.02 * strong[32, 32]


def test_a_dark_line_has_no_downward_curvature():
    strong, weak = curvatures(-100 * np.exp(-(X**2) / 18), 2.0)
    assert weak[32, 32] == pytest.approx(-100 * 4 * 3 / 13**1.5, rel=0.03)
    assert abs(strong[32, 32]) < 0.3


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_the_gains_of_noise_are_the_norms_of_their_kernels(sigma):
    """In closed form, σ² times half of a Laplacian of Gaussian and times a second derivative."""
    of_mean, of_one = noise_gain(sigma)
    assert of_mean == pytest.approx(1 / (2 * np.sqrt(2 * np.pi) * sigma), rel=0.6 / sigma**2)
    assert of_one == pytest.approx(np.sqrt(3 / (16 * np.pi)) / sigma, rel=0.6 / sigma**2)
    noise = np.random.default_rng(0).normal(0, 1, (512, 512)).astype(np.float32)
    dyy, dxx, *_ = derivatives(cv2.GaussianBlur(noise, (0, 0), sigma))
    assert (dyy + dxx).std() * sigma**2 / 2 == pytest.approx(of_mean, rel=0.02)
    assert dyy.std() * sigma**2 == pytest.approx(of_one, rel=0.02)
    assert dxx.std() * sigma**2 == pytest.approx(of_one, rel=0.02)


@pytest.mark.parametrize("tilt", [0, 15, 30, 45, 75, 90])
def test_a_line_does_not_bend_along_itself_however_it_crosses_the_pixels(tilt):
    y, x = np.mgrid[-32:33, -32:33].astype(np.float32)
    across = y * np.cos(np.deg2rad(tilt)) + x * np.sin(np.deg2rad(tilt))
    line = (100 * np.exp(-(across**2) / (2 * 1.5**2))).astype(np.float32)
    dyy, dxx, dxy, *_ = (part[32, 32] for part in derivatives(line))
    weak, strong = np.linalg.eigvalsh([[dyy, dxy], [dxy, dxx]])[::-1]
    assert strong < -25
    assert abs(weak) < 0.01 * abs(strong)


def test_first_derivatives_are_slopes_per_pixel():
    y, x = np.mgrid[:9, :9].astype(np.float32)
    *_, dy, dx = derivatives(3 * y - 2 * x)
    assert dy[4, 4] == pytest.approx(3)
    assert dx[4, 4] == pytest.approx(-2)
