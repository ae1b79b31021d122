"""The interval of an EC50, and whether the EC50 is shown to lie among the tested doses.

Interval: all log10 EC50 whose best curve costs no more residual variance than Student's t allows
(profile likelihood). Curves steeper than any that is published take part: a cliff between two
doses may lie anywhere between them, so its interval is the gap.

Selection: an EC50 is published where the curve with half of its effect at the outermost tested
dose, or beyond, lies INSIDE standard errors or more away. Estimates that pass such a rule by luck
lie too far inside, and so does the distance that they show. The end on that side is therefore the
one that holds among the estimates that pass: an EC50 is possible whose estimate lies r standard
errors away if Φ(−r) / Φ(δ − INSIDE) ≥ 0.025, where δ is the distance to the outermost dose that
this EC50 would show without noise, not the distance that was seen. Far from the rule r is 1.96.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Real = NDArray[np.float64]
ALPHA = 0.05
# Standard errors between the EC50 and the outermost tested dose from which it is published; chosen
# by `benchmarks/inference/curves.py`.
INSIDE = 2.5
# Distance from which the rule changes nothing any more.
_FAR = 6.0
# Standard errors on each side of an interval that knows of no selection.
PLAIN = float(special.ndtri(1 - ALPHA / 2))


@dataclass(frozen=True)
class Profile:
    """Least residual sum of squares of all curves with a given log10 EC50.

    `cost` belongs to the grid `theta`, `steps` to cliffs in the gaps (low, high) between doses.
    `variance` is that of a point about its curve, on `degrees` degrees of freedom; `between` is the
    standard error (decades) by the scatter of batches on `batch_degrees`, 0 where it is not used.
    `cliff`: the slope is at its bound, so that the whole gap around the estimate is possible.
    `separation(side, tested)` gives for each point of the grid the sum of squares between its best
    curve and the nearest one whose log10 EC50 is `tested` or beyond it.
    `exact` gives the cost between the points of the grid; without it the grid is interpolated.
    """

    theta: Real
    cost: Real
    best: float
    least: float
    variance: float
    degrees: float
    gaps: Real
    steps: Real
    cliff: bool
    separation: Callable[[int, float], Real]
    exact: Callable[[float], float] | None = None
    between: float = 0.0
    batch_degrees: float = 1.0

    def errors(self, theta: Real, cost: Real) -> Real:
        """Distance (n,) of log10 EC50s with these costs from the estimate, in standard errors.

        The signed root of the likelihood ratio, or the distance by the scatter between batches
        where that is less. Both count as normal: divided by how much wider Student's t is.
        """
        return self._scaled(cost - self.least, theta - self.best)

    def _scaled(self, squares: Real, decades: Real) -> Real:
        """Standard errors (n,) of sums of squares and distances between curves."""
        points = np.sqrt(np.maximum(squares, 0.0) / max(self.variance, 1e-300))
        points = points / _wider(self.degrees)
        if self.between <= 0:
            return np.asarray(points)
        batches = np.abs(decades) / self.between / _wider(self.batch_degrees)
        return np.asarray(np.minimum(points, batches))

    def levels(self, side: int, tested: float) -> Real:
        """Standard errors (n,) within which each EC50 of the grid is possible, having passed."""
        expected = self._scaled(self.separation(side, tested), self.theta - tested)
        beyond = self.theta >= tested if side > 0 else self.theta <= tested
        passes = special.ndtr(np.where(beyond, 0.0, expected) - INSIDE)
        return np.asarray(-special.ndtri(ALPHA / 2 * passes))

    def end(self, side: int, levels: Real) -> float | None:
        """Farthest possible log10 EC50 below (side −1) or above (1) the estimate.

        `levels` (n,) are standard errors per point of the grid. Gaps that may hold a cliff belong
        to it whole. None where there is no end.
        """
        beyond = self.theta > self.best if side > 0 else self.theta < self.best
        grid, cost = self.theta[beyond][::side], self.cost[beyond][::side]
        excess = self.errors(grid, cost) - levels[beyond][::side]
        inside = np.flatnonzero(excess <= 0)
        first = int(inside[-1]) + 1 if len(inside) else 0
        while first < len(grid) and self._excess(float(grid[first]), levels, excess[first]) <= 0:
            first += 1
        if first == len(grid):
            return None
        inner = self.best if first == 0 else float(grid[first - 1])
        outer = float(grid[first])
        if self.exact is not None:
            end = float(
                optimize.brentq(lambda t: self._excess(t, levels, 0.0), inner, outer, xtol=1e-5)
            )
        else:
            least = -self._level(inner, levels) if first == 0 else float(excess[first - 1])
            end = inner + least / (least - float(excess[first])) * (outer - inner)
        return self._with_gaps(side, end, levels)

    def _level(self, theta: float, levels: Real) -> float:
        return float(np.interp(theta, self.theta, levels))

    def _excess(self, theta: float, levels: Real, on_grid: float) -> float:
        if self.exact is None:
            return on_grid
        level = self._level(theta, levels)
        if theta == self.best:
            return -level
        cost = np.array([self.exact(theta)])
        return float(self.errors(np.array([theta]), cost)[0]) - level

    def _with_gaps(self, side: int, end: float, levels: Real) -> float | None:
        """Take in whole gaps between doses in which a cliff fits as well."""
        around = (self.gaps[:, 0] <= self.best) & (self.best <= self.gaps[:, 1])
        level = np.interp(self.gaps[:, 1 if side > 0 else 0], self.theta, levels)
        bound = self.variance * (level * _wider(self.degrees)) ** 2
        possible = (self.steps - self.least <= bound) | (self.cliff & around)
        if possible.any():
            edges = self.gaps[possible, 1 if side > 0 else 0]
            end = float(max(end, edges.max()) if side > 0 else min(end, edges.min()))
        return end if np.isfinite(end) else None

    def distance(self, side: int, tested: float) -> float:
        """Standard errors from the estimate to an EC50 at or beyond the outermost tested dose."""
        beyond = self.theta >= tested if side > 0 else self.theta <= tested
        if (self.best >= tested) if side > 0 else (self.best <= tested):
            return 0.0
        return float(self.errors(self.theta[beyond], self.cost[beyond]).min())


@dataclass(frozen=True)
class Ec50Interval:
    """Ends of the 95 % interval of log10 EC50 (None: open), and what is shown about its place.

    `above_lowest` and `below_highest`: whether the EC50 is shown to lie above the lowest and below
    the highest tested dose.
    """

    low: float | None
    high: float | None
    above_lowest: bool
    below_highest: bool


def ec50_interval(profile: Profile, lowest: float, highest: float) -> Ec50Interval:
    """Interval of log10 EC50 with the log10 of the lowest and highest tested doses."""
    plain = np.full(len(profile.theta), PLAIN)
    ends: list[float | None] = []
    for side, tested in ((-1, lowest), (1, highest)):
        distance = profile.distance(side, tested)
        levels = profile.levels(side, tested) if distance < _FAR else plain
        ends.append(profile.end(side, levels) if distance >= INSIDE else None)
    above, below = ends[0] is not None, ends[1] is not None
    if not (above and below):
        ends = [profile.end(side, plain) for side in (-1, 1)]
    return Ec50Interval(ends[0], ends[1], above, below)


@lru_cache(maxsize=256)
def _wider(degrees: float) -> float:
    """How much wider Student's t is than the normal distribution, at their 97.5 % quantiles."""
    return float(special.stdtrit(degrees, 1 - ALPHA / 2) / special.ndtri(1 - ALPHA / 2))
