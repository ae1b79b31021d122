"""Whether the means at the doses agree with a curve, and whether they rise and fall.

The scatter of replicates about the mean of their dose (pure error) says how far these means may
lie from any true curve. Lack of fit is the F test of what a curve leaves of them beyond that
(Draper & Smith, Applied Regression Analysis, 1998, §2.1). Where a curve does not fit, its EC50
and its effects describe nothing: the means themselves do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from plate_maps.conditions import format_dose

Real = NDArray[np.float64]
# The means disagree with a curve where chance would do so once in a hundred true curves.
FIT_ALPHA = 0.01
# … and by more than this share of their range (root mean square). No curve is exact: on replicates
# that agree well a misfit of 2 % is significant, and changes neither EC50 nor effects.
MATERIAL = 0.05
_REVERSAL_ALPHA = 0.05
# Least degrees of freedom of the pure error for either test.
MIN_REPLICATES = 3


@dataclass(frozen=True)
class DoseMeans:
    """Mean response at each dose, ascending, vehicle (0) first, with the scatter of replicates.

    `weight` is the number of wells, or their sum over batches. `error` is the sum of squares of
    replicates about their mean on `degrees` degrees of freedom.
    """

    dose: Real
    mean: Real
    weight: Real
    error: float
    degrees: int

    @property
    def variance(self) -> float:
        """Variance of replicates of weight 1."""
        return self.error / self.degrees

    def points(self) -> tuple[tuple[float, float], ...]:
        """(dose, mean response) of each dose."""
        return tuple(zip(self.dose.tolist(), self.mean.tolist(), strict=True))


def means_of_wells(x: Real, y: Real) -> DoseMeans:
    """Means of wells at each dose."""
    dose, number = np.unique(x, return_inverse=True)
    weight = np.bincount(number).astype(float)
    mean = np.bincount(number, weights=y) / weight
    error = float(((y - mean[number]) ** 2).sum())
    return DoseMeans(dose, mean, weight, error, len(y) - len(dose))


def lack_of_fit(rss: float, parameters: int, means: DoseMeans, groups: int) -> float | None:
    """P value of no lack of fit; None without replicates, or without a dose more than parameters.

    `rss` is what the best curve leaves of the same points, `groups` the number of means it is
    fitted to.
    """
    doses = groups - parameters
    if means.degrees < MIN_REPLICATES or doses < 1:
        return None
    excess = max(rss - means.error, 0.0)
    if excess <= 1e-9 * max(rss, float((means.mean**2).sum())):
        return 1.0
    if means.error <= 0:
        return 0.0
    return float(stats.f.sf(excess / doses / means.variance, doses, means.degrees))


def misfit(rss: float, parameters: int, means: DoseMeans, groups: int) -> float:
    """What a curve leaves of the means beyond chance, as a share of their range.

    Root mean square over doses, weighted; arguments as for `lack_of_fit`.

    Examples
    --------
    >>> means = DoseMeans(np.arange(6.0), np.array([0, 0, 0, 9, 10, 10.0]), np.ones(6), 0.6, 6)
    >>> f"{misfit(rss=2.0, parameters=4, means=means, groups=6):.2f}"
    '0.04'
    """
    span = float(np.ptp(means.mean))
    if means.degrees < MIN_REPLICATES or span <= 0:
        return 0.0
    beyond = rss - means.error - max(groups - parameters, 0) * means.variance
    return float(np.sqrt(max(beyond, 0.0) / means.weight.sum())) / span


def misses(p: float, share: float) -> str:
    """Remark on a curve that is kept although its means lie off it by more than chance."""
    return (
        f"the means lie off the curve by {share:.1%} of their range, more than replicates explain"
        f" (p = {p:.2g})"
    )


def reversal(means: DoseMeans) -> str:
    """Where the means both rise and fall by more than chance, in words; else nothing.

    Each by Tukey's range test over all pairs of doses (with Kramer's weights), so a rise or a fall
    is seen by chance in at most 5 % of curves that only fall or only rise.
    """
    if means.degrees < MIN_REPLICATES:
        return ""
    n = len(means.dose)
    # [i, j]: change from dose i to the higher dose j, in standard errors.
    change = means.mean[None, :] - means.mean[:, None]
    error = np.sqrt(means.variance * (1 / means.weight[None, :] + 1 / means.weight[:, None]))
    later = np.triu(np.ones((n, n), dtype=bool), 1)
    scaled = np.where(later, change / np.maximum(error, 1e-300), 0.0)
    limit = _range_limit(n, means.degrees)
    if scaled.max() < limit or -scaled.min() < limit:
        return ""
    rise = np.unravel_index(scaled.argmax(), scaled.shape)
    fall = np.unravel_index(scaled.argmin(), scaled.shape)
    parts = [
        f"{verb} from {means.mean[i]:.3g} at {_name(means.dose[i])} to {means.mean[j]:.3g} at"
        f" {_name(means.dose[j])}"
        for verb, (i, j) in sorted((("rises", rise), ("falls", fall)), key=lambda part: part[1])
    ]
    return f"the response {' and '.join(parts)}"


@lru_cache(maxsize=256)
def _range_limit(n: int, degrees: float) -> float:
    """Quantile of Tukey's range of n means, for differences in standard errors.

    It takes a fifth of a second, and the rows of a screen share a few designs.
    """
    return float(stats.studentized_range.ppf(1 - _REVERSAL_ALPHA, n, degrees) / np.sqrt(2))


def _name(dose: float) -> str:
    return format_dose(dose) if dose > 0 else "vehicle"


def response_score(curve: Real, means: Real, points: int, doses: int) -> Real:
    """Evidence against a constant: of the best curve, or of the means at the doses.

    Parameters
    ----------
    curve, means
        Shares (…) of the sum of squares that the best curve and the means explain.
    points, doses
        Points that the shares are of, after those spent on levels, and number of means among them.

    Returns
    -------
    −log of the smaller of two tail probabilities of F. Curves have three parameters; means are
    weighed at a quarter, since they are there for responses that no curve follows. Only the order
    of the scores counts: their distribution without a response is drawn.
    """
    left = points - 4
    of_curve = special.betainc(left / 2, 1.5, np.clip(1 - curve, 0, 1))
    if points - doses < MIN_REPLICATES:
        return -np.log(np.maximum(of_curve, 1e-300))
    of_means = special.betainc((points - doses) / 2, (doses - 1) / 2, np.clip(1 - means, 0, 1))
    return np.asarray(-np.log(np.maximum(np.minimum(of_curve, 4 * of_means), 1e-300)))
