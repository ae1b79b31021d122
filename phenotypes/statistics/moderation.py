"""Variances borrowed over rows: the moderated t of many rows with few batches each.

Three batches tell a row's variance within a factor of five, so a plain t with 2 degrees of freedom
finds nothing. Rows of one phenotype are measured alike: their variances scatter about a common one.
That common variance and its worth in degrees of freedom are estimated from all of them, and each
row's own variance is drawn towards it (Smyth, Stat. Appl. Genet. Mol. Biol. 3:3, 2004). A compound
noisier than the rest keeps most of its own variance, as the worth of the common one falls where
rows differ.

A few dozen rows estimate that worth imprecisely. Where it is overestimated, noisy rows whose own
variance happened to be small are called: of thirty compounds, a fifth of them four times noisier,
8 % of the calls at a false discovery rate of 5 %. Such families take the lower quartile of the
worth (`cautious`). The worth is told by the sample variance of the logarithms, whose distribution
is taken as chi-squared: it is skewed, and the quartile of a normal distribution would overrate the
worth in a third of the families of twelve rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

Real = NDArray[np.float64]
MIN_ROWS = 10
# Rows whose batches agree to the last digit, under this share of the median variance, have no
# logarithm that would mean anything: one of them would halve the common variance.
_LEAST_SHARE = 1e-12
# Variance of logarithms under which the true variances count as one.
_LEAST_BEYOND = 1e-9
_QUARTILE = 0.25


@dataclass(frozen=True)
class VariancePrior:
    """Variance that rows have in common, and its worth in degrees of freedom.

    `freedom` is infinite where rows differ no more than chance makes them; `lower_freedom` is the
    lower quartile of what it may be, as so many rows tell it. `most` bounds the degrees of freedom
    of any row by those of all rows together.
    """

    variance: float
    freedom: float
    most: float
    n_rows: int
    lower_freedom: float

    def moderated(
        self, variances: ArrayLike, freedom: ArrayLike, *, cautious: bool = False
    ) -> tuple[Real, Real]:
        """Draw rows' variances towards the common one.

        Parameters
        ----------
        variances, freedom
            Variance of each row and its degrees of freedom.
        cautious
            The common variance is worth `lower_freedom`: for families of a few dozen rows.

        Returns
        -------
        Variances and degrees of freedom of the same shape.

        Examples
        --------
        >>> prior = VariancePrior(0.04, freedom=4.0, most=100.0, n_rows=50, lower_freedom=2.0)
        >>> prior.moderated([0.1], [2.0])
        (array([0.06]), array([6.]))
        >>> prior.moderated([0.1], [2.0], cautious=True)
        (array([0.07]), array([4.]))
        """
        observed, degrees = np.asarray(variances, float), np.asarray(freedom, float)
        worth = self.lower_freedom if cautious else self.freedom
        if np.isinf(worth):
            return np.full_like(observed, self.variance), np.full_like(observed, self.most)
        total = worth + degrees
        return (worth * self.variance + degrees * observed) / total, np.minimum(total, self.most)


def variance_prior(
    variances: ArrayLike, freedom: ArrayLike, *, most: float | None = None
) -> VariancePrior | None:
    """Estimate the common variance of rows, by the moments of the logarithms of their variances.

    Parameters
    ----------
    variances
        Sample variance of each row, of shape (rows,).
    freedom
        Degrees of freedom of each, > 0.
    most
        Degrees of freedom of all rows together, where rows are not independent; their sum if not
        given.

    Returns
    -------
    None under MIN_ROWS rows that vary, or where half of the rows do not.

    Raises
    ------
    ValueError
        For variances that are negative or not finite, or degrees of freedom that are not positive.

    Examples
    --------
    >>> variance_prior([0.03, 0.05, 0.04] * 4, [3] * 12).freedom
    inf
    """
    observed, degrees = np.asarray(variances, float), np.asarray(freedom, float)
    if not (np.isfinite(observed).all() and (observed >= 0).all() and (degrees > 0).all()):
        raise ValueError(
            "a variance is negative or not finite, or its degrees of freedom are not positive;"
            " leave out such rows first"
        )
    total = float(degrees.sum()) if most is None else float(most)
    median = float(np.median(observed)) if len(observed) else 0.0
    varied = observed > _LEAST_SHARE * median
    observed, degrees = observed[varied], degrees[varied]
    if len(observed) < MIN_ROWS or median == 0:
        return None
    # The logarithm of a scaled F: its variance beyond what the rows' own degrees of freedom make is
    # the scatter of the true variances.
    logs = np.log(observed) - special.digamma(degrees / 2) + np.log(degrees / 2)
    scatter = float(logs.var(ddof=1))
    chance = float(special.polygamma(1, degrees / 2).mean())
    beyond = scatter - chance
    share = _scatter_share(max(beyond, 0.0), degrees / 2, len(observed), _QUARTILE)
    upper = scatter / share - chance
    lower_freedom = 2 * _inverse_trigamma(upper) if upper > 0 else np.inf
    if beyond <= 0:
        return VariancePrior(float(observed.mean()), np.inf, total, len(observed), lower_freedom)
    half = _inverse_trigamma(beyond)
    variance = float(np.exp(logs.mean() + special.digamma(half) - np.log(half)))
    return VariancePrior(variance, 2 * half, total, len(observed), lower_freedom)


def _scatter_share(beyond: float, halves: Real, n_rows: float, quantile: float) -> float:
    """Quantile of the sample variance of the rows' logarithms, as a share of the true variance.

    That of the chi-squared distribution with the same variance, from the second and fourth
    cumulants of the logarithms. `halves` are half of the rows' degrees of freedom, `beyond` the
    variance of the logarithms of the true variances.
    """
    fourth = float(special.polygamma(3, halves).mean())
    if beyond > _LEAST_BEYOND:
        fourth += float(special.polygamma(3, _inverse_trigamma(beyond)))
    scatter = float(special.polygamma(1, halves).mean()) + beyond
    degrees = 2 * n_rows / (fourth / scatter**2 + 2)
    return float(stats.chi2.ppf(quantile, degrees)) / degrees


def estimated_freedom(
    prior_freedom: float, freedom: float, n_rows: float, *, cautious: bool = False
) -> tuple[float, float]:
    """What screens make of the common variance's worth: its quartiles over screens.

    The worth is told by the scatter of the logarithms of the rows' variances, which is itself
    estimated: where rows do not differ at all, half of the screens find it infinite, and the other
    half a finite one.

    Parameters
    ----------
    prior_freedom
        True degrees of freedom of the common variance; infinite where rows do not differ.
    freedom, n_rows
        Degrees of freedom of each row, and how many independent rows there are.
    cautious
        Of the lower quartile that each screen would take.

    Examples
    --------
    >>> low, high = estimated_freedom(np.inf, 2.0, 40)
    >>> round(low, 1), high
    (7.0, inf)
    """
    beyond = 0.0 if np.isinf(prior_freedom) else float(special.polygamma(1, prior_freedom / 2))
    halves = np.array([freedom / 2])
    chance = float(special.polygamma(1, halves[0]))
    taken = _scatter_share(beyond, halves, n_rows, _QUARTILE) if cautious else 1.0
    ends = [
        (beyond + chance) * _scatter_share(beyond, halves, n_rows, share) / taken - chance
        for share in (1 - _QUARTILE, _QUARTILE)
    ]
    low, high = (2 * _inverse_trigamma(end) if end > 0 else np.inf for end in ends)
    return float(low), float(high)


def _inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value for x > 0."""

    def excess(logarithm: float) -> float:
        return float(np.log(special.polygamma(1, np.exp(logarithm))) - np.log(value))

    # trigamma(x) lies between 1/x and 1/x + 1/x².
    low, high = np.log(1 / value), np.log((1 + np.sqrt(1 + 4 * value)) / (2 * value))
    return float(np.exp(optimize.brentq(excess, low - 1e-9, high + 1e-9, xtol=1e-14)))
