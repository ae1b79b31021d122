from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from phenotypes.statistics.curves.batch_curves import fit_batches
from phenotypes.statistics.curves.dose_response import fit
from phenotypes.statistics.curves.hill import occupancy
from tests.messages import states
from tests.phenotypes.drawn_screens import DOSES

LADDER = np.r_[0.0, DOSES]


def simulated(rng, span=-60.0, hill=1.2, batches=3, ec50_sd=0.15, sd=5.0, shift=0.0):
    """Batch means of 8 vehicle and 3 treated wells a dose; EC50 1 µM, `ec50_sd` decades between
    batches.
    """
    wells = np.tile(np.r_[8.0, [3.0] * 8], batches)
    half = -6 + rng.normal(0, ec50_sd, batches)
    curve = np.concatenate([100 + span * occupancy(LADDER, h, hill) for h in half])
    level = np.repeat(rng.normal(0, shift, batches), 9) if shift else 0.0
    return (
        np.tile(LADDER, batches),
        curve + rng.normal(0, sd, 9 * batches) / np.sqrt(wells) + level,
        wells,
        np.repeat(np.arange(batches), 9),
    )


@pytest.mark.parametrize("span", [-60.0, 60.0])
def test_intervals_cover_in_both_directions_though_batches_differ(span):
    rng = np.random.default_rng(0)
    found = [fit_batches(*simulated(rng, span)) for _ in range(200)]
    assert sum(r.status == "ok" for r in found) >= 196
    fitted = [r for r in found if r.model == "hill4"]
    assert {r.direction for r in fitted} == {"ascending" if span > 0 else "descending"}
    # Batches that agree better than their points have the interval of the points: 94.4 % at the
    # least, by `benchmarks/inference/curves.py`; 95 % and less three standard errors of 200 here.
    assert sum((r.ec50_low or 0) <= 1e-6 <= (r.ec50_high or 1) for r in fitted) >= 0.9 * len(found)


def test_flat_is_called_flat_though_batches_have_levels_of_their_own():
    rng = np.random.default_rng(1)
    found = [fit_batches(*simulated(rng, 0.0, shift=10.0)) for _ in range(400)]
    assert sum(r.status == "flat" for r in found) >= 0.93 * 400
    assert found[0].model == "constant"


def test_without_noise_the_curve_is_found_to_four_digits():
    x, y, w, b = simulated(np.random.default_rng(0), ec50_sd=0.0, sd=0.0)
    r = fit_batches(x, y, w, b)
    assert r.ec50 == pytest.approx(1e-6, rel=2e-3)
    assert r.hill == pytest.approx(1.2, rel=2e-3)
    assert (r.e0, r.einf) == (pytest.approx(100, abs=0.05), pytest.approx(40, abs=0.1))


def test_one_batch_agrees_with_the_fit_to_wells():
    """Same model, same wells: the plate's own fit (checked against R's drc) is the oracle."""
    rng = np.random.default_rng(2)
    x, y, w, _ = simulated(rng, batches=1)
    y = y + rng.normal(0, 1, len(y))
    ours = fit_batches(x, y, w, np.zeros(len(x), int))
    # Wells whose means are these: their scatter about them is noise, and changes no estimate.
    dose = np.repeat(x, w.astype(int))
    noise = rng.normal(0, 5, len(dose))
    for d in x:
        noise[dose == d] -= noise[dose == d].mean()
    wells = fit(dose, np.repeat(y, w.astype(int)) + noise)
    assert 10**ours.fitted_log_ec50 == pytest.approx(10**wells.fitted_log_ec50, rel=5e-3)
    assert ours.hill == pytest.approx(wells.hill, rel=5e-3)
    assert ours.emax == pytest.approx(wells.emax, rel=5e-3)
    assert states("lines.one_batch", ours.reason)
    assert states("batch_curves.fit_not_shown", ours.reason)


