from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from phenotypes.statistics.dose_response import fit
from phenotypes.statistics.hill import occupancy
from tests.messages import says

DOSES = np.array([1e-8, 3e-8, 1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5])
DESIGN = np.concatenate([np.zeros(8), np.repeat(DOSES, 2)])


def curve(e0, einf, ec50, hill, sd=0.0, seed=0, design=DESIGN):
    return (
        e0
        + (einf - e0) * occupancy(design, np.log10(ec50), hill)
        + np.random.default_rng(seed).normal(0, sd, len(design))
    )


@pytest.mark.parametrize(
    ("e0", "einf", "direction"),
    [
        (100, 20, "descending"),
        (100, 240, "ascending"),
        (0, 1.2, "ascending"),
        (0, -3, "descending"),
    ],
)
def test_both_directions_are_recovered_alike(e0, einf, direction):
    result = fit(DESIGN, curve(e0, einf, 4e-7, 1.3, sd=0.01 * abs(einf - e0), seed=1))
    assert result.status == "ok"
    assert result.direction == direction
    assert result.ec50 == pytest.approx(4e-7, rel=0.1)
    assert result.e0 == pytest.approx(e0, abs=0.03 * abs(einf - e0))
    assert result.hill == pytest.approx(1.3, rel=0.15)
    assert result.ec50_low < 4e-7 < result.ec50_high
    assert result.effect == pytest.approx(
        (einf - e0) * float(occupancy(np.array([3e-5]), np.log10(4e-7), 1.3)[0]), rel=0.05
    )
    assert result.effect_low < result.effect < result.effect_high


@settings(max_examples=25, deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 50), st.sampled_from([1e-9, 1.0, 1e6]))
def test_scale_and_shift_of_the_response_change_nothing_else(shift, scale, dose_unit):
    y = curve(100, 30, 4e-7, 1.2, sd=4)
    plain, moved = fit(DESIGN, y), fit(DESIGN * dose_unit, shift * 1000 + scale * y)
    assert moved.status == plain.status
    assert moved.ec50 == pytest.approx(plain.ec50 * dose_unit, rel=1e-3)
    assert moved.p_value == plain.p_value
    assert moved.effect == pytest.approx(scale * plain.effect, rel=1e-3)


def test_flat_wells_are_flat():
    calls = [
        fit(DESIGN, curve(100, 100, 1e-6, 1, sd=10, seed=s), seed=s).status for s in range(100)
    ]
    assert calls.count("flat") >= 88  # 95 expected at α = 0.05; the benchmark asks more of more
    flat = fit(DESIGN, curve(100, 100, 1e-6, 1, sd=10, seed=1))
    assert flat.ec50 is None
    assert flat.model == "constant"
    assert flat.effect_low < 0 < flat.effect_high


def test_intervals_cover():
    hits = 0
    for s in range(60):
        result = fit(DESIGN, curve(100, 30, 5e-7, 1.2, sd=8, seed=s), seed=s)
        hits += (result.ec50_low or 0) <= 5e-7 <= (result.ec50_high or np.inf)
    assert hits >= 52


@pytest.mark.parametrize(
    ("ec50", "sd", "status"), [(3e-9, 1, "below_tested_range"), (8e-5, 0.3, "above_tested_range")]
)
def test_half_effects_outside_the_doses_have_no_number(ec50, sd, status):
    result = fit(DESIGN, curve(100, 10, ec50, 1.0, sd=sd))
    assert result.status == status
    assert result.ec50 is result.ec50_low is result.ec50_high is None
    assert "tested dose" in result.reason


def test_an_open_interval_withholds_the_estimate():
    # Two doses only see the curve begin: there is an effect, but it may bend anywhere above.
    result = fit(DESIGN, curve(100, 200, 2.5e-5, 1.5, sd=6, seed=3))
    assert result.status in {"not_determined", "above_tested_range"}
    assert result.ec50 is None
    assert result.ec50_high is None


def test_too_little_to_fit():
    assert fit([1e-6, 1e-5], [1.0, 2.0]).status == "no_vehicle"
    assert fit([0, 0, 1e-6, 1e-5, 1e-4], [1, 1, 2, 3, 4]).status == "too_few_doses"
    assert fit([0, 0, 1e-8, 1e-7, 1e-6, 1e-5], [1, 1, 2, 3, 4, 5]).status == "too_few_wells"
    assert fit(DESIGN, np.ones(len(DESIGN))).status == "flat"
    with pytest.raises(ValueError, match=says("dose_response.not_finite")):
        fit([0, 1e-6], [1.0, np.nan])
    with pytest.raises(ValueError, match=says("dose_response.lengths_differ")):
        fit([0, 1e-6], [1.0])


def test_the_same_wells_give_the_same_numbers():
    y = curve(100, 60, 5e-7, 1.2, sd=8)
    assert fit(DESIGN, y) == fit(DESIGN, y)


def test_predictions_and_bands():
    result = fit(DESIGN, curve(100, 30, 4e-7, 1.2, sd=4))
    low, high = result.band(DOSES)
    predicted = result.predict(DOSES)
    assert (low < predicted).all()
    assert (predicted < high).all()
    assert result.predict([0.0])[0] == pytest.approx(result.e0)
    assert fit(DESIGN, np.ones(len(DESIGN))).band(DOSES) is None


