"""Fit a Hill curve to the wells of one line and compound on a plate, or say why not.

The plane of `phenotypes.statistics.curves.hill` is evaluated over all wells at once, the best point
is polished, and the profile over log EC50 is read from the same grid. Vehicle wells enter at dose 0
and so determine E0.

A curve is tested against a constant. The F statistic does not follow F with 3 degrees of freedom,
since EC50 and h are not identified under a constant (Davies, Biometrika 74:33, 1987). p is
therefore drawn: treated wells are permuted over their doses, and their mean about the vehicle's is
Welch's t. Vehicle wells take no part in the permutation, since many that scatter less than treated
wells would make these look like a response (100 beside 8 that scatter twice as much: in three of
four plates). A response that no Hill curve follows (up and down again) is seen by the means at the
doses.

Where a curve does not fit these means, it is not published: they are.

How far wells scatter about the curve is taken from all of them, unless treated wells are seen to
scatter more than vehicle wells: the intervals are then those of treated wells, of which EC50 and
slope are made (one well per dose beside 32 vehicle wells that scatter half as much: of all
together 81 % of 95 % intervals cover). The effect of a flat row has Welch's interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import optimize, stats

from phenotypes.columns.statuses import ResponseStatus
from phenotypes.statistics.curves.ec50_interval import Profile, ec50_interval
from phenotypes.statistics.curves.hill import (
    ALPHA,
    HILL_BOUNDS,
    MIN_DOSES,
    MIN_VEHICLES,
    DoseResponse,
    Plane,
    Real,
    as_rounded,
    at_slope_bound,
    hill_curve,
    occupancy,
    on_steps,
    too_few_doses,
    too_few_vehicles,
)
from phenotypes.statistics.curves.lack_of_fit import (
    FIT_ALPHA,
    MATERIAL,
    DoseMeans,
    lack_of_fit,
    means_of_wells,
    misfit,
    misses,
    response_score,
    reversal,
)
from phenotypes.statistics.permutation import permutation_p, sequential_p
from phenotypes.statistics.units import far_exponent

# Four parameters fit almost any set of fewer wells, with an interval too wide to use.
MIN_WELLS = 8
_STEP_DECADES = 0.04
_HILLS = np.geomspace(*HILL_BOUNDS, 28)
# Shares of the sum of squares under which residuals, and differences, count as rounding.
_ROUNDING = 1e-9
_SAME = 1e-12
# Sum of squares under which differences are rounding in any unit: those of numbers of the order 1.
_LEAST = 1e-12
# Treated wells are taken to scatter more where chance would show it in one of five plates: a
# stricter test would leave scatter twice as large unseen in half of them.
_SCATTER_ALPHA = 0.2


def fit(
    dose: Sequence[float],
    response: Sequence[float],
    *,
    seed: int = 0,
    min_vehicles: int = MIN_VEHICLES,
) -> DoseResponse:
    """Fit one curve to the wells of one line and compound.

    Parameters
    ----------
    dose
        mol/L, 0 for vehicle wells. Doses that differ by under 1 % count as one.
    response
        One value per well, normalised or not, in any unit. Wells without a finite dose and
        response are left out, and the reason counts them.
    seed
        Seed of the permutations and draws.
    min_vehicles
        Fewer vehicle wells give the status "too_few_vehicles".

    Returns
    -------
    DoseResponse
        `status` is "ok"; "flat" (a constant fits as well); "below_tested_range" or
        "above_tested_range" (half of the effect is reached outside the tested doses; `ec50` is
        None); "not_determined" (the EC50 is not shown to lie among the tested doses; its interval
        is given, `ec50` is None); "not_monotone" (the response rises and falls; effects are means
        of wells); "lack_of_fit" (no Hill curve, nor both rise and fall); "no_vehicle";
        "too_few_vehicles"; "too_few_doses"; "too_few_wells".

    Examples
    --------
    >>> from phenotypes import fit
    >>> dose = [0, 0, 0, 0, 1e-8, 1e-8, 1e-7, 1e-7, 1e-6, 1e-6, 1e-5, 1e-5]
    >>> response = [100, 98, 102, 101, 99, 98, 90, 92, 51, 48, 9, 11]
    >>> curve = fit(dose, response)
    >>> curve.status, curve.direction
    ('ok', 'descending')
    >>> curve.ec50_low < 1e-6 < curve.ec50_high
    True
    """
    x, y = np.asarray(dose, float), np.asarray(response, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(
            f"doses have shape {x.shape} and responses {y.shape}; give two lists of the same length"
        )
    if (x < 0).any() or np.isinf(x).any():
        raise ValueError("a dose is negative or infinite; correct it in the plate map")
    finite = np.isfinite(x) & np.isfinite(y)
    exponent = far_exponent(y[finite])
    curve = _fit(on_steps(x[finite]), np.ldexp(y[finite], -exponent), seed, min_vehicles)
    curve = curve.times_two_to(exponent) if exponent else curve
    if finite.all():
        return curve
    remark = f"{int((~finite).sum())} well(s) without a finite dose and response left out"
    return replace(curve, reason="; ".join(filter(None, (curve.reason, remark))))


def _fit(x: Real, y: Real, seed: int, min_vehicles: int) -> DoseResponse:
    treated = np.unique(x[x > 0])
    counts: Any = {
        "n_wells": int((x > 0).sum()),
        "n_vehicle": int((x == 0).sum()),
        "n_doses": len(treated),
    }
    if counts["n_vehicle"] == 0:
        return DoseResponse(
            ResponseStatus.NO_VEHICLE,
            "no vehicle well has a value, so the response without compound is unknown",
            **counts,
        )
    if len(treated) < MIN_DOSES:
        return too_few_doses(len(treated), counts)
    if len(y) < MIN_WELLS:
        return DoseResponse(
            ResponseStatus.TOO_FEW_WELLS,
            f"{len(y)} wells with values, vehicle included; a curve needs {MIN_WELLS}",
            **counts,
        )
    if counts["n_vehicle"] < min_vehicles:
        return too_few_vehicles(min_vehicles, counts)
    plane = Plane(x, _centred, _STEP_DECADES, _HILLS)
    means = means_of_wells(x, y)
    total = float(((y - y.mean()) ** 2).sum())
    if total <= _SAME * float((y**2).sum()):
        return _flat(x, y, counts, 1.0, "all wells have the same value")
    if total <= _SAME * _LEAST:
        return _flat(x, y, counts, 1.0, as_rounded(y))
    score = _score(plane)
    p_value = _response_p(score, x, y, seed)
    if p_value >= ALPHA:
        reason = f"a constant fits as well as a curve (p = {p_value:.2g})"
        if permutation_p(y, score, seed=seed) < ALPHA:
            # No response is claimed, and none is denied in silence.
            reason += (
                "; but treated wells lie further from each other, or from vehicle wells, than these"
                " among themselves: they are noisier, or respond along no curve; more wells per"
                " dose would tell"
            )
        return _flat(x, y, counts, p_value, reason)
    return _hill(x, y, plane, means, counts, p_value)


def _centred(y: Real) -> Real:
    return np.asarray(y - y.mean(-1, keepdims=True))


def _score(plane: Plane) -> Callable[[Real], Real]:
    """How far sets of wells follow a curve or differ between doses.

    A coarser grid of shapes is used, for the observed and the drawn wells alike.
    """
    dose, number = np.unique(plane.x, return_inverse=True)
    groups = np.eye(len(dose))[number].T
    groups /= np.sqrt(groups.sum(axis=1, keepdims=True))
    # The sums over all wells, by way of the doses, where all wells of a dose have the same shape.
    shapes = plane.shapes(3, 3) @ groups.T

    def score(v: Real) -> Real:
        centred = _centred(v)
        total = (centred**2).sum(axis=-1)
        scaled = groups @ centred.T
        along = shapes @ scaled
        curve = np.maximum(along.max(axis=0), -along.min(axis=0)) ** 2 / total
        means = (scaled**2).sum(axis=0) / total
        return response_score(curve, means, len(number), len(dose))

    return score


def _response_p(score: Callable[[Real], Real], x: Real, y: Real, seed: int) -> float:
    """P value of no response to the dose."""
    is_treated = x > 0
    vehicle, treated = _centred(y[~is_treated]), _centred(y[is_treated])
    error, degrees = _welch(treated, vehicle)
    if error <= 0:
        # Neither arm scatters: wells of one value and of another.
        return permutation_p(y, score, seed=seed)

    def without_response(rng: np.random.Generator, size: int) -> Real:
        drawn = np.empty((size, len(y)))
        drawn[:, ~is_treated] = vehicle
        shuffled = rng.permuted(np.broadcast_to(treated, (size, len(treated))), axis=1)
        drawn[:, is_treated] = shuffled + error * rng.standard_t(degrees, (size, 1))
        return score(drawn)

    observed = float(score(y[None])[0]) * (1 - 1e-12)
    return sequential_p(observed, without_response, seed=seed)


def _welch(treated: Real, vehicle: Real) -> tuple[float, float]:
    """Standard error of the difference of two means, and its degrees of freedom.

    One vehicle well is taken to scatter as treated wells do.
    """
    of_treated = float(treated @ treated) / (len(treated) - 1)
    degrees = len(treated) - 1
    if len(vehicle) == 1:
        return float(np.sqrt(of_treated * (1 + 1 / len(treated)))), float(degrees)
    parts = of_treated / len(treated), float(vehicle @ vehicle) / (len(vehicle) - 1) / len(vehicle)
    total = sum(parts)
    if total <= 0:
        return 0.0, 1.0
    return float(np.sqrt(total)), float(
        total**2 / (parts[0] ** 2 / degrees + parts[1] ** 2 / (len(vehicle) - 1))
    )


def _flat(x: Real, y: Real, counts: Any, p_value: float, reason: str) -> DoseResponse:
    vehicle, treated = y[x == 0], y[x > 0]
    effect = float(treated.mean() - vehicle.mean())
    error, degrees = _welch(_centred(treated), _centred(vehicle))
    half_width = float(stats.t.ppf(1 - ALPHA / 2, degrees)) * error
    low, high = effect - half_width, effect + half_width
    mean = float(y.mean())
    return DoseResponse(
        ResponseStatus.FLAT,
        reason,
        **counts,
        model="constant",
        e0=mean,
        emax=mean,
        effect=effect,
        effect_low=low,
        effect_high=high,
        p_value=p_value,
        residual_sd=float(y.std(ddof=1)),
    )


def _rss(parameters: Real, x: Real, y: Real) -> float:
    """Residual sum of squares at (log EC50, log h) with E0 and Einf at their best."""
    e0, span = _linear(parameters, x, y)
    return float(((y - e0 - span * occupancy(x, parameters[0], np.exp(parameters[1]))) ** 2).sum())


def _linear(parameters: Real, x: Real, y: Real) -> tuple[float, float]:
    f = occupancy(x, parameters[0], np.exp(parameters[1]))
    centred = f - f.mean()
    norm = float((centred**2).sum())
    span = float((centred * y).sum() / norm) if norm > 1e-12 else 0.0
    return float(y.mean() - span * f.mean()), span


def _hill(
    x: Real, y: Real, plane: Plane, means: DoseMeans, counts: Any, p_value: float
) -> DoseResponse:
    centred = _centred(y)
    total = float(centred @ centred)
    explained = plane.explained(centred)
    start = np.array(plane.best(explained))
    bounds = [(float(plane.theta[0]), float(plane.theta[-1])), tuple(np.log(HILL_BOUNDS))]
    solution = optimize.minimize(
        _rss,
        start,
        (x, y),
        method="Nelder-Mead",
        bounds=bounds,
        options={"xatol": 1e-7, "fatol": 1e-12 * total, "maxiter": 2000},
    )
    theta, hill = float(solution.x[0]), float(np.exp(solution.x[1]))
    e0, span = _linear(solution.x, x, y)
    rss = float(solution.fun)
    cost, steps = total - explained.max(axis=1), total - (plane.cliffs @ centred) ** 2
    least = max(min(rss, float(cost.min()), float(steps.min())), 0.0)
    fit_p = lack_of_fit(least, 4, means, len(means.dose))
    share = misfit(least, 4, means, len(means.dose))
    off = fit_p is not None and fit_p < FIT_ALPHA
    if fit_p is not None and off and share > MATERIAL:
        return _no_curve(means, counts, p_value, fit_p)
    pooled = rss / (len(y) - 4)
    left = y - e0 - span * occupancy(x, theta, hill)
    variance, degrees, remark = _scatter(left[x > 0], y[x == 0], pooled)
    # Steep curves may leave less than the published one, and rounding is not noise.
    noise = max(least, _ROUNDING * total) / (len(y) - 4) if variance == pooled else variance
    covariance = _covariance(np.array([hill, e0, e0 + span, theta]), x, y, variance)
    profile = Profile(
        plane.theta,
        cost,
        theta,
        least,
        noise,
        degrees,
        plane.gaps,
        steps,
        at_slope_bound(hill),
        lambda side, tested: plane.separation(centred, side, tested),
        lambda t: total - plane.explained_at(centred, t),
    )
    tested = np.log10(x[x > 0])
    curve = hill_curve(
        x,
        theta,
        hill,
        e0,
        span,
        ec50_interval(profile, float(tested.min()), float(tested.max())),
        counts,
        p_value=p_value,
        residual_sd=float(np.sqrt(pooled)),
        covariance=covariance,
        degrees=degrees,
    )
    tested_fit = ""
    if fit_p is None:
        tested_fit = "too few replicates to test whether the curve fits"
    elif off:
        tested_fit = misses(fit_p, share)
    remarks = filter(None, (curve.reason, remark, tested_fit))
    curve = replace(curve, reason="; ".join(remarks))
    half_width = _effect_half_width(covariance, theta, hill, span, float(tested.max()), degrees)
    if half_width is None or curve.effect is None:
        return curve
    return replace(
        curve, effect_low=curve.effect - half_width, effect_high=curve.effect + half_width
    )


def _scatter(treated: Real, vehicle: Real, pooled: float) -> tuple[float, int, str]:
    """Variance of the wells about the curve, its degrees of freedom, and what there is to say.

    `treated` are residuals about the curve, to which treated wells gave three parameters, and
    `vehicle` the responses that gave it E0.
    """
    together = pooled, len(treated) + len(vehicle) - 4, ""
    degrees = len(treated) - 3
    if degrees < 1 or len(vehicle) < 2:
        return together
    of_treated = float(treated @ treated) / degrees
    of_vehicle = float(vehicle.var(ddof=1))
    if of_treated <= pooled or of_vehicle <= 0:
        return together
    if stats.f.sf(of_treated / of_vehicle, degrees, len(vehicle) - 1) >= _SCATTER_ALPHA:
        return together
    times = float(np.sqrt(of_treated / of_vehicle))
    remark = (
        f"treated wells scatter {times:.1f} times as much about the curve as vehicle wells, so the"
        " intervals are those of treated wells alone"
    )
    return of_treated, degrees, remark


def _no_curve(means: DoseMeans, counts: Any, p_value: float, fit_p: float) -> DoseResponse:
    """Means of wells in place of a curve that does not fit them; the effect is at the top dose."""
    turns = reversal(means)
    reason = f"no Hill curve fits the means at the doses (lack of fit, p = {fit_p:.2g})"
    if (means.weight[1:] < 2).all():
        reason += "; only vehicle wells have replicates, and noisier treated wells look the same"
    effect = float(means.mean[-1] - means.mean[0])
    half_width = float(
        stats.t.ppf(1 - ALPHA / 2, means.degrees)
        * np.sqrt(means.variance * (1 / means.weight[0] + 1 / means.weight[-1]))
    )
    return DoseResponse(
        ResponseStatus.NOT_MONOTONE if turns else ResponseStatus.LACK_OF_FIT,
        "; ".join(filter(None, (turns, reason, "e0, emax and effect are means of wells"))),
        **counts,
        model="means",
        e0=float(means.mean[0]),
        emax=float(means.mean[-1]),
        effect=effect,
        effect_low=effect - half_width,
        effect_high=effect + half_width,
        p_value=p_value,
        residual_sd=float(np.sqrt(means.variance)),
        means=means.points(),
    )


def _covariance(parameters: Real, x: Real, y: Real, variance: float) -> Real | None:
    """Covariance of (h, E0, Einf, log10 EC50), or None where it is not positive.

    Inverse of the Hessian of RSS / 2σ², by central differences.
    """

    def rss(p: Real) -> float:
        return float(((y - p[1] - (p[2] - p[1]) * occupancy(x, p[3], p[0])) ** 2).sum())

    steps = 1e-4 * np.maximum(
        np.abs(parameters),
        [0.1, abs(parameters[2] - parameters[1]), abs(parameters[2] - parameters[1]), 1.0],
    )
    hessian = np.empty((4, 4))
    for a in range(4):
        for b in range(a, 4):
            ea, eb = np.eye(4)[a] * steps[a], np.eye(4)[b] * steps[b]
            difference = (
                rss(parameters + ea + eb)
                - rss(parameters + ea - eb)
                - rss(parameters - ea + eb)
                + rss(parameters - ea - eb)
            )
            hessian[a, b] = hessian[b, a] = difference / (4 * steps[a] * steps[b])
    try:
        covariance: Real = np.asarray(2 * variance * np.linalg.inv(hessian), float)
    except np.linalg.LinAlgError:
        return None
    return covariance if (np.diag(covariance) >= 0).all() else None


def _effect_half_width(
    covariance: Real | None, theta: float, hill: float, span: float, log_top: float, degrees: int
) -> float | None:
    """Half-width of the 95 % interval of emax − e0, by the delta method."""
    if covariance is None:
        return None
    top = float(occupancy(np.array([10**log_top]), theta, hill)[0])
    slope = span * top * (1 - top) * np.log(10)
    gradient = np.array([slope * (log_top - theta), -top, top, -slope * hill])
    variance = float(gradient @ covariance @ gradient)
    return float(stats.t.ppf(1 - ALPHA / 2, degrees) * np.sqrt(variance)) if variance >= 0 else None
