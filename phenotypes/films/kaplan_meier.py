"""Kaplan–Meier and restricted mean survival time with their variances.

S(t) = Π (1 − d/n) over event times up to t, subjects counted from their entry (left truncation);
Greenwood's variance S² Σ d / (n (n − d)). RMST(τ) = ∫₀^τ S with variance Σ (∫_{tᵢ}^τ S)² dᵢ / (nᵢ
(nᵢ − dᵢ)) (Klein & Moeschberger, Survival Analysis, 2003, §4.5), which is the sum of the squared
influences of the subjects: so the influences of the neurons of one well add up to the well's. Cox
models are fitted by lifelines, see `phenotypes.films.hazard_ratio`.
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
        steps, left = self._areas(until)
        n, d = self.at_risk[: len(left)], self.events[: len(left)]
        # Where all at risk die, S is 0 from there on and so is what is left of the integral.
        weight = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
        return float(steps.sum()), float(np.sqrt((left**2 * weight).sum()))

    def influence(
        self, until: float, exit_time: ArrayLike, event: ArrayLike, entry: ArrayLike
    ) -> Real:
        """What each subject adds to the error of the restricted mean up to `until`.

        The influences add up to 0 and their squares to the variance of `rmst`.
        """
        leave, died = np.asarray(exit_time, float), np.asarray(event, bool)
        _, left = self._areas(until)
        time = self.time[: len(left)]
        n, d = self.at_risk[: len(left)], self.events[: len(left)]
        # A death costs what is left of the integral; each hour of death that is survived earns the
        # share that was expected to die then.
        cost = np.divide(left, n - d, out=np.zeros_like(n), where=n > d)
        earned = np.concatenate([[0.0], np.cumsum(cost * d / np.maximum(n, 1))])
        last = np.searchsorted(time, leave, side="right")
        first = np.searchsorted(time, np.asarray(entry, float), side="right")
        lost = np.where(died & (leave < until), np.concatenate([[0.0], cost])[last], 0.0)
        return np.asarray(earned[last] - earned[first] - lost, float)

    def _areas(self, until: float) -> tuple[Real, Real]:
        """Area of each step up to `until`, and what is left of it after each event time."""
        inside = self.time < until
        edges = np.concatenate([[0.0], self.time[inside], [until]])
        steps = np.concatenate([[1.0], self.survival[inside]]) * np.diff(edges)
        return steps, steps[::-1].cumsum()[::-1][1:]


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