def test_the_absolute_ec50_is_where_half_of_vehicle_is_reached():
    """From 100 to 20, half-maximal at 400 nM: 60 % there, and 50 % at EC50 · (0.625 / 0.375)^(1/h)."""
    result = fit(DESIGN, curve(100, 20, 4e-7, 1.3, sd=0.1, seed=1))
    assert result.dose_at(50.0, 1e-8, 3e-5) == pytest.approx(
        4e-7 * (0.625 / 0.375) ** (1 / 1.3), rel=0.02
    )
    assert result.dose_at(50.0, 1e-8, 1e-7) is None
    assert result.dose_at(10.0, 1e-8, 3e-5) is None
    assert fit(DESIGN, curve(100, 200, 4e-7, 1.3, sd=0.1)).dose_at(150.0, 1e-8, 3e-5) is None


def formula(x, hill, e0, einf, theta):
    """The curve written anew, for complex parameters too; x > 0."""
    return e0 + (einf - e0) * x**hill / (x**hill + 10 ** (theta * hill))


def response_at(x, parameters):
    return np.where(x > 0, formula(np.where(x > 0, x, 1.0), *parameters), parameters[1])


def reference_fit(x, y):
    """(parameters, residual sum of squares, covariance) by scipy and an exact Hessian.

    The covariance is that of R's drc, from the observed information: 2σ² (∂²RSS)⁻¹ with σ² on
    n − 4 degrees of freedom.
    """

    def residual(p):
        return y - np.real(response_at(x, p))

    start = [1.0, y[x == 0].mean(), y[x == x.max()].mean(), -6.5]
    p = optimize.least_squares(residual, start, x_scale=[1, 10, 10, 1], xtol=1e-15, ftol=1e-15)
    rss = float((residual(p.x) ** 2).sum())

    def slope_of_rss(q):
        steps = [np.asarray(q, complex) + 1e-30j * np.eye(4)[i] for i in range(4)]
        return np.array([np.imag(((y - response_at(x, s)) ** 2).sum()) / 1e-30 for s in steps])

    steps = 1e-5 * np.maximum(np.abs(p.x), 0.1)
    hessian = np.array(
        [(slope_of_rss(p.x + e) - slope_of_rss(p.x - e)) / (2 * e.max()) for e in np.diag(steps)]
    )
    return p.x, rss, np.linalg.inv(hessian / 2) * rss / (len(y) - 4)


@pytest.mark.parametrize("einf", [30.0, 170.0])
def test_every_interval_is_that_of_an_independent_fit(einf):
    """Residual error, covariance, likelihood interval, band and effect on n − 4 = 20 degrees."""
    y = curve(100, einf, 5e-7, 1.2, sd=8, seed=4)
    ours = fit(DESIGN, y)
    p, rss, covariance = reference_fit(DESIGN, y)
    assert len(y) - 4 == 20
    assert ours.residual_sd == pytest.approx(np.sqrt(rss / 20), rel=1e-6)
    assert (ours.hill, ours.e0, ours.einf, ours.fitted_log_ec50) == pytest.approx(p, rel=1e-4)
    error = np.sqrt(np.diag(covariance))
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(error, rel=1e-3)
    t = 2.0859634  # Student's t, 97.5 %, 20 degrees of freedom

    low, high = ours.band(DOSES)
    at_doses = np.array(
        [
            [np.imag(formula(d, *(np.asarray(p, complex) + 1e-30j * e))) / 1e-30 for e in np.eye(4)]
            for d in DOSES
        ]
    )
    half_width = t * np.sqrt(np.einsum("pi,ij,pj->p", at_doses, covariance, at_doses))
    assert (high - low) / 2 == pytest.approx(half_width, rel=2e-3)

    of_effect = at_doses[-1] - np.array([0.0, 1.0, 0.0, 0.0])
    half_width = t * np.sqrt(of_effect @ covariance @ of_effect)
    assert (ours.effect_high - ours.effect_low) / 2 == pytest.approx(half_width, rel=2e-3)
    assert (ours.effect_high + ours.effect_low) / 2 == pytest.approx(ours.effect)

    # At either end the best curve with that EC50 costs F(1, 20) more residual variances.
    for end in (ours.ec50_low, ours.ec50_high):
        held = optimize.least_squares(
            lambda q, end=end: y - response_at(DESIGN, (*q, np.log10(end))),
            p[:3],
            x_scale=[1, 10, 10],
        )
        assert 2 * held.cost == pytest.approx(rss * (1 + t**2 / 20), rel=5e-4)


def test_the_effect_of_a_flat_compound_has_students_interval():
    y = curve(100, 100, 1e-6, 1, sd=10, seed=1)
    flat = fit(DESIGN, y)
    interval = stats.ttest_ind(y[DESIGN > 0], y[DESIGN == 0]).confidence_interval(0.95)
    assert flat.status == "flat"
    assert (flat.effect_low, flat.effect_high) == pytest.approx((interval.low, interval.high))
    assert flat.residual_sd == pytest.approx(np.std(y, ddof=1))


def test_effects_and_potencies_are_covered_at_their_level():
    """200 plates, both sides: 95 % ± three standard errors of a share (4.6 points)."""
    half, effect = 0, 0
    true = -70 * float(occupancy(np.array([3e-5]), np.log10(5e-7), 1.2)[0])
    for s in range(200):
        result = fit(DESIGN, curve(100, 30, 5e-7, 1.2, sd=8, seed=1000 + s), seed=s)
        half += (result.ec50_low or 0) <= 5e-7 <= (result.ec50_high or np.inf)
        effect += result.effect_low <= true <= result.effect_high
    assert 0.904 <= half / 200 <= 0.996
    assert 0.904 <= effect / 200 <= 0.996
