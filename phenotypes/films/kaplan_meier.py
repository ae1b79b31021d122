"""Kaplan–Meier and restricted mean survival time with their variances.

S(t) = Π (1 − d/n) over event times up to t, subjects counted from their entry (left truncation);
Greenwood's variance S² Σ d / (n (n − d)). RMST(τ) = ∫₀^τ S with variance Σ (∫_{tᵢ}^τ S)² dᵢ / (nᵢ
(nᵢ − dᵢ)) (Klein & Moeschberger, Survival Analysis, 2003, §4.5). Cox models are fitted by
lifelines, see `phenotypes.films.hazard`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True)
class KaplanMeier:
    """A Kaplan–Meier curve.

    `time`: distinct event times; `survival` just after each and its Greenwood `variance`;
    `at_risk`, `events` at each.
    """

    time: Real
    survival: Real
    variance: Real
    at_risk: Real
    events: Real

    def at(self, time: float) -> float:
        """S(time)."""
        before = np.searchsorted(self.time, time, side="right")
        return float(self.survival[before - 1]) if before else 1.0

    def rmst(self, until: float) -> tuple[float, float]:
        """(restricted mean up to `until`, its standard error), in the unit of time."""
        inside = self.time < until
        edges = np.concatenate([[0.0], self.time[inside], [until]])
        steps = np.concatenate([[1.0], self.survival[inside]]) * np.diff(edges)
        left = steps[::-1].cumsum()[::-1][1:]
        n, d = self.at_risk[inside], self.events[inside]
        # Where all at risk die, S is 0 from there on and so is what is left of the integral.
        weight = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
        return float(steps.sum()), float(np.sqrt((left**2 * weight).sum()))


def kaplan_meier(
    exit_time: ArrayLike, event: ArrayLike, entry: ArrayLike | None = None
) -> KaplanMeier:
    """Kaplan–Meier curve of subjects at risk from after their entry to their exit, inclusive."""
    leave, died = np.asarray(exit_time, float), np.asarray(event, bool)
    enter = np.zeros(len(leave)) if entry is None else np.asarray(entry, float)
    time, events = np.unique(leave[died], return_counts=True)
    at_risk = np.searchsorted(np.sort(enter), time, side="left") - np.searchsorted(
        np.sort(leave), time, side="left"
    )
    n, d = at_risk.astype(float), events.astype(float)
    survival = np.cumprod(1 - d / n)
    greenwood = np.cumsum(np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d))
    return KaplanMeier(time, survival, survival**2 * greenwood, n, d)
