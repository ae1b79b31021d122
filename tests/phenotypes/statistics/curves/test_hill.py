"""The parts of the Hill model against the same formulas written anew."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from phenotypes.statistics.curves.ec50_interval import Ec50Interval
from phenotypes.statistics.curves.hill import (
    DoseResponse,
    Plane,
    ec50_status,
    hill_curve,
    occupancy,
)
from tests.messages import states

X = np.array([0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4])
CURVE = DoseResponse(
    "ok",
    "",
    n_wells=14,
    n_vehicle=6,
    model="hill4",
    direction="descending",
    hill=1.4,
    e0=100.0,
    einf=20.0,
    fitted_log_ec50=-6.2,
    degrees=16,
)


def formula(x, hill, e0, einf, theta):
    return e0 + (einf - e0) * x**hill / (x**hill + (10**theta) ** hill)


def slopes(x, parameters):
    """Derivatives by the complex step, exact to rounding."""
    columns = []
    for i in range(4):
        moved = [complex(p, 1e-30 if i == j else 0.0) for j, p in enumerate(parameters)]
        columns.append(np.imag(formula(x, *moved)) / 1e-30)
    return np.stack(columns, axis=1)


def test_the_curve_is_the_formula():
    assert CURVE.predict(X) == pytest.approx(formula(X, 1.4, 100.0, 20.0, -6.2))
    assert occupancy(np.array([0.0, 1e-6, 1e300]), -6.0, 2.0).tolist() == pytest.approx([0, 0.5, 1])


def test_the_gradient_is_that_of_the_formula():
    expected = slopes(X[1:], (1.4, 100.0, 20.0, -6.2))
    assert CURVE.gradient(X[1:]) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert CURVE.gradient([0.0])[0].tolist() == pytest.approx([0, 1, 0, 0])


def test_the_band_is_the_delta_method_with_four_parameters_off_the_wells():
    """The covariance ties the EC50 to the ends: a wrong sign of its derivative changes the band."""
    root = np.array([[0.2, 0, 0, 0], [1, 3, 0, 0], [-2, 1, 4, 0], [0.03, -0.05, 0.06, 0.05]])
    curve = DoseResponse(**{**vars(CURVE), "covariance": root @ root.T})
    low, high = curve.band(X[1:])
    gradient = slopes(X[1:], (1.4, 100.0, 20.0, -6.2))
    error = np.sqrt(np.diag(gradient @ root @ root.T @ gradient.T))
    # Student's t, 97.5 %, 16 degrees of freedom: 2.119905.
    assert stats.t.ppf(0.975, 16) == pytest.approx(2.119905, abs=1e-6)
    assert (high - low) / 2 == pytest.approx(2.1199053 * error, rel=1e-6)
    assert (high + low) / 2 == pytest.approx(curve.predict(X[1:]))


def test_the_mean_response_is_the_integral():
    """∫ over log10 dose of the falling curve in closed form: softplus differences."""
    span, h = -80.0, 1.4
    ends = np.log10([1e-8, 1e-4])
    integral = np.diff(np.log1p(np.exp(h * np.log(10) * (ends + 6.2))) / (h * np.log(10)))[0]
    expected = 100.0 + span * integral / 4
    assert CURVE.mean_response(1e-8, 1e-4) == pytest.approx(expected, rel=1e-5)
    assert CURVE.mean_response(1e-8, 1e-4, points=101) == pytest.approx(expected, rel=1e-4)
    flat = DoseResponse("flat", "", model="constant", e0=7.0)
    assert flat.mean_response(1e-8, 1e-4) == pytest.approx(7.0)


def test_curves_lie_apart_by_what_no_curve_beyond_the_dose_explains():
    """Each curve of the grid against all those with half of their effect at 10 µM or beyond."""
    x = np.concatenate([np.zeros(3), np.repeat(np.geomspace(1e-8, 1e-5, 7), 2)])
    plane = Plane(x, lambda v: v - v.mean(-1, keepdims=True), 0.2, np.geomspace(0.3, 8, 6))
    y = plane.centre(5 - 3 * occupancy(x, -6.3, 1.4) + np.random.default_rng(0).normal(0, 0.3, 17))
    apart = plane.separation(y, 1, -5.0)
    assert apart[plane.theta >= -5.0] == pytest.approx(0, abs=1e-9)
    assert (apart >= 0).all()
    i = int(np.searchsorted(plane.theta, -6.3))
    fits = [np.polyfit(c, y, 1) for c in plane.unit[i]]
    best = min(
        (a * c + b for (a, b), c in zip(fits, plane.unit[i], strict=True)),
        key=lambda f: float(((y - f) ** 2).sum()),
    )
    outside = plane.unit[plane.theta >= -5.0].reshape(-1, len(x))
    left = min(float(((best - c * (c @ best)) ** 2).sum()) for c in outside)
    assert apart[i] == pytest.approx(left, rel=1e-6)
    below = plane.separation(y, -1, -8.0)
    assert below[0] == pytest.approx(0, abs=1e-9)
    assert below[i] > 1


def test_doses_of_a_share_of_the_effect():
    assert CURVE.effective_dose(0.5) == pytest.approx(10**-6.2)
    assert CURVE.effective_dose(0.9) == pytest.approx(10**-6.2 * 9 ** (1 / 1.4))
    assert CURVE.dose_at(60.0, 1e-8, 1e-4) == pytest.approx(10**-6.2)


def test_a_plane_explains_all_of_its_own_curve():
    x = np.concatenate([np.zeros(3), np.geomspace(1e-8, 1e-5, 7)])
    plane = Plane(x, lambda v: v - v.mean(-1, keepdims=True), 0.05, np.geomspace(0.3, 8, 20))
    y = plane.centre(5 - 3 * occupancy(x, -6.321, 1.37))
    explained = plane.explained(y)
    assert explained.max() <= y @ y * (1 + 1e-12)
    theta, log_hill, best = plane.refined(y, *plane.best(explained))
    assert best == pytest.approx(float(y @ y), rel=1e-9)
    assert (theta, np.exp(log_hill)) == (
        pytest.approx(-6.321, abs=1e-4),
        pytest.approx(1.37, rel=1e-3),
    )
    assert (plane.theta[0], plane.theta[-1]) == (pytest.approx(-9.0), pytest.approx(-4.0))


@pytest.mark.parametrize(
    ("theta", "above", "below", "status", "says"),
    [
        (-6.0, True, True, "ok", ""),
        (-8.1, False, True, "below_tested_range", "below the lowest tested dose, 10 nM"),
        (-3.9, True, False, "above_tested_range", "not reached at the highest tested dose, 100 µM"),
        (
            -6.0,
            False,
            True,
            "not_determined",
            "above the lowest tested dose, 10 nM, is shown with less than 99.4% confidence",
        ),
        (
            -6.0,
            True,
            False,
            "not_determined",
            "below the highest tested dose, 100 µM, is shown with less than 99.4% confidence",
        ),
    ],
)
def test_an_ec50_is_published_only_where_it_lies_among_the_doses(theta, above, below, status, says):
    interval = Ec50Interval(-6.5, -5.5, above, below)
    curve = hill_curve(X, theta, 1.0, 100.0, -60.0, interval, {})
    assert curve.status == status
    assert curve.reason == "" if not says else says in curve.reason
    assert curve.ec50 == (pytest.approx(1e-6) if status == "ok" else None)
    # The interval is no estimate that luck could choose: it stands in every row.
    assert (curve.ec50_low, curve.ec50_high) == (pytest.approx(10**-6.5), pytest.approx(10**-5.5))


@pytest.mark.parametrize(("hill", "bound"), [(8.0, True), (0.3, True), (1.2, False)])
def test_a_slope_at_its_bound_is_named(hill, bound):
    curve = hill_curve(X, -6.0, hill, 100.0, -60.0, Ec50Interval(-6.5, -5.5, True, True), {})
    assert states("fit.slope_at_its_bound", curve.reason) == bound


def test_means_that_no_curve_fits_are_joined_over_log_dose():
    means = DoseResponse(
        "not_monotone", "", model="means", means=((0.0, 100.0), (1e-8, 120.0), (1e-6, 80.0))
    )
    assert means.predict([0.0, 1e-8, 1e-7, 1e-6]).tolist() == pytest.approx([100, 120, 100, 80])
    assert means.mean_response(1e-8, 1e-6) == pytest.approx(100)
    assert means.band([1e-7]) is None


def test_a_cliff_explains_all_of_a_cliff_and_slopes_beyond_the_bound_are_never_published():
    x = np.concatenate([np.zeros(3), np.repeat(np.geomspace(1e-8, 1e-5, 7), 2)])
    plane = Plane(x, lambda v: v - v.mean(-1, keepdims=True), 0.05, np.geomspace(0.3, 8, 20))
    y = plane.centre(np.where(x > 2e-7, 5.0, 100.0))
    steps = (plane.cliffs @ y) ** 2
    assert steps.max() == pytest.approx(float(y @ y))
    low, high = plane.gaps[steps.argmax()]
    assert (10**low, 10**high) == (pytest.approx(10**-6.5 / 10**0.5), pytest.approx(10**-6.5))
    assert np.exp(plane.best(plane.explained(y))[1]) <= 8.0000001
    assert plane.explained_at(y, np.log10(2e-7)) == pytest.approx(float(y @ y), rel=1e-6)


@pytest.mark.parametrize(("high", "named"), [(-5.1, False), (-4.2, True)])
def test_an_interval_that_reaches_beyond_the_doses_says_so(high, named):
    interval = Ec50Interval(-7.0, high, above_lowest=True, below_highest=True)
    status, reason = ec50_status(-6.2, np.log10(X[X > 0])[:-1], interval)
    assert status == "ok"
    assert states("fit.reaches_beyond", reason, dose="10 µM") == named
    assert named or reason == ""