def test_refusals_are_statuses():
    x, y, w, b = simulated(np.random.default_rng(0))
    few = x <= DOSES[2]
    assert fit_batches(x[few], y[few], w[few], b[few]).status == "too_few_doses"
    assert fit_batches(x, np.full(len(x), 100.0), w, b).status == "flat"
    low = fit_batches(
        *simulated(np.random.default_rng(0), ec50_sd=0)[:1],
        100 - 60 * occupancy(x, -8.5, 1.0) + np.random.default_rng(0).normal(0, 1, len(x)),
        w,
        b,
    )
    assert (low.status, low.ec50) == ("below_tested_range", None)
    high = fit_batches(
        x,
        100 - 60 * occupancy(x, -3.9, 1.0) + np.random.default_rng(0).normal(0, 0.3, len(x)),
        w,
        b,
    )
    assert (high.status, high.ec50) == ("above_tested_range", None)


def test_batches_that_disagree_widen_the_interval():
    def width(ec50_sd):
        rng = np.random.default_rng(3)
        found = [fit_batches(*simulated(rng, ec50_sd=ec50_sd, sd=2.0)) for _ in range(30)]
        return np.median([np.log10(r.ec50_high / r.ec50_low) for r in found if r.ec50])

    assert width(0.3) > 3 * width(0.0)


def test_outliers_weigh_less_on_request_and_are_counted():
    x, y, w, b = simulated(np.random.default_rng(5), sd=2.0, ec50_sd=0.02)
    spoilt = y.copy()
    # two means near the half-maximal dose, as a bubble or a fibre would lift them
    spoilt[[6, 16]] += 70
    plain, robust = fit_batches(x, spoilt, w, b), fit_batches(x, spoilt, w, b, robust=True)
    assert abs(np.log10(robust.ec50 / 1e-6)) < 0.1 < abs(np.log10((plain.ec50 or 1.0) / 1e-6))
    assert states("batch_curves.few_doubted", robust.reason, few=2, of=27)
    assert (robust.n_wells, robust.n_vehicle) == (plain.n_wells, plain.n_vehicle)
    assert states("batch_curves.none_doubted", fit_batches(x, y, w, b, robust=True).reason)
    assert fit_batches(x, np.full(len(x), 100.0), w, b, robust=True).status == "flat"


