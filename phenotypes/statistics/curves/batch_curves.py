"""Fit one Hill curve through several batches, with the batch as n.

    y_bd = a_b + S · f(x_d),   f(x) = 1 / (1 + (EC50 / x)^h)

Strategy. Points are the means of each batch at each dose, vehicle at dose 0, weighted by their
wells. Each batch has its own batch level a_b, since an error in its vehicle's mean shifts all its
doses alike. The plane of `phenotypes.statistics.curves.hill` is evaluated at once and its best
point refined on ever finer grids: 20,000 curves in a minute.

Curve or constant, and whether the curve fits the means:
`phenotypes.statistics.curves.batch_response`.

Intervals: profile likelihood. From three batches on, a squared standard error is that of the
scatter of one-step estimates of each batch about the common one (a cluster-robust variance) with
batches − 1 degrees of freedom, unless batches agree better than the points let them do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phenotypes.columns.statuses import ScreenCurveStatus
from phenotypes.statistics.curves.batch_response import (
    BatchDesign,
    design_of,
    response_p,
    treated_means,
)
from phenotypes.statistics.curves.ec50_interval import Profile, ec50_interval
from phenotypes.statistics.curves.hill import (
    ALPHA,
    MIN_DOSES,
    MIN_VEHICLES,
    DoseResponse,
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
    misses,
    reversal,
)
from phenotypes.statistics.robust import MAD_TO_SD
from phenotypes.statistics.units import far_exponent

# Least residual degrees of freedom beside three parameters and a level per batch.
MIN_DEGREES = 3
_CLUSTERS = 3
_AGREE = 0.75
_TUKEY, _ROUNDS = 4.685, 6
# Shares of the sum of squares under which residuals, and differences, count as rounding.
_ROUNDING = 1e-9
_SAME = 1e-12
# Sum of squares under which differences are rounding in any unit: those of numbers of the order 1.
_LEAST = 1e-12


def fit_batches(
    dose: ArrayLike,
    response: ArrayLike,
    wells: ArrayLike,
    batch: ArrayLike,
    *,
    robust: bool = False,
    min_vehicles: int = MIN_VEHICLES,
) -> DoseResponse:
    """Fit one curve to batch means.

    Parameters
    ----------
    dose
        mol/L, 0 for vehicle; one entry per batch and dose. Doses that differ by under 1 % count as
        one.
    response
        Mean response of that batch at that dose.
    wells
        Wells behind the mean, its weight.
    batch
        Batch of each mean, a number.
    robust
        Give means far from the curve less weight (Tukey's biweight, iterated); the reason says how
        many. The intervals treat these weights as known.
    min_vehicles
        Batches with fewer vehicle wells are left out, and the reason says so.

    Returns
    -------
    DoseResponse
        As `dose_response.fit`; the status is one of ok, flat, below_tested_range,
        above_tested_range, not_determined, not_monotone, lack_of_fit, too_few_vehicles,
        too_few_doses. Means without a finite response, dose and number of wells are left out.
    """
    x, y, w = (np.ascontiguousarray(v, float) for v in (dose, response, wells))
    b = np.ascontiguousarray(batch, np.int64)
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(w) & (w > 0)
    vehicles = {g: float(w[finite & (b == g) & (x == 0)].sum()) for g in np.unique(b)}
    few = sorted(g for g, n in vehicles.items() if n < min_vehicles)
    used = finite & ~np.isin(b, few)
    remarks = [
        f"{int((~finite).sum())} mean(s) without a finite value left out" * bool((~finite).any()),
        f"{len(few)} of {len(vehicles)} batch(es) left out for fewer than {min_vehicles} vehicle"
        " wells" * bool(few),
    ]
    x, y, w = on_steps(x[used]), y[used], w[used]
    if not (x == 0).any():
        counts: Any = {"n_wells": 0, "n_vehicle": int(sum(vehicles.values())), "n_doses": 0}
        curve = too_few_vehicles(min_vehicles, counts)
    else:
        number = np.ascontiguousarray(np.unique(b[used], return_inverse=True)[1], np.int64)
        exponent = far_exponent(y)
        curve = _fit_weighted(x, np.ldexp(y, -exponent), w, number, robust=robust)
        curve = curve.times_two_to(exponent) if exponent else curve
    return replace(curve, reason="; ".join(filter(None, (curve.reason, *remarks))))


def _fit_weighted(x: Real, y: Real, w: Real, b: NDArray[np.int64], *, robust: bool) -> DoseResponse:
    curve = _fit(x, y, w, b)
    if not robust or not curve.model:
        return curve
    weight = w
    for _ in range(_ROUNDS):
        weight = w * _biweight(curve, x, y, w, b)
        curve = _fit(x, y, weight, b)
    n_low = int((weight < 0.5 * w).sum())
    remark = (
        f"robust: {n_low} of {len(x)} means weigh less than half"
        if n_low
        else "robust: no mean was doubted"
    )
    counts: Any = {"n_wells": int(w[x > 0].sum()), "n_vehicle": int(w[x == 0].sum())}
    return replace(curve, reason="; ".join(filter(None, (curve.reason, remark))), **counts)


def _biweight(curve: DoseResponse, x: Real, y: Real, w: Real, b: NDArray[np.int64]) -> Real:
    """Tukey's biweight of residuals about the curve and the median level of each batch.

    Tuned to 95 % efficiency under normal errors.
    """
    residual = y - curve.predict(x)
    for number in np.unique(b):
        residual[b == number] -= np.median(residual[b == number])
    scaled = residual * np.sqrt(w)
    scale = MAD_TO_SD * float(np.median(np.abs(scaled)))
    if scale <= 0:
        return np.ones(len(x))
    # Never 0: a mean without weight would leave its dose, or its batch, without one.
    return np.asarray(np.maximum((1 - np.minimum((scaled / (_TUKEY * scale)) ** 2, 1)) ** 2, 1e-3))


def _fit(x: Real, y: Real, w: Real, b: NDArray[np.int64]) -> DoseResponse:
    treated = np.unique(x[x > 0])
    groups = int(b.max()) + 1 if len(b) else 0
    counts: Any = {
        "n_wells": int(w[x > 0].sum()),
        "n_vehicle": int(w[x == 0].sum()),
        "n_doses": len(treated),
    }
    if len(treated) < MIN_DOSES:
        return too_few_doses(len(treated), counts)
    degrees = len(x) - groups - 3
    if degrees < MIN_DEGREES:
        return DoseResponse(
            ScreenCurveStatus.TOO_FEW_DOSES,
            f"{len(x)} means of {groups} batches at {len(treated)} doses do not determine a curve",
            **counts,
        )
    design = design_of(x, w, b)
    scaled = design.within(y)
    if float(scaled @ scaled) <= _SAME * float((y**2).sum()):
        return _constant(x, y, w, counts, 1.0, "all means are the same")
    if float(scaled @ scaled) <= _SAME * _LEAST:
        return _constant(x, y, w, counts, 1.0, as_rounded(y))
    p = response_p(x, y, w, b)
    if p >= ALPHA:
        return _constant(x, y, w, counts, p, f"a constant fits as well as a curve (p = {p:.2g})")
    remark = ""
    if groups > 1:
        means, fit_p, share = treated_means(x, y, w, b)
        if fit_p is not None and fit_p < FIT_ALPHA:
            if share > MATERIAL:
                level = float(np.average(y[x == 0], weights=w[x == 0]))
                return _no_curve(means, level, counts, p, fit_p)
            remark = misses(fit_p, share)
    curve = _curve(design, y, scaled, b, groups, degrees, counts, p)
    return replace(curve, reason="; ".join(filter(None, (curve.reason, remark))))


def _no_curve(means: DoseMeans, level: float, counts: Any, p: float, fit_p: float) -> DoseResponse:
    """Means over batches in place of a curve that does not fit them."""
    turns = reversal(means)
    reason = f"no Hill curve fits the means at the doses (lack of fit, p = {fit_p:.2g})"
    return DoseResponse(
        ScreenCurveStatus.NOT_MONOTONE if turns else ScreenCurveStatus.LACK_OF_FIT,
        "; ".join(filter(None, (turns, reason, "e0 and emax are means over batches"))),
        **counts,
        model="means",
        e0=level,
        emax=float(means.mean[-1]),
        effect=float(means.mean[-1]) - level,
        p_value=p,
        residual_sd=float(np.sqrt(means.variance)),
        means=((0.0, level), *means.points()),
    )


def _constant(x: Real, y: Real, w: Real, counts: Any, p: float, reason: str) -> DoseResponse:
    level = float(np.average(y, weights=w))
    return DoseResponse(
        ScreenCurveStatus.FLAT,
        reason,
        **counts,
        model="constant",
        e0=level,
        einf=level,
        emax=level,
        p_value=p,
    )


def _curve(
    design: BatchDesign,
    y: Real,
    scaled: Real,
    batch: NDArray[np.int64],
    groups: int,
    degrees: int,
    counts: Any,
    p: float,
) -> DoseResponse:
    total = float(scaled @ scaled)
    explained = design.explained(scaled)
    theta, log_hill, best = design.refined(scaled, *design.best(explained))
    hill = float(np.exp(log_hill))
    f = occupancy(design.x, theta, hill)
    within = design.within(f)
    span = float((within @ scaled) / (within @ within))
    weight = design.root**2
    e0 = float(np.average(y - span * f, weights=weight))
    rss = max(total - best, 0.0)
    cost, steps = total - explained.max(axis=1), total - (design.cliffs @ scaled) ** 2
    least = max(min(rss, float(cost.min()), float(steps.min())), 0.0)
    uncertainty = _covariance(
        design, theta, hill, span, scaled - span * within, batch, groups, rss / degrees
    )
    covariance, between = uncertainty or (None, 0.0)
    profile = Profile(
        design.theta,
        cost,
        theta,
        least,
        max(least, _ROUNDING * total) / degrees,
        float(degrees),
        design.gaps,
        steps,
        at_slope_bound(hill),
        lambda side, tested: design.separation(scaled, side, tested),
        between=between,
        batch_degrees=max(groups - 1, 1),
    )
    tested = np.log10(design.x[design.x > 0])
    curve = hill_curve(
        design.x,
        theta,
        hill,
        e0,
        span,
        ec50_interval(profile, float(tested.min()), float(tested.max())),
        counts,
        p_value=p,
        residual_sd=float(np.sqrt(rss / degrees)),
        covariance=covariance,
        degrees=float(groups - 1 if between > 0 else degrees),
    )
    if groups >= _CLUSTERS:
        return curve
    remark = (
        f"the EC50's interval is that of {groups} batch(es) of wells and does not cover all"
        " differences between batches"
    )
    if groups == 1:
        remark += "; one batch does not show whether a curve fits"
    return replace(curve, reason="; ".join(filter(None, (curve.reason, remark))))


def _covariance(
    design: BatchDesign,
    theta: float,
    hill: float,
    span: float,
    residual: Real,
    batch: NDArray[np.int64],
    groups: int,
    variance: float,
) -> tuple[Real, float] | None:
    """Covariance of (h, E0, Einf, log10 EC50), or None where the design is singular.

    From three batches on it is that between batches, but never below that of the points. With it
    the standard error of log10 EC50 between batches, or 0 where that of the points is larger.
    """
    x = design.x
    f = occupancy(x, theta, hill)
    slope = f * (1 - f) * span
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(x > 0, np.log(x) - np.log(10) * theta, 0.0)
    jacobian = np.stack(
        [design.within(v) for v in (slope * distance, f, -slope * hill * np.log(10))], axis=1
    )
    information = jacobian.T @ jacobian
    if np.linalg.cond(information) > 1e14:
        return None
    inverse = np.linalg.inv(information)
    points = variance * inverse
    between = 0.0
    level = variance / float((design.root**2).sum())
    if groups >= _CLUSTERS:
        scores = np.stack(
            [inverse @ (jacobian[batch == g].T @ residual[batch == g]) for g in range(groups)]
        )
        clustered = groups / (groups - 1) * scores.T @ scores
        # The scatter of batches that agree better than their points let them do is luck, and the t
        # of 2 degrees is twice as wide: then the interval is that of the points. It covers 94 %
        # or more whatever three batches differ by (`benchmarks/inference/curves.py`).
        if clustered[2, 2] > _AGREE * points[2, 2]:
            between = float(np.sqrt(clustered[2, 2]))
        # The larger of the two for each parameter; correlations from the points, since a few
        # batches do not determine them.
        scale = np.sqrt(np.maximum(np.diag(clustered) / np.maximum(np.diag(points), 1e-300), 1.0))
        points = points * np.outer(scale, scale)
    # (h, span, θ) ► (h, E0, Einf, θ); the error of the common level is that of the mean.
    whole = np.zeros((4, 4))
    order = [0, 2, 3]
    whole[np.ix_(order, order)] = points
    whole[1, 1] = level
    whole[2, 2] += level
    whole[1, 2] = whole[2, 1] = level
    return (whole, between) if (np.diag(whole) >= 0).all() else None
