"""Does a response depend on the dose, with the batch as n, and do the means agree with a curve?

    y_bd = a_b + c_b · [d > 0] + µ_d + e_bd

A batch shifts all treated doses of a compound alike by c_b, and the next batch otherwise: the
distance between vehicle and treated wells is known to one number per batch. Two tests that do not
depend on each other are combined (Fisher): the doses among themselves, on their scatter about the
levels a_b + c_b, and the mean distance from vehicle, by Student's t between batches. With one batch
nothing is known of c_b, and vehicle counts as a dose.

The first test is of the best curve or the means at the doses (`response_score`), against Gaussian
noise on the same design, drawn once per design. Under 1 in 50 its tail is that of the score
itself: a negative logarithm of p, which falls by e with each unit.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from phenotypes.statistics.curves.hill import HILL_BOUNDS, Plane, Real
from phenotypes.statistics.curves.lack_of_fit import DoseMeans, lack_of_fit, misfit, response_score
from phenotypes.statistics.permutation import monte_carlo_p

STEP_DECADES = 0.05
HILLS = np.geomspace(*HILL_BOUNDS, 20)
_DRAWS = 999
# Draws from which on the drawn distribution gives way to its tail: 20 of 999.
_TAIL = 20


class BatchDesign(Plane):
    """All curves of the (log EC50, h) plane over one design, less the batch levels."""

    def __init__(self, x: Real, weight: Real, batch: NDArray[np.int64]) -> None:
        self.root, self.n = np.sqrt(weight), len(x)
        self.groups = int(batch.max()) + 1
        self.members = np.eye(self.groups)[batch]
        self.share = self.members * (weight / (self.members.T @ weight)[batch])[:, None]
        super().__init__(x, self.within, STEP_DECADES, HILLS)
        self.dose, number = np.unique(x, return_inverse=True)
        doses = self.within(np.eye(len(self.dose))[number].T)
        _, sizes, basis = np.linalg.svd(doses, full_matrices=False)
        # Contrasts between doses, orthonormal.
        self.contrasts = basis[sizes > 1e-9 * max(float(sizes.max()), 1e-300)]

    def within(self, y: Real) -> Real:
        """Values (…, n) less the weighted mean of their batch, times the root of their weight."""
        return np.asarray((y - (y @ self.share) @ self.members.T) * self.root)

    def score(self, scaled: Real) -> Real:
        """Evidence (…) of values (…, n) against a constant."""
        total = (scaled**2).sum(axis=-1)
        curve = ((self.shapes(3, 2) @ scaled.T) ** 2).max(axis=0) / total
        means = ((self.contrasts @ scaled.T) ** 2).sum(axis=0) / total
        points = self.n - self.groups + 1
        return response_score(curve, means, points, len(self.contrasts) + 1)

    def noise(self) -> Real:
        """Sorted scores of Gaussian noise."""
        rng = np.random.default_rng(0)
        draws = rng.normal(size=(_DRAWS, self.n)) / self.root
        return np.sort(self.score(self.within(draws)))


@lru_cache(maxsize=64)
def _design(x: bytes, weight: bytes, batch: bytes) -> BatchDesign:
    return BatchDesign(np.frombuffer(x), np.frombuffer(weight), np.frombuffer(batch, np.int64))


def design_of(x: Real, weight: Real, batch: NDArray[np.int64]) -> BatchDesign:
    """Design of these points; most rows of a screen share one."""
    return _design(x.tobytes(), weight.tobytes(), batch.tobytes())


@lru_cache(maxsize=1024)
def _noise(x: bytes, batch: bytes) -> Real:
    """Null distribution of designs that differ in weights only.

    Weights hardly change it and differ wherever a well failed, so one draw serves them all.
    """
    points = np.frombuffer(x)
    return BatchDesign(points, np.ones(len(points)), np.frombuffer(batch, np.int64)).noise()


def response_p(x: Real, y: Real, w: Real, b: NDArray[np.int64]) -> float:
    """P value of no response to the dose; `b` numbers the batches from 0."""
    groups = int(b.max()) + 1
    tested = x > 0 if groups > 1 else np.ones(len(x), dtype=bool)
    x_of, b_of = np.ascontiguousarray(x[tested]), np.ascontiguousarray(b[tested])
    design = design_of(x_of, np.ascontiguousarray(w[tested]), b_of)
    scaled = design.within(y[tested])
    p = 1.0
    if float(scaled @ scaled) > 1e-12 * max(1e-12, float((y**2).sum())):
        null = _noise(x_of.tobytes(), b_of.tobytes())
        p = _tail_p(null, float(design.score(scaled)))
    if groups == 1:
        return p
    return float(stats.chi2.sf(-2 * (np.log(p) + np.log(_distance_p(x, y, w, b))), 4))


def _tail_p(null: Real, observed: float) -> float:
    edge = float(null[-_TAIL])
    if observed <= edge:
        return monte_carlo_p(null, observed)
    return float(max(_TAIL / (len(null) + 1) * np.exp(edge - observed), 1e-300))


def _distance_p(x: Real, y: Real, w: Real, b: NDArray[np.int64]) -> float:
    """P value of no distance between vehicle and the mean of treated doses, batches as n."""
    members = np.eye(int(b.max()) + 1)[b].T

    def level(of: NDArray[np.bool_]) -> Real:
        weight = members * (w * of)
        return np.asarray((weight @ y) / weight.sum(axis=1))

    distance = level(x > 0) - level(x == 0)
    error = float(distance.std(ddof=1) / np.sqrt(len(distance)))
    if error <= 1e-9 * max(1e-6, float(np.abs(y).max())):
        # Batches that agree to the last digit have no scatter to test by.
        return 1.0
    return float(2 * special.stdtr(len(distance) - 1, -abs(float(distance.mean())) / error))


def treated_means(
    x: Real, y: Real, w: Real, b: NDArray[np.int64]
) -> tuple[DoseMeans, float | None, float]:
    """Means of treated doses with their scatter between batches, p of no lack of fit, misfit."""
    t = x > 0
    design = design_of(
        np.ascontiguousarray(x[t]), np.ascontiguousarray(w[t]), np.ascontiguousarray(b[t])
    )
    scaled = design.within(y[t])
    total = float(scaled @ scaled)
    error = max(total - float(((design.contrasts @ scaled) ** 2).sum()), 0.0)
    weight = np.array([w[x == d].sum() for d in design.dose])
    mean = np.array([np.average(y[x == d], weights=w[x == d]) for d in design.dose])
    degrees = len(scaled) - design.groups - len(design.contrasts)
    means = DoseMeans(design.dose, mean, weight, error, degrees)
    explained = design.explained(scaled)
    cliffs = float(((design.cliffs @ scaled) ** 2).max())
    best = max(design.refined(scaled, *design.best(explained))[2], cliffs, float(explained.max()))
    rss, groups = max(total - best, 0.0), len(design.contrasts)
    return means, lack_of_fit(rss, 3, means, groups), misfit(rss, 3, means, groups)
