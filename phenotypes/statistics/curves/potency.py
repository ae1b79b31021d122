"""Potency shift: the ratio of two EC50s of one compound, on two lines.

    y_lbd = a_lb + S_l · f(x_d; EC50_b · r_l, h),   f(x) = 1 / (1 + (EC50 / x)^h),   r = 1 or ρ

Strategy. Both lines are fitted at once, with one slope h for both, since only between parallel
curves one line needs the same multiple of a dose at every effect. Each batch has an EC50 of its
own, of which the line's is the multiple ρ: what a batch's stock or day does to both lines leaves
the ratio. Given the EC50s and the slope the model is linear, so that least squares search few
parameters (variable projection: Golub & Pereyra, SIAM J. Numerical Anal. 10:413, 1973). Whether the
slopes differ is tested by the extra sum of squares of a slope for each line.

Batches are n: the interval is that of the batches' own ratios about the common one (one step of
Gauss and Newton from it), by Student's t with batches − 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from phenotypes.columns.statuses import PotencyStatus
from phenotypes.statistics.curves.hill import ALPHA, HILL_BOUNDS
from phenotypes.statistics.units import far_exponent

Real = NDArray[np.float64]
_LN10 = float(np.log(10))
# Least residual degrees of freedom: under them the scatter about the curves is not known.
_MIN_DEGREES = 3
# A slope within this share of its bound is the bound.
_AT_BOUND = 0.01
# Condition number of a design that does not determine its parameters.
_SINGULAR = 1e10


@dataclass(frozen=True)
class Ladder:
    """Batch means of one line under one compound: one entry per batch and dose.

    `dose` in mol/L, 0 for vehicle; `wells` are the weights.
    """

    dose: ArrayLike
    response: ArrayLike
    wells: ArrayLike
    batch: Sequence[str]


@dataclass(frozen=True)
class PotencyShift:
    """EC50 of a line over that of its reference, with its 95 % interval, or the reason for none.

    A ratio over 1: the line needs more of the compound. `slope_p` is of the slopes being one.
    """

    status: PotencyStatus
    reason: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    hill: float | None = None
    slope_p: float | None = None
    n_batches: int = 0


def potency_shift(line: Ladder, reference: Ladder, *, shared_limits: bool = False) -> PotencyShift:
    """Estimate EC50 of `line` / EC50 of `reference`.

    Parameters
    ----------
    line, reference
        Batch means of both. Only batches that both were measured in are used.
    shared_limits
        Give both lines the same vehicle level and the same largest effect.

    Returns
    -------
    PotencyShift
        Status `ok`; `slopes_differ` with the ratio at half of the effect, each line with its own
        slope; `one_batch` with an interval between means and without p; `too_few_batches`,
        `not_determined` without a ratio.

    Examples
    --------
    >>> import numpy as np
    >>> doses = np.r_[0, np.geomspace(1e-8, 1e-5, 7)]
    >>> def ladder(ec50, shifts=(0.9, 1.0, 1.2)):
    ...     y = [100 - 60 * doses / (doses + ec50 * s) for s in shifts]
    ...     names = [f"b{i}" for i in range(len(shifts)) for _ in doses]
    ...     wells = np.full(len(names), 3)
    ...     return Ladder(np.tile(doses, len(shifts)), np.concatenate(y), wells, names)
    >>> found = potency_shift(ladder(9e-7, (0.8, 1.0, 1.25)), ladder(3e-7))
    >>> round(found.ratio, 1), found.low < 3 < found.high
    (3.0, True)
    """
    both = [b for b in dict.fromkeys(line.batch) if b in set(reference.batch)]
    if not both:
        return PotencyShift(
            PotencyStatus.TOO_FEW_BATCHES, "no batch holds both lines under this compound"
        )
    data = _Data.of(line, reference, both, shared_limits)
    if data.degrees < _MIN_DEGREES:
        return PotencyShift(
            PotencyStatus.NOT_DETERMINED,
            f"{len(data.y)} means of {len(both)} batch(es) do not determine two curves",
            n_batches=len(both),
        )
    one, two = data.fit(one_slope=True), data.fit(one_slope=False)
    extra = max(one.cost - two.cost, 0.0)
    floor = 1e-12 * float(data.y @ data.y)
    slope_p = (
        float(stats.f.sf(extra / (two.cost / (data.degrees - 1)), 1, data.degrees - 1))
        if two.cost > floor
        else float(extra <= floor)
    )
    differ = slope_p < ALPHA
    chosen = two if differ else one
    return data.shift(chosen, slope_p, differ=differ)


@dataclass(frozen=True)
class _Fit:
    """Parameters (log10 ρ, log10 EC50 of each batch, log slope or slopes), and residual cost."""

    parameters: Real
    cost: float


@dataclass(frozen=True)
class _Data:
    """Means of both lines, scaled by the root of their weight."""

    x: Real
    y: Real
    root: Real
    is_line: NDArray[np.bool_]
    batch: NDArray[np.int64]
    levels: Real
    shared_limits: bool

    @classmethod
    def of(
        cls, line: Ladder, reference: Ladder, batches: Sequence[str], shared_limits: bool
    ) -> _Data:
        kept = [np.array([b in set(batches) for b in part.batch]) for part in (line, reference)]
        parts = list(zip((line, reference), kept, strict=True))
        x, y, w = (
            np.concatenate([np.asarray(getattr(part, name), float)[keep] for part, keep in parts])
            for name in ("dose", "response", "wells")
        )
        names = [b for part, keep in parts for b, k in zip(part.batch, keep, strict=True) if k]
        is_line = np.repeat([True, False], [int(keep.sum()) for keep in kept])
        batch = np.array([list(batches).index(b) for b in names])
        group = 2 * batch + is_line
        levels = np.ones((len(x), 1)) if shared_limits else np.eye(2 * len(batches))[group]
        root = np.sqrt(w)
        y = np.ldexp(y, -far_exponent(y))
        return cls(x, y * root, root, is_line, batch, levels, shared_limits)

    @property
    def n_batches(self) -> int:
        return 1 + int(self.batch.max(initial=0))

    @property
    def degrees(self) -> int:
        """Residual degrees of freedom with one slope."""
        spans = 1 if self.shared_limits else 2
        return self.y.size - int(self.levels.shape[1]) - spans - self.n_batches - 2

    @property
    def log_dose(self) -> Real:
        return np.asarray(np.log10(np.where(self.x > 0, self.x, 1.0)))

    def theta(self, parameters: Real) -> Real:
        """log10 EC50 at each mean."""
        of_batch = parameters[1 : 1 + self.n_batches]
        return np.asarray(of_batch[self.batch] + parameters[0] * self.is_line)

    def hill(self, parameters: Real) -> Real:
        slopes = parameters[1 + self.n_batches :]
        return np.asarray(np.exp(np.where(self.is_line, slopes[0], slopes[-1])))

    def shapes(self, parameters: Real) -> Real:
        """Share of the effect at each mean."""
        exponent = self.hill(parameters) * (self.theta(parameters) - self.log_dose)
        return np.where(self.x > 0, 1 / (1 + 10 ** np.clip(exponent, -300, 300)), 0.0)

    def linear(self, parameters: Real) -> Real:
        """Columns that are fitted by linear least squares: levels and spans."""
        f = self.shapes(parameters)
        spans = [f] if self.shared_limits else [f * self.is_line, f * ~self.is_line]
        return np.column_stack([self.levels, *spans]) * self.root[:, None]

    def residual(self, parameters: Real) -> Real:
        columns = self.linear(parameters)
        coefficients = np.linalg.lstsq(columns, self.y, rcond=None)[0]
        return np.asarray(self.y - columns @ coefficients)

    def fit(self, *, one_slope: bool) -> _Fit:
        """Least squares from a grid of starting values: the best start is refined."""
        doses = self.log_dose[self.x > 0]
        low, high, n = float(doses.min()), float(doses.max()), self.n_batches
        slopes = 1 if one_slope else 2
        starts = [
            np.r_[a - b, np.full(n, b), np.full(slopes, np.log(h))]
            for a in np.linspace(low, high, 9)
            for b in np.linspace(low, high, 9)
            for h in (0.8, 1.5, 3.0)
        ]
        costs = [float((r := self.residual(s)) @ r) for s in starts]
        span = high - low + 2
        bounds = (
            np.r_[-span, np.full(n, low - 1), np.full(slopes, np.log(HILL_BOUNDS[0]))],
            np.r_[span, np.full(n, high + 1), np.full(slopes, np.log(HILL_BOUNDS[1]))],
        )
        best = optimize.least_squares(
            self.residual, starts[int(np.argmin(costs))], bounds=bounds, xtol=1e-12, ftol=1e-12
        )
        return _Fit(best.x, 2 * float(best.cost))

    def shift(self, fit: _Fit, slope_p: float, *, differ: bool) -> PotencyShift:
        """The ratio of a fit, with its interval between batches."""
        parameters, n = fit.parameters, self.n_batches
        counts: Any = {"slope_p": slope_p, "n_batches": n}
        if why := self._undetermined(parameters):
            return PotencyShift(PotencyStatus.NOT_DETERMINED, why, **counts)
        columns = self.linear(parameters)
        coefficients = np.linalg.lstsq(columns, self.y, rcond=None)[0]
        residual = self.y - columns @ coefficients
        jacobian = np.column_stack(
            [columns, self._slopes(parameters, np.asarray(coefficients, float))]
        )
        if np.linalg.cond(jacobian) > _SINGULAR:
            return PotencyShift(
                PotencyStatus.NOT_DETERMINED, "the doses do not determine both EC50s", **counts
            )
        inverse = np.linalg.inv(jacobian.T @ jacobian)
        k = columns.shape[1]
        log_ratio = float(parameters[0])
        remarks, p = [], None
        if differ:
            remarks.append(
                f"slopes differ (p = {slope_p:.2g}): the ratio is that of half of the effect, and"
                " another at another effect"
            )
        if n < 2:
            remarks.append(
                "one differentiation batch: the interval is between its means and does not cover"
                " differences between batches"
            )
            status, degrees = PotencyStatus.ONE_BATCH, self.degrees - (1 if differ else 0)
            error = float(np.sqrt(inverse[k, k] * fit.cost / degrees))
        else:
            status = PotencyStatus.SLOPES_DIFFER if differ else PotencyStatus.OK
            degrees = n - 1
            steps = np.array(
                [
                    inverse[k] @ (jacobian[self.batch == b].T @ residual[self.batch == b])
                    for b in range(n)
                ]
            )
            error = float(np.sqrt(n / degrees * (steps @ steps)))
            p = (
                float(2 * stats.t.sf(abs(log_ratio) / error, degrees))
                if error > 0
                else float(log_ratio == 0)
            )
        half_width = float(stats.t.ppf(1 - ALPHA / 2, degrees)) * error
        return PotencyShift(
            status,
            "; ".join(remarks),
            ratio=float(10**log_ratio),
            low=float(10 ** (log_ratio - half_width)),
            high=float(10 ** (log_ratio + half_width)),
            p_value=p,
            hill=None if differ else float(np.exp(parameters[-1])),
            **counts,
        )

    def _undetermined(self, parameters: Real) -> str:
        """Why the fit gives no ratio; empty if it does."""
        doses = self.log_dose[self.x > 0]
        of_batch = parameters[1 : 1 + self.n_batches]
        outside = [
            name
            for name, theta in (("line", of_batch + parameters[0]), ("reference", of_batch))
            if not doses.min() <= float(np.mean(theta)) <= doses.max()
        ]
        if outside:
            return f"the EC50 of the {' and the '.join(outside)} lies outside the tested doses"
        if (parameters[1 + self.n_batches :] > np.log(HILL_BOUNDS[1]) - _AT_BOUND).any():
            return "a curve is a step between two doses, and its EC50 anywhere between them"
        return ""

    def _slopes(self, parameters: Real, coefficients: Real) -> Real:
        """Derivatives by log10 ρ, by log10 EC50 of each batch, and by each log slope."""
        f = self.shapes(parameters)
        spans = coefficients[self.levels.shape[1] :]
        hill, theta = self.hill(parameters), self.theta(parameters)
        steep = np.where(self.is_line, spans[0], spans[-1]) * f * (1 - f) * _LN10
        distance = np.where(self.x > 0, self.log_dose - theta, 0.0)
        by_theta, by_slope = -steep * hill, steep * hill * distance
        of_batch = [by_theta * (self.batch == b) for b in range(self.n_batches)]
        slopes = [by_slope]
        if len(parameters) == self.n_batches + 3:
            slopes = [by_slope * self.is_line, by_slope * ~self.is_line]
        columns = np.column_stack([by_theta * self.is_line, *of_batch, *slopes])
        return np.asarray(columns * self.root[:, None])
