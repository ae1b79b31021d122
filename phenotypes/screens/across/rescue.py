"""Rescue of a disease line towards its isogenic control, and classes of responders.

ρ = (µ(disease, drug) − µ(disease, vehicle)) / (µ(isogenic, vehicle) − µ(disease, vehicle)): 0 for
nothing, 1 for the isogenic state, with Fieller's interval (Suppl. J. R. Stat. Soc. 7:1, 1940) from
batch means. Where the interval of the window, µ(isogenic, vehicle) − µ(disease, vehicle), includes
0, the phenotype is `not_expressed` and ρ is undefined, not 0. ρ is reported with the interaction,
the effect on the disease line less that on the isogenic line: a drug that moves both alike is
trophic.

A drug may rescue at a middle dose and kill at the highest, so ρ is of the dose that moves the
disease line most towards its control (`best_dose`). It was chosen for its effect: its intervals
hold for all doses that were looked at at once (Šidák, as for effects).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from phenotypes.columns.statuses import RescueStatus

OVERSHOOT, LOST_CELLS = 1.2, 0.20
MIN_BATCHES = 2
LIKELY = 0.9


@dataclass(frozen=True)
class Rescue:
    """Rescue with its Fieller interval, or the reason why there is none.

    `interaction` is the effect on the disease line less that on the isogenic line, with its 95 %
    interval; `window` is the mean gap between the lines' vehicles; `flags` are remarks.
    """

    status: RescueStatus
    reason: str
    rho: float | None = None
    low: float | None = None
    high: float | None = None
    interaction: float | None = None
    interaction_low: float | None = None
    interaction_high: float | None = None
    window: float | None = None
    window_low: float | None = None
    window_high: float | None = None
    flags: tuple[str, ...] = ()


def fieller(
    numerator: ArrayLike, denominator: ArrayLike, confidence: float = 0.95
) -> tuple[float, float, float] | None:
    """(ratio, low, high) of two means over the same batches, by Fieller's theorem.

    None where the denominator may be 0: the interval is then unbounded.
    """
    a, b = np.asarray(numerator, float), np.asarray(denominator, float)
    n = len(a)
    covariance = np.cov(a, b) / n
    t2 = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) ** 2
    ma, mb = a.mean(), b.mean()
    g = t2 * covariance[1, 1] / mb**2
    if g >= 1:
        return None
    middle = ma * mb - t2 * covariance[0, 1]
    discriminant = middle**2 - (mb**2 - t2 * covariance[1, 1]) * (ma**2 - t2 * covariance[0, 0])
    below = mb**2 - t2 * covariance[1, 1]
    root = float(np.sqrt(max(discriminant, 0.0)))
    return float(ma / mb), float((middle - root) / below), float((middle + root) / below)


def rescue(
    drug: ArrayLike,
    window: ArrayLike,
    isogenic: ArrayLike | None = None,
    live_ratio: float | None = None,
    n_doses: int = 1,
) -> Rescue:
    """Estimate the rescue from batch means, one entry per batch in which all were measured.

    Parameters
    ----------
    drug
        Effect of the drug on the disease line (drug − vehicle, on the phenotype's scale).
    window
        Isogenic vehicle − disease vehicle.
    isogenic
        Effect of the drug on the isogenic line; NaN in batches where it was not measured. The
        interaction is taken over the others.
    live_ratio
        Live cells under the drug / under vehicle, for the flag; None where they were not counted,
        which is flagged too.
    n_doses
        Doses of which this one was chosen for its effect. The intervals of ρ and of the interaction
        hold for all of them at once.
    """
    confidence = 0.95 ** (1 / n_doses)
    effect, gap = np.asarray(drug, float), np.asarray(window, float)
    if len(effect) < MIN_BATCHES:
        return Rescue(
            RescueStatus.TOO_FEW_BATCHES,
            f"{len(effect)} batch in which drug, vehicle and isogenic control were all measured; 2"
            " are needed",
        )
    low, high = mean_interval(gap)
    result = Rescue(
        RescueStatus.NOT_EXPRESSED, "", window=float(gap.mean()), window_low=low, window_high=high
    )
    if high - low <= 1e-12 * max(1.0, abs(high)):
        reason = (
            "all batches gave the very same window: without scatter nothing can be said of another"
            " batch"
        )
        return replace(
            result,
            status=RescueStatus.NO_VARIATION,
            reason=reason,
            window_low=None,
            window_high=None,
        )
    if low <= 0 <= high:
        reason = (
            f"isogenic and disease vehicle differ by {gap.mean():.3g} (95 % {low:.3g} …"
            f" {high:.3g}), which includes 0: there is nothing to rescue"
        )
        return replace(result, reason=reason)
    flags = []
    isogenic_effect = (
        np.full(len(effect), np.nan) if isogenic is None else np.asarray(isogenic, float)
    )
    both = np.isfinite(isogenic_effect)
    if both.sum() < 2:
        flags.append(
            f"specificity not assessed: the isogenic line had the drug in {int(both.sum())} of"
            " these batches"
        )
    else:
        difference = (effect - isogenic_effect)[both]
        least, most = mean_interval(difference, confidence)
        result = replace(
            result,
            interaction=float(difference.mean()),
            interaction_low=least,
            interaction_high=most,
        )
        if not both.all():
            flags.append(f"interaction over {int(both.sum())} of {len(effect)} batches")
        isogenic_low, isogenic_high = mean_interval(isogenic_effect[both])
        if least <= 0 <= most:
            alike = isogenic_low > 0 < effect.mean() or isogenic_high < 0 > effect.mean()
            flags.append(
                "trophic: the drug does the isogenic line as much"
                if alike
                else "specificity not shown: the interaction includes 0"
            )
    if live_ratio is None:
        flags.append("loss of cells not assessed: live_density is not among the phenotypes")
    elif live_ratio < 1 - LOST_CELLS:
        flags.append(f"{1 - live_ratio:.0%} of live cells are lost")
    ratio = fieller(effect, gap, confidence)
    if ratio is None:
        return replace(
            result,
            status=RescueStatus.UNBOUNDED,
            reason="the window is too uncertain for a ratio to it"
            + (f" that holds at all of {n_doses} doses" if n_doses > 1 else ""),
            flags=tuple(flags),
        )
    rho, low, high = ratio
    if rho > OVERSHOOT:
        flags.append(f"overshoots the isogenic state (ρ {rho:.2f})")
    return replace(result, status=RescueStatus.OK, rho=rho, low=low, high=high, flags=tuple(flags))


def best_dose(
    effects: Mapping[float, Mapping[str, float]],
    gaps: Mapping[str, float],
    live: Mapping[float, float],
) -> tuple[float, int, int] | None:
    """Find the dose that moves a disease line most towards its isogenic control.

    Parameters
    ----------
    effects
        Dose ► batch ► effect on the disease line.
    gaps
        Batch ► isogenic vehicle − disease vehicle.
    live
        Dose ► live cells under the drug / under vehicle, where they were counted. Doses that lose
        more than LOST_CELLS are left out as long as there are others.

    Returns
    -------
    (dose, doses looked at, doses left out), or None without a dose in two batches with a gap. The
    mean effect counts times the root of its batches: all doses are taken to scatter alike, since
    few batches hardly tell.

    Examples
    --------
    >>> effects = {1e-6: {"b1": 0.5, "b2": 0.4}, 1e-5: {"b1": -0.2, "b2": -0.3}}
    >>> best_dose(effects, {"b1": 1.0, "b2": 1.0}, {})
    (1e-06, 2, 0)
    """
    measured = {
        dose: values
        for dose, by_batch in effects.items()
        if len(values := [e for b, e in by_batch.items() if b in gaps]) >= MIN_BATCHES
    }
    alive = {d: v for d, v in measured.items() if live.get(d, 1.0) >= 1 - LOST_CELLS}
    looked_at = alive or measured
    if not looked_at:
        return None
    batches = {b for d in looked_at for b in effects[d] if b in gaps}
    towards = np.sign(np.mean([gaps[b] for b in sorted(batches)]))
    score = {d: towards * float(np.mean(v)) * np.sqrt(len(v)) for d, v in looked_at.items()}
    return max(score, key=lambda d: (score[d], -d)), len(looked_at), len(measured) - len(looked_at)


def mean_interval(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of batch values, by Student's t."""
    quantile = stats.t.ppf(0.5 + confidence / 2, len(values) - 1)
    half_width = float(quantile * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean() - half_width), float(values.mean() + half_width)


def responder_class(
    effect: ArrayLike, error: ArrayLike, degrees: ArrayLike, floor: ArrayLike
) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """(class, P(effect > floor)) of lines that show the phenotype.

    Effects are oriented so that positive is good.

    The posterior under a flat prior is Student's t about the estimate. "responder" from P ≥ 0.9,
    "non_responder" from P ≤ 0.1, else "indeterminate".
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (np.asarray(floor, float) - np.asarray(effect, float)) / np.asarray(error, float)
    probability = np.asarray(stats.t.sf(distance, np.asarray(degrees, float)), np.float64)
    classes = np.where(
        probability >= LIKELY,
        "responder",
        np.where(probability <= 1 - LIKELY, "non_responder", "indeterminate"),
    )
    return np.asarray(classes, np.str_), probability
