"""Intervals on profiles with a closed form, and the correction for selection by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from phenotypes.statistics.curves.ec50_interval import INSIDE, Profile, ec50_interval

GRID = np.linspace(-9.0, -3.0, 121)
NO_GAPS = np.empty((0, 2))


def parabola(best=-6.0, error=0.2, degrees=1e6, exact=False, **more):
    """Profile of an estimate whose log10 EC50 has a normal error: cost ((θ − best) / error)²."""

    def cost(theta):
        return ((theta - best) / error) ** 2

    return Profile(
        GRID,
        cost(GRID),
        best,
        0.0,
        1.0,
        degrees,
        more.pop("gaps", NO_GAPS),
        more.pop("steps", np.empty(0)),
        more.pop("cliff", False),
        lambda side, tested: np.maximum(side * (tested - GRID) / error, 0.0) ** 2,
        (lambda t: float(cost(t))) if exact else None,
        **more,
    )


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("degrees", "quantile"), [(1e6, 1.95996), (20, 2.085963), (2, 4.302653)])
def test_far_inside_the_doses_the_interval_is_students(exact, degrees, quantile):
    found = ec50_interval(parabola(error=0.05, degrees=degrees, exact=exact), -8.0, -4.0)
    assert (found.above_lowest, found.below_highest) == (True, True)
    ends = np.array([found.low, found.high]) + 6.0
    assert ends == pytest.approx([-0.05 * quantile, 0.05 * quantile], rel=5e-3)


def test_the_scatter_between_batches_widens_and_never_narrows():
    wider = ec50_interval(parabola(error=0.01, between=0.05, batch_degrees=2), -8.0, -4.0)
    assert wider.high + 6.0 == pytest.approx(4.302653 * 0.05, rel=5e-3)
    same = ec50_interval(parabola(error=0.05, between=0.001, batch_degrees=2), -8.0, -4.0)
    assert same.high + 6.0 == pytest.approx(1.95996 * 0.05, rel=5e-3)


@pytest.mark.parametrize("side", [-1, 1])
def test_nearer_the_outermost_dose_than_the_rule_only_the_interval_is_left(side):
    ends = (-6.48, -4.0) if side < 0 else (-8.0, -5.52)
    found = ec50_interval(parabola(), *ends)
    assert (found.above_lowest, found.below_highest) == (side > 0, side < 0)
    assert (found.low, found.high) == (
        pytest.approx(-6 - 1.96 * 0.2, rel=1e-3),
        pytest.approx(-6 + 1.96 * 0.2, rel=1e-3),
    )


def test_an_estimate_that_passes_barely_has_a_far_end_on_that_side_only():
    """2.6 standard errors inside. EC50s at the dose or beyond show 2.5 once in 161 times.

    Such an EC50 is possible up to r with Φ(−r) = 0.025 / 161: 3.61 standard errors.
    """
    found = ec50_interval(parabola(), -8.0, -5.48)
    assert (found.above_lowest, found.below_highest) == (True, True)
    assert found.high == pytest.approx(-6 + 3.607 * 0.2, abs=0.01)
    assert found.low == pytest.approx(-6 - 1.96 * 0.2, abs=0.01)


def test_the_distance_that_counts_is_the_expected_one_and_not_the_lucky_one():
    """Half of the expected distance makes an EC50 that passed by luck likelier, and the end far."""
    near = parabola(error=0.3)
    lucky = replace(near, separation=lambda s, t: near.separation(s, t) / 4)
    ends = [ec50_interval(p, -8.0, -4.8).high for p in (near, lucky)]
    level = lucky.levels(1, -4.8)[np.searchsorted(GRID, -5.4)]
    assert level == pytest.approx(-stats.norm.ppf(0.025 * stats.norm.cdf(1.0 - INSIDE)), rel=0.02)
    assert ends[1] > ends[0] + 0.05


def test_an_end_beyond_the_plane_is_open():
    found = ec50_interval(parabola(best=-3.5, error=1.0), -8.0, -4.0)
    assert found.high is None
    assert found.low == pytest.approx(-3.5 - 1.96, rel=1e-3)
    assert (found.above_lowest, found.below_highest) == (True, False)


def test_the_published_are_covered_whatever_passes_the_rule():
    """Normal estimates of an EC50 that passes in 4 to 80 %; misses on either side."""
    rng = np.random.default_rng(0)
    for true in (-5.0, -4.7, -4.2):
        estimates = true + rng.normal(0, 0.3, 4000)
        passed = [
            found
            for best in estimates[:1500]
            if (found := ec50_interval(parabola(best, 0.3), -8.0, -4.0)).below_highest
        ]
        assert len(passed) > 40
        assert np.mean([f.high < true for f in passed]) <= 0.06
        assert np.mean([f.low > true for f in passed]) <= 0.045
        plain = stats.norm.cdf((-4.0 - INSIDE * 0.3 - true) / 0.3)
        assert len(passed) / 1500 <= plain + 0.03


def test_a_gap_that_may_hold_a_cliff_belongs_to_the_interval_whole():
    gaps = np.array([[-np.inf, -8.0], [-6.5, -5.5], [-5.5, -4.5]])
    profile = parabola(error=0.05, gaps=gaps, steps=np.array([99.0, 1.0, 99.0]))
    found = ec50_interval(profile, -8.0, -4.0)
    assert (found.low, found.high) == (-6.5, -5.5)
    none = ec50_interval(parabola(error=0.05, gaps=gaps, steps=np.full(3, 99.0)), -8.0, -4.0)
    assert none.high - none.low == pytest.approx(2 * 1.96 * 0.05, rel=5e-3)
    cliff = parabola(error=0.05, gaps=gaps, steps=np.full(3, 99.0), cliff=True)
    assert ec50_interval(cliff, -8.0, -4.0) == found


def test_a_cliff_below_the_lowest_dose_has_no_lower_end():
    gaps = np.array([[-np.inf, -6.0]])
    found = ec50_interval(parabola(gaps=gaps, steps=np.array([0.5])), -6.0, -4.0)
    assert (found.low, found.above_lowest) == (None, False)


def test_data_that_are_exactly_a_curve_have_an_interval_without_width():
    found = ec50_interval(parabola(error=1e-7, exact=True), -8.0, -4.0)
    assert found.low <= -6.0 <= found.high
    assert found.high - found.low < 1e-4
