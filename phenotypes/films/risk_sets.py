"""Who was at risk and who died at each hour of death, by well, and what Cox's model leaves over.

Subjects are at risk from after their entry to their exit. The score residual of a well is what its
neurons add to the derivative of Efron's partial likelihood (Therneau & Grambsch, Modeling Survival
Data, 2000, §3.4 and §4.6): Σ (z − z̄) over its deaths less what was expected of its neurons at risk.
lifelines gives such residuals without ties and without entry times, and films have both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Real = NDArray[np.float64]


@dataclass(frozen=True)
class RiskSets:
    """One stratum: `at_risk` and `deaths` are (wells, hours of death), `treated` is 0 or 1."""

    time: Real
    at_risk: Real
    deaths: Real
    treated: Real


@dataclass(frozen=True)
class Residuals:
    """Per well: `score` and `expected` deaths; over the stratum `information`.

    `hours` and `schoenfeld`: time of each death, and treated less what was expected of it.
    """

    score: Real
    expected: Real
    information: float
    hours: Real
    schoenfeld: Real


def risk_sets(
    entry: ArrayLike, leave: ArrayLike, event: ArrayLike, well: ArrayLike, treated: ArrayLike
) -> RiskSets:
    """Risk sets of one stratum; `well` holds numbers from 0, all arrays are one per subject."""
    start, stop = np.asarray(entry, float), np.asarray(leave, float)
    died, cluster = np.asarray(event, bool), np.asarray(well, int)
    time = np.unique(stop[died])
    arms = np.zeros(int(cluster.max()) + 1)
    arms[cluster] = np.asarray(treated, float)
    at_risk, deaths = np.zeros((2, len(arms), len(time)))
    for n in range(len(arms)):
        of_well = cluster == n
        at_risk[n] = np.searchsorted(np.sort(start[of_well]), time, side="left")
        at_risk[n] -= np.searchsorted(np.sort(stop[of_well]), time, side="left")
        np.add.at(deaths[n], np.searchsorted(time, stop[of_well & died]), 1)
    return RiskSets(time, at_risk, deaths, arms)


def residuals(risk: RiskSets, log_ratio: float) -> Residuals:
    """What Cox's model with this log hazard ratio leaves over, with Efron's ties."""
    weight = np.exp(log_ratio * risk.treated)
    total, dying = weight @ risk.at_risk, weight @ risk.deaths
    treated, dying_treated = (
        (weight * risk.treated) @ counts for counts in (risk.at_risk, risk.deaths)
    )
    count = risk.deaths.sum(axis=0).astype(int)
    # Efron: of d deaths at one hour, the one numbered l finds l/d of the dying gone.
    hour = np.repeat(np.arange(len(risk.time)), count)
    share = np.concatenate([np.arange(d) / d for d in count]) if len(count) else np.zeros(0)
    among = total[hour] - share * dying[hour]
    mean = (treated[hour] - share * dying_treated[hour]) / among

    def summed(values: Real) -> Real:
        return np.bincount(hour, values, len(risk.time)).astype(float)

    hazard, pull = summed(1 / among), summed(mean / among)
    hazard_dying, pull_dying = summed((1 - share) / among), summed((1 - share) * mean / among)
    mean_at = summed(mean) / np.maximum(count, 1)
    z = risk.treated[:, None]
    alive = risk.at_risk - risk.deaths
    expected = weight[:, None] * (alive * hazard + risk.deaths * hazard_dying)
    drawn = weight[:, None] * (
        alive * (z * hazard - pull) + risk.deaths * (z * hazard_dying - pull_dying)
    )
    score = (risk.deaths * (z - mean_at) - drawn).sum(axis=1)
    per_hour = risk.deaths.astype(int)
    schoenfeld = np.concatenate(
        [np.repeat(row_z - mean_at, row) for row_z, row in zip(risk.treated, per_hour, strict=True)]
    )
    hours = np.concatenate([np.repeat(risk.time, row) for row in per_hour])
    return Residuals(
        score, expected.sum(axis=1), float((mean * (1 - mean)).sum()), hours, schoenfeld
    )


def proportionality_p(parts: list[Residuals]) -> float:
    """P of proportional hazards over strata: Schoenfeld residuals against the rank of time.

    Grambsch & Therneau, Biometrika 81:515, 1994.
    """
    hours = np.concatenate([p.hours for p in parts])
    left_over = np.concatenate([p.schoenfeld for p in parts])
    rank = stats.rankdata(hours)
    rank = rank - rank.mean()
    scale = (rank**2).sum() * sum(p.information for p in parts) / len(hours)
    if not scale > 0:
        return 1.0
    return float(stats.chi2.sf((rank @ left_over) ** 2 / scale, 1))
