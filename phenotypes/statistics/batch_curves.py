"""Fit one Hill curve through several batches, with the batch as n.

    y_bd = a_b + S · f(x_d),   f(x) = 1 / (1 + (EC50 / x)^h)

Strategy. Points are the means of each batch at each dose, vehicle at dose 0, weighted by their
wells. Each batch has its own batch level a_b, since an error in its vehicle's mean shifts all its
doses alike. The plane of `phenotypes.statistics.hill` is evaluated at once and its best point
refined on ever finer grids: 20,000 curves in a minute.

Curve or constant: the share of variance that the best curve explains, against its distribution over
Gaussian noise on the same design (EC50 and h are not identified under a constant, so the F
distribution does not apply). The distribution is simulated once per design.

Intervals: where the profile likelihood crosses its bound and, from three batches on, never narrower
than the scatter of one-step estimates of each batch about the common one (a cluster-robust
variance, Student's t with batches − 1 degrees of freedom).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from phenotypes.columns.statuses import ScreenCurveStatus
from phenotypes.statistics.hill import (
    ALPHA,
    HILL_BOUNDS,
    MIN_DOSES,
    DoseResponse,
    Plane,
    Real,
    hill_curve,
    occupancy,
    too_few_doses,
)
from phenotypes.statistics.permutation import monte_carlo_p
from phenotypes.statistics.robust import MAD_TO_SD

# Least residual degrees of freedom beside three parameters and a level per batch.
MIN_DEGREES = 3
_STEP_DECADES = 0.05
_HILLS = np.geomspace(*HILL_BOUNDS, 20)
_DRAWS = 999
_CLUSTERS = 3
_TUKEY, _ROUNDS = 4.685, 6


class _Design(Plane):
    """All curves of the (log EC50, h) plane over one design, less the batch levels."""

    def __init__(self, x: Real, weight: Real, batch: NDArray[np.int64]) -> None:
        self.root, self.n = np.sqrt(weight), len(x)
        self.members = np.eye(batch.max() + 1)[batch]
        self.share = self.members * (weight / (self.members.T @ weight)[batch])[:, None]
        super().__init__(x, self.within, _STEP_DECADES, _HILLS)

    def within(self, y: Real) -> Real:
        """Values (…, n) less the weighted mean of their batch, times the root of their weight."""
        return np.asarray((y - (y @ self.share) @ self.members.T) * self.root)

    def noise(self) -> Real:
        """Sorted shares of variance of Gaussian noise that the best curve explains."""
        rng = np.random.default_rng(0)
        draws = self.within(rng.normal(size=(_DRAWS, self.n)) / self.root)
        shapes = self.unit[::3, ::2].reshape(-1, self.n)
        return np.sort(((shapes @ draws.T) ** 2).max(axis=0) / (draws**2).sum(axis=1))


@lru_cache(maxsize=64)
def _design(x: bytes, weight: bytes, batch: bytes) -> _Design:
    return _Design(np.frombuffer(x), np.frombuffer(weight), np.frombuffer(batch, np.int64))


@lru_cache(maxsize=1024)
def _noise(x: bytes, batch: bytes) -> Real:
    """Null distribution of designs that differ in weights only.

    Weights hardly change it and differ wherever a well failed, so one draw serves them all.
    """
    points = np.frombuffer(x)
    return _Design(points, np.ones(len(points)), np.frombuffer(batch, np.int64)).noise()


def fit_batches(
    dose: ArrayLike,
    response: ArrayLike,
    wells: ArrayLike,
    batch: ArrayLike,
    *,
    robust: bool = False,
) -> DoseResponse:
    """Fit one curve to batch means.

    Parameters
    ----------
    dose
        mol/L, 0 for vehicle; one entry per batch and dose.
    response
        Mean response of that batch at that dose.
    wells
        Wells behind the mean, its weight.
    batch
        Batch of each mean, numbered 0, 1, ….
    robust
        Give means far from the curve less weight (Tukey's biweight, iterated); the reason says how
        many. The intervals treat these weights as known.

    Returns
    -------
    DoseResponse
        As `dose_response.fit`; the status is one of ok, flat, below_tested_range,
        above_tested_range, not_determined, too_few_doses.
    """
    x, y, w = (np.ascontiguousarray(v, float) for v in (dose, response, wells))
    b = np.ascontiguousarray(batch, np.int64)
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
    design = _design(x.tobytes(), w.tobytes(), b.tobytes())
    scaled = design.within(y)
    total = float(scaled @ scaled)
    explained = design.explained(scaled)
    if total <= 1e-12 * max(1.0, float((y**2).sum())):
        return _constant(x, y, w, counts, 1.0, "all means are the same")
    null = _noise(x.tobytes(), b.tobytes())
    p = monte_carlo_p(null, explained[::3, ::2].max() / total)
    if p >= ALPHA:
        return _constant(x, y, w, counts, p, f"a constant fits as well as a curve (p = {p:.2g})")
    return _curve(design, y, scaled, explained, b, groups, degrees, counts, p)


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
    design: _Design,
    y: Real,
    scaled: Real,
    explained: Real,
    batch: NDArray[np.int64],
    groups: int,
    degrees: int,
    counts: Any,
    p: float,
) -> DoseResponse:
    theta, log_hill, best = design.refined(scaled, *design.best(explained))
    hill = float(np.exp(log_hill))
    f = occupancy(design.x, theta, hill)
    within = design.within(f)
    span = float((within @ scaled) / (within @ within))
    weight = design.root**2
    e0 = float(np.average(y - span * f, weights=weight))
    rss = max(float(scaled @ scaled) - best, 0.0)
    variance = rss / degrees
    bound = rss + variance * float(stats.f.ppf(1 - ALPHA, 1, degrees))
    low, high = _profile(design.theta, float(scaled @ scaled) - explained.max(axis=1), theta, bound)
    covariance = _covariance(
        design, theta, hill, span, scaled - span * within, batch, groups, variance
    )
    if covariance is not None and groups >= _CLUSTERS:
        half_width = float(stats.t.ppf(1 - ALPHA / 2, groups - 1) * np.sqrt(covariance[3, 3]))
        low = None if low is None else min(low, theta - half_width)
        high = None if high is None else max(high, theta + half_width)
    # Beyond the plane these doses do not determine the EC50: that end is open.
    low = None if low is not None and low < design.theta[0] else low
    high = None if high is not None and high > design.theta[-1] else high
    curve = hill_curve(
        design.x,
        theta,
        hill,
        e0,
        span,
        (low, high),
        counts,
        p_value=p,
        residual_sd=float(np.sqrt(variance)),
        covariance=covariance,
    )
    if curve.status != ScreenCurveStatus.OK or groups >= _CLUSTERS:
        return curve
    reason = (
        f"the EC50's interval is that of {groups} batch(es) of wells and says nothing of another"
        " batch"
    )
    return replace(curve, reason=reason)


def _profile(
    theta: Real, rss: Real, best: float, bound: float
) -> tuple[float | None, float | None]:
    """Ends of the profile-likelihood interval of log10 EC50, between points of the grid.

    None where the profile does not cross the bound on that side.
    """
    ends: list[float | None] = []
    for grid, cost in (
        (theta[theta < best][::-1], rss[theta < best][::-1]),
        (theta[theta > best], rss[theta > best]),
    ):
        beyond = np.flatnonzero(cost > bound)
        if not len(beyond):
            ends.append(None)
            continue
        k = int(beyond[0])
        inside = (
            (best, min(bound, float(rss.min())))
            if k == 0
            else (float(grid[k - 1]), float(cost[k - 1]))
        )
        share = (bound - inside[1]) / max(float(cost[k]) - inside[1], 1e-300)
        ends.append(inside[0] + share * (float(grid[k]) - inside[0]))
    return ends[0], ends[1]


def _covariance(
    design: _Design,
    theta: float,
    hill: float,
    span: float,
    residual: Real,
    batch: NDArray[np.int64],
    groups: int,
    variance: float,
) -> Real | None:
    """Covariance of (h, E0, Einf, log10 EC50), or None where the design is singular.

    From three batches on it is that between batches, but never below that of the points.
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
    if groups >= _CLUSTERS:
        scores = np.stack(
            [inverse @ (jacobian[batch == g].T @ residual[batch == g]) for g in range(groups)]
        )
        clustered = groups / (groups - 1) * scores.T @ scores
        # The larger of the two for each parameter; correlations from the points, since a few
        # batches do not determine them.
        scale = np.sqrt(np.maximum(np.diag(clustered) / np.maximum(np.diag(points), 1e-300), 1.0))
        points = points * np.outer(scale, scale)
    # (h, span, θ) ► (h, E0, Einf, θ); the error of the common level is that of the mean.
    level = variance / float((design.root**2).sum())
    whole = np.zeros((4, 4))
    order = [0, 2, 3]
    whole[np.ix_(order, order)] = points
    whole[1, 1] = level
    whole[2, 2] += level
    whole[1, 2] = whole[2, 1] = level
    return whole if (np.diag(whole) > 0).all() else None
