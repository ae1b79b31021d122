"""Which neurons are motor neurons: one threshold on the identity marker per plate, or a refusal.

The logarithm of the nuclear intensity of all neurons of the plate is fitted with one and with two
Gaussians. Two are accepted if the Bayesian information criterion prefers them and they are apart as
two populations are (Ashman's D > 2; Ashman, Bird & Zepf, Astron. J. 108:2348, 1994): with thousands
of cells the criterion alone would split any skewed single population. Else the threshold comes from
negative wells (secondary antibody only); else there is none, and no cell is called.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phenotypes.columns.statuses import Status

MIN_CELLS = 100
MIN_NEGATIVE = 50
_MOST_CELLS = 20_000
_LEAST_D, _LEAST_SHARE, _LEAST_BIC_GAIN = 2.0, 0.02, 10.0


class IdentityStatus(Status):
    """Whether there is a threshold."""

    OK = "ok"
    REFUSED = "refused"


@dataclass(frozen=True)
class IdentityThreshold:
    """`threshold` in grey levels above background; None with the reason if it was refused."""

    status: IdentityStatus
    reason: str
    threshold: float | None = None


def identity_threshold(neurons: ArrayLike, negative: ArrayLike = ()) -> IdentityThreshold:
    """The plate's threshold from neurons, and from nuclei in negative wells.

    Both are nuclear intensities in grey levels above background.
    """
    values = _logs(neurons)
    why = f"only {len(values)} neurons above background, {MIN_CELLS} are needed"
    if len(values) >= MIN_CELLS:
        boundary = _mixture(values)
        if isinstance(boundary, float):
            return IdentityThreshold(
                IdentityStatus.OK,
                "two-component mixture of log intensity, preferred by BIC",
                float(np.exp(boundary)),
            )
        why = boundary
    dark = _logs(negative)
    if len(dark) >= MIN_NEGATIVE:
        middle = float(np.median(dark))
        top = middle + 3 * 1.4826 * float(np.median(np.abs(dark - middle)))
        return IdentityThreshold(
            IdentityStatus.OK,
            f"median + 3 robust SD of {len(dark)} nuclei in negative wells, since {why}",
            float(np.exp(top)),
        )
    return IdentityThreshold(
        IdentityStatus.REFUSED,
        f"identity_not_separable: {why}, and negative wells have {len(dark)} nuclei above"
        f" background ({MIN_NEGATIVE} are needed)",
    )


def _logs(intensities: ArrayLike) -> NDArray[np.float64]:
    """Logarithms of the positive values, thinned evenly in order of size to at most _MOST_CELLS."""
    values = np.asarray(intensities, float)
    values = np.sort(values[np.isfinite(values) & (values > 0)])
    if len(values) > _MOST_CELLS:
        values = values[np.linspace(0, len(values) - 1, _MOST_CELLS).round().astype(int)]
    return np.asarray(np.log(values), float)


def _mixture(values: NDArray[np.float64]) -> float | str:
    """Log threshold where both components are equally likely, or why there is none."""
    from sklearn.mixture import GaussianMixture

    column = values[:, None]
    one = GaussianMixture(1, random_state=0).fit(column)
    # From the quartiles, not from a random draw: the same plate gives the same threshold.
    start = np.quantile(values, [0.25, 0.75])[:, None]
    two = GaussianMixture(2, means_init=start, random_state=0, max_iter=500, tol=1e-5).fit(column)
    gain = float(one.bic(column) - two.bic(column))
    if gain < _LEAST_BIC_GAIN:
        return (
            f"BIC prefers one component (by {-gain:.0f})"
            if gain < 0
            else f"BIC prefers two components by {gain:.0f} only"
        )
    mean, sd, weight = two.means_.ravel(), np.sqrt(two.covariances_.ravel()), two.weights_
    apart = float(np.sqrt(2) * abs(mean[0] - mean[1]) / np.hypot(sd[0], sd[1]))
    if apart < _LEAST_D:
        return f"the two components overlap (Ashman's D {apart:.2f}, {_LEAST_D:g} is needed)"
    if weight.min() < _LEAST_SHARE:
        return f"the smaller component holds {weight.min():.1%} of the neurons only"
    low, high = np.argsort(mean)
    grid = np.linspace(mean[low], mean[high], 2001)
    log_odds = [
        np.log(weight[k] / sd[k]) - ((grid - mean[k]) / sd[k]) ** 2 / 2 for k in (low, high)
    ]
    return float(grid[np.argmin(np.abs(log_odds[1] - log_odds[0]))])
