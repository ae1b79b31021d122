"""Who was at risk and who died at each hour of death, by well, and what Cox's model leaves over.

Subjects are at risk from after their entry to their exit. Expected deaths are those of Efron's
partial likelihood (Therneau & Grambsch, Modeling Survival Data, 2000, §4.2): of d deaths at one
hour, the one numbered l finds l/d of the dying gone. lifelines gives residuals without ties and
without entry times, and films have both.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Per well: `deaths` and `expected` deaths; over the stratum `information`.

    `hours` and `schoenfeld`: time of each death, and treated less what was expected of it.
    """

    deaths: Real
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


def is_finite(strata: Sequence[RiskSets]) -> bool:
    """Whether Cox's likelihood has a maximum.

    It has none where one arm has no death as long as the other is at risk: the ratio that fits best
    is then 0 or infinite, and a search stops anywhere.
    """
    deaths = np.zeros(2)
    for risk in strata:
        for arm in (0, 1):
            of_arm = risk.treated == arm
            both = risk.at_risk[~of_arm].sum(axis=0) > 0
            deaths[arm] += risk.deaths[of_arm][:, both].sum()
    return bool((deaths > 0).all())


def residuals(risk: RiskSets, log_ratio: float) -> Residuals:
    """What Cox's model with this log hazard ratio leaves over, with Efron's ties."""
    weight = np.exp(log_ratio * risk.treated)
    total, dying = weight @ risk.at_risk, weight @ risk.deaths
    treated, dying_treated = (
        (weight * risk.treated) @ counts for counts in (risk.at_risk, risk.deaths)
    )
    count = risk.deaths.sum(axis=0).astype(int)
    hour = np.repeat(np.arange(len(count)), count)
    share = (np.arange(len(hour)) - np.repeat(np.cumsum(count) - count, count)) / count[hour]
    among = total[hour] - share * dying[hour]
    mean = (treated[hour] - share * dying_treated[hour]) / among

    def summed(values: Real) -> Real:
        return np.bincount(hour, values, len(count)).astype(float)

    hazard, hazard_of_dying = summed(1 / among), summed((1 - share) / among)
    expected = weight * ((risk.at_risk - risk.deaths) @ hazard + risk.deaths @ hazard_of_dying)
    arm = np.repeat(risk.treated, risk.deaths.sum(axis=1).astype(int))
    died = np.concatenate([np.repeat(np.arange(len(count)), d.astype(int)) for d in risk.deaths])
    return Residuals(
        risk.deaths.sum(axis=1),
        expected,
        float((mean * (1 - mean)).sum()),
        risk.time[died],
        arm - (summed(mean) / count)[died],
    )


def proportionality_p(parts: Sequence[Residuals]) -> float:
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
