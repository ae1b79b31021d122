from __future__ import annotations

import numpy as np
import pytest

from segmentation.filters.curvature import curvatures, noise_gain

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
def test_the_gain_of_noise_is_that_of_the_laplacian_and_bounds_the_upper_tail(sigma):
    """In closed form 1 / (2 √(2π) σ), half the norm of a Laplacian of Gaussian times σ²."""
    gain = noise_gain(sigma)
    assert gain == pytest.approx(1 / (2 * np.sqrt(2 * np.pi) * sigma), rel=0.12 / sigma)
    noise = np.random.default_rng(0).normal(0, 1, (512, 512)).astype(np.float32)
    weak = curvatures(noise, sigma)[1]
    # The weak curvature is the lesser of two: it lies lower than their mean and spreads a little
    # more.
    assert weak.std() / gain == pytest.approx(1.09, abs=0.03)
    assert np.percentile(weak, 99.9) / (3.09 * gain) == pytest.approx(0.8, abs=0.05)
