"""Variances borrowed over rows: the moderated t of many rows with few batches each.

Three batches tell a row's variance within a factor of five, so a plain t with 2 degrees of freedom
finds nothing. Rows of one phenotype are measured alike: their variances scatter about a common one.
That common variance and its worth in degrees of freedom are estimated from all of them, and each
row's own variance is drawn towards it (Smyth, Stat. Appl. Genet. Mol. Biol. 3:3, 2004). A compound
noisier than the rest keeps most of its own variance, as the worth of the common one falls where
rows differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

Real = NDArray[np.float64]
MIN_ROWS = 10
# Rows whose batches agree to the last digit, under this share of the median variance, have no
# logarithm that would mean anything: one of them would halve the common variance.
_LEAST_SHARE = 1e-12


@dataclass(frozen=True)
class VariancePrior:
    """Variance that rows have in common, and its worth in degrees of freedom.

    `freedom` is infinite where rows differ no more than chance makes them. `most` bounds the
    degrees of freedom of any row by those of all rows together.
    """

    variance: float
    freedom: float
    most: float
    n_rows: int

    def moderated(self, variances: ArrayLike, freedom: ArrayLike) -> tuple[Real, Real]:
        """Draw rows' variances towards the common one.

        Parameters
        ----------
        variances, freedom
            Variance of each row and its degrees of freedom.

        Returns
        -------
        Variances and degrees of freedom of the same shape.

        Examples
        --------
        >>> VariancePrior(variance=0.04, freedom=4.0, most=100.0, n_rows=50).moderated([0.1], [2.0])
        (array([0.06]), array([6.]))
        """
        own, degrees = np.asarray(variances, float), np.asarray(freedom, float)
        if np.isinf(self.freedom):
            return np.full_like(own, self.variance), np.full_like(own, self.most)
        total = self.freedom + degrees
        return (
            (self.freedom * self.variance + degrees * own) / total,
            np.minimum(total, self.most),
        )


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
    own, degrees = np.asarray(variances, float), np.asarray(freedom, float)
    if not (np.isfinite(own).all() and (own >= 0).all() and (degrees > 0).all()):
        raise ValueError(
            "a variance is negative or not finite, or its degrees of freedom are not positive;"
            " leave out such rows first"
        )
    total = float(degrees.sum()) if most is None else float(most)
    median = float(np.median(own)) if len(own) else 0.0
    varied = own > _LEAST_SHARE * median
    own, degrees = own[varied], degrees[varied]
    if len(own) < MIN_ROWS or median == 0:
        return None
    # The logarithm of a scaled F: its variance beyond what the rows' own degrees of freedom make is
    # the scatter of the true variances.
    logs = np.log(own) - special.digamma(degrees / 2) + np.log(degrees / 2)
    beyond = float(logs.var(ddof=1) - special.polygamma(1, degrees / 2).mean())
    if beyond <= 0:
        return VariancePrior(float(own.mean()), np.inf, total, len(own))
    half = _inverse_trigamma(beyond)
    variance = float(np.exp(logs.mean() + special.digamma(half) - np.log(half)))
    return VariancePrior(variance, 2 * half, total, len(own))


def estimated_freedom(prior_freedom: float, freedom: float, n_rows: float) -> tuple[float, float]:
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

    Examples
    --------
    >>> low, high = estimated_freedom(np.inf, 2.0, 40)
    >>> round(low, 1), high
    (6.6, inf)
    """
    half, common = freedom / 2, prior_freedom / 2
    beyond = 0.0 if np.isinf(common) else float(special.polygamma(1, common))
    fourth = float(special.polygamma(3, half))
    fourth += 0.0 if np.isinf(common) else float(special.polygamma(3, common))
    scatter = float(special.polygamma(1, half)) + beyond
    # Variance of a sample variance, from the second and fourth cumulants of the logarithms.
    error = float(np.sqrt((fourth + 2 * scatter**2) / n_rows))
    ends = [beyond + special.ndtri(level) * error for level in (0.75, 0.25)]
    low, high = (2 * _inverse_trigamma(end) if end > 0 else np.inf for end in ends)
    return float(low), float(high)


def _inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value for x > 0."""

    def excess(logarithm: float) -> float:
        return float(np.log(special.polygamma(1, np.exp(logarithm))) - np.log(value))

    # trigamma(x) lies between 1/x and 1/x + 1/x².
    low, high = np.log(1 / value), np.log((1 + np.sqrt(1 + 4 * value)) / (2 * value))
    return float(np.exp(optimize.brentq(excess, low - 1e-9, high + 1e-9, xtol=1e-14)))