def reference_fit(x, y, w, b):
    """The whole model with a level per batch by scipy: (span, theta, hill) and the two covariances.

    Returns the parameters (h, span, θ), the residual variance on n − G − 3 degrees of freedom, the
    covariance of the points and the cluster-robust one with G / (G − 1).
    """
    groups = b.max() + 1

    def model(p):
        h, span, theta = p[:3]
        dose = np.where(x > 0, x, 1.0)
        f = np.where(x > 0, dose**h / (dose**h + 10 ** (theta * h)), 0.0)
        return p[3:][b] + span * f

    def residual(p):
        return np.sqrt(w) * (y - model(p))

    start = np.r_[
        1.0, y[x == x.max()].mean() - y[x == 0].mean(), -6.0, np.full(groups, y[x == 0].mean())
    ]
    p = optimize.least_squares(residual, start, xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    steps = [np.asarray(p, complex) + 1e-30j * e for e in np.eye(len(p))]
    jacobian = np.stack([np.sqrt(w) * np.imag(model(s)) / 1e-30 for s in steps], axis=1)
    bread = np.linalg.inv(jacobian.T @ jacobian)
    variance = float((residual(p) ** 2).sum()) / (len(x) - groups - 3)
    scores = np.stack([jacobian[b == g].T @ residual(p)[b == g] for g in range(groups)])
    clustered = groups / (groups - 1) * bread @ scores.T @ scores @ bread
    return p[:3], variance, variance * bread[:3, :3], clustered[:3, :3]


# Of (h, E0, Einf, log10 EC50): what corresponds to h and to log10 EC50 in the reference.
SHARED = ([0, 3], [0, 2])


@pytest.mark.parametrize("span", [-60.0, 60.0])
def test_three_batches_that_disagree_have_the_cluster_robust_interval(span):
    x, y, w, b = simulated(np.random.default_rng(3), span, ec50_sd=0.06, sd=0.5)
    ours = fit_batches(x, y, w, b)
    p, variance, points, clustered = reference_fit(x, y, w, b)
    assert ours.status == "ok"
    assert (ours.hill, ours.einf - ours.e0, ours.fitted_log_ec50) == pytest.approx(p, rel=2e-3)
    assert ours.residual_sd == pytest.approx(np.sqrt(variance), rel=1e-5)
    assert clustered[2, 2] > 4 * points[2, 2]
    expected = np.maximum(np.diag(clustered), np.diag(points))[SHARED[1]]
    assert np.diag(ours.covariance)[SHARED[0]] == pytest.approx(expected, rel=5e-3)
    half_width = 4.3026527 * np.sqrt(clustered[2, 2])  # Student's t, 97.5 %, 2 degrees of freedom
    ends = np.log10([ours.ec50_low, ours.ec50_high]) - ours.fitted_log_ec50
    assert ends == pytest.approx([-half_width, half_width], rel=5e-3)


def test_two_batches_have_the_interval_of_their_points():
    """The scatter of two batches about their mean has one degree of freedom: it is not used."""
    x, y, w, b = simulated(np.random.default_rng(6), batches=2, ec50_sd=0.25, sd=2.0)
    ours = fit_batches(x, y, w, b)
    _, variance, points, clustered = reference_fit(x, y, w, b)
    assert ours.status == "ok"
    assert clustered[2, 2] > 2 * points[2, 2]
    assert ours.residual_sd == pytest.approx(np.sqrt(variance), rel=1e-5)
    variances = np.diag(ours.covariance)[SHARED[0]]
    assert variances == pytest.approx(np.diag(points)[SHARED[1]], rel=5e-3)
    # The likelihood interval, near Student's with 18 − 2 − 3 = 13 degrees of freedom.
    ends = np.log10([ours.ec50_low, ours.ec50_high]) - ours.fitted_log_ec50
    half_width = 2.1603687 * np.sqrt(points[2, 2])
    assert ends == pytest.approx([-half_width, half_width], rel=0.1)


def test_the_level_of_each_batch_costs_a_degree_of_freedom():
    """σ² of noise about five batches that differ in level is 1, not 40/36 nor 36/40 of it."""
    rng = np.random.default_rng(8)
    variances = [
        fit_batches(*simulated(rng, batches=5, ec50_sd=0.0, sd=1.0, shift=10.0)).residual_sd ** 2
        for _ in range(150)
    ]
    # 45 − 5 − 3 = 37 degrees each: a standard error of √(2 / 37 / 150) = 0.019.
    assert np.mean(variances) == pytest.approx(1.0, abs=0.057)


def test_the_interval_is_neither_too_narrow_nor_too_wide_where_batches_disagree():
    """300 screens of three batches that differ by 0.25 decades: 95 % ± three standard errors."""
    rng = np.random.default_rng(9)
    found = [fit_batches(*simulated(rng, ec50_sd=0.25, sd=2.0)) for _ in range(300)]
    closed = [r for r in found if r.ec50]
    covered = sum(r.ec50_low <= 1e-6 <= r.ec50_high for r in closed) / len(closed)
    # Not all are shown to lie below the top dose, 1.5 decades away, with t of two degrees.
    assert len(closed) >= 262
    assert 0.91 <= covered <= 0.988


def test_a_batch_and_a_dose_without_weight_on_the_curve_leave_it_alone():
    """Levels of batches cancel: a shift of one batch by 1e6 changes no number but E0 and Einf."""
    x, y, w, b = simulated(np.random.default_rng(3), ec50_sd=0.05)
    plain = fit_batches(x, y, w, b)
    assert plain.status == "ok"
    moved = fit_batches(x, np.where(b == 1, y + 1e6, y), w, b)
    for name in ("ec50", "ec50_low", "ec50_high", "hill", "effect", "residual_sd"):
        assert getattr(moved, name) == pytest.approx(getattr(plain, name), rel=1e-4), name


def means_of(rng, curve, batches=3, sd=5.0, shift=0.0):
    """Batch means about a curve; treated doses of a batch are shifted alike by `shift`."""
    x, _, w, b = simulated(rng, batches=batches)
    moved = rng.normal(0, shift, batches)[b] * (x > 0)
    y = np.tile(curve, batches) + moved + rng.normal(0, sd, len(x)) / np.sqrt(w)
    return x, y, w, b


@pytest.mark.parametrize("batches", [2, 3, 5])
def test_a_shift_of_a_batch_is_no_curve(batches):
    """10 % between batches: 0.2.0 called 35 to 42 % curves. Of 300, 5 % ± three standard errors."""
    rng = np.random.default_rng(11)
    flat = np.full(9, 100.0)
    found = [fit_batches(*means_of(rng, flat, batches, shift=10.0)).p_value for _ in range(300)]
    assert 0.005 <= np.mean(np.array(found) < 0.05) <= 0.088


def test_a_weak_curve_is_found_though_batches_shift():
    rng = np.random.default_rng(12)
    curve = 100 - 15 * occupancy(LADDER, -6.0, 1.2)
    found = [fit_batches(*means_of(rng, curve, shift=10.0)).status != "flat" for _ in range(60)]
    assert np.mean(found) >= 0.95


def test_a_bell_over_batches_is_not_monotone_and_has_its_means():
    rng = np.random.default_rng(13)
    bell = 100 + 50 * occupancy(LADDER, -7.2, 1.5) - 50 * occupancy(LADDER, -6.0, 2.0)
    for _ in range(20):
        x, y, w, b = means_of(rng, bell)
        found = fit_batches(x, y, w, b)
        assert (found.status, found.model, found.ec50) == ("not_monotone", "means", None)
        assert found.emax == pytest.approx(y[x == x.max()].mean())
        assert found.e0 == pytest.approx(y[x == 0].mean())
        assert states("fit.rises", found.reason)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_cliff_over_batches_has_its_gap(place):
    ec50 = DOSES[3] * (DOSES[4] / DOSES[3]) ** place
    rng = np.random.default_rng(14)
    cliff = np.where(ec50 < LADDER, 30.0, 100.0)
    found = [fit_batches(*means_of(rng, cliff, sd=sd)) for sd in (0.0, *[4.0] * 30)]
    assert (found[0].ec50_low, found[0].ec50_high) == (
        pytest.approx(DOSES[3]),
        pytest.approx(DOSES[4]),
    )
    covered = sum((r.ec50_low or 0) <= ec50 <= (r.ec50_high or 1) for r in found)
    assert covered >= 0.9 * len(found)


def test_batches_with_too_few_vehicle_wells_are_left_out_by_number():
    x, y, w, b = simulated(np.random.default_rng(0), batches=4)
    w[(x == 0) & (b == 2)] = 3.0
    kept = b != 2
    fewer, without = fit_batches(x, y, w, b), fit_batches(x[kept], y[kept], w[kept], b[kept])
    assert (fewer.ec50, fewer.p_value) == (without.ec50, without.p_value)
    assert states("batch_curves.few_vehicles", fewer.reason, out=1, of=4, least=4)
    none = fit_batches(x, y, np.where(x == 0, 1.0, w), b)
    assert (none.status, none.ec50, none.n_vehicle) == ("too_few_vehicles", None, 4)
    assert fit_batches(x, y, w, b, min_vehicles=3).reason == ""


def test_means_without_a_value_are_left_out_and_nothing_ends_the_run():
    x, y, w, b = simulated(np.random.default_rng(0))
    y[[3, 13]] = np.nan, np.inf
    kept = np.isfinite(y)
    holed, whole = fit_batches(x, y, w, b), fit_batches(x[kept], y[kept], w[kept], b[kept])
    assert (holed.status, holed.ec50) == (whole.status, whole.ec50)
    assert states("batch_curves.not_finite", holed.reason, means=2)
    assert fit_batches(x, np.full(len(x), np.nan), w, b).status == "too_few_vehicles"
    for robust in (False, True):
        exact = fit_batches(x, 100 - 80 * occupancy(x, -6.5, 1.0), w, b, robust=robust)
        assert exact.status == "ok"
        assert exact.ec50_low <= exact.ec50 <= exact.ec50_high
        assert fit_batches(x, np.where(x > 1e-7, 1.0, 0.0), w, b, robust=robust).status == "ok"


def test_batches_that_agree_have_the_interval_of_their_points():
    """Twice as wide in 0.2.0: t of two degrees of freedom whatever the scatter."""
    rng = np.random.default_rng(15)
    found = [fit_batches(*simulated(rng, ec50_sd=0.0)) for _ in range(150)]
    fitted = [r for r in found if r.ec50]
    widths = [np.log10(r.ec50_high / r.ec50_low) for r in fitted]
    covered = np.mean([r.ec50_low <= 1e-6 <= r.ec50_high for r in fitted])
    assert 0.12 <= np.median(widths) <= 0.3
    assert 0.9 <= covered <= 1


def test_the_band_has_the_degrees_of_freedom_of_its_covariance():
    agree = fit_batches(*simulated(np.random.default_rng(3), ec50_sd=0.0))
    differ = fit_batches(*simulated(np.random.default_rng(3), ec50_sd=0.25, sd=2.0))
    assert (agree.degrees, differ.degrees) == (27 - 3 - 3, 2)
    low, high = differ.band([1e-6])
    gradient = differ.gradient([1e-6])[0]
    error = np.sqrt(gradient @ differ.covariance @ gradient)
    assert (high - low)[0] / 2 == pytest.approx(4.3026527 * error, rel=1e-6)


def test_doses_that_differ_by_rounding_between_batches_are_one_dose():
    dose, response, wells, batch = simulated(np.random.default_rng(3), sd=1.0, ec50_sd=0.05)
    rounded = dose * (1 + 1e-4 * batch)
    written = fit_batches(dose, response, wells, batch)
    logged = fit_batches(rounded, response, wells, batch)
    assert (logged.n_doses, logged.status, logged.reason) == (8, written.status, written.reason)
    assert logged.ec50 == pytest.approx(written.ec50, rel=1e-3)
    few = fit_batches(
        [0.0, 1e-6, 1.001e-6, 1.002e-6, 1.003e-6], [100.0, 50, 51, 49, 50], [8.0] * 5, [0] * 5
    )
    assert (few.status, few.n_doses) == ("too_few_doses", 1)


@pytest.mark.parametrize("span", [-60.0, 0.0])
@pytest.mark.parametrize("power", [-200, -80, 80, 200])
def test_means_are_fitted_alike_in_every_unit(power, span):
    scale = 10.0**power
    dose, response, wells, batch = simulated(np.random.default_rng(3), span)
    plain = fit_batches(dose, response, wells, batch)
    moved = fit_batches(dose, scale * response, wells, batch)
    assert moved.status == plain.status
    for name, unit in (("p_value", 1), ("ec50", 1), ("ec50_low", 1), ("effect", scale)):
        value = getattr(plain, name)
        assert (getattr(moved, name) is None) == (value is None), name
        if value is not None:
            assert getattr(moved, name) == pytest.approx(unit * value, rel=1e-3), name


def test_means_as_small_as_rounding_are_flat_with_that_reason():
    dose, response, wells, batch = simulated(np.random.default_rng(3))
    found = fit_batches(dose, 1e-20 * response, wells, batch)
    assert found.status == "flat"
    assert states("fit.as_rounded", found.reason)
