"""Secondary analysis: a mixed model over batch means with the donor as random effect.

    y_db = µ + u_d + e_db

statsmodels' MixedLM, by restricted maximum likelihood, can end with a variance component of 0 and a
fixed effect of exactly 0.0 while reporting convergence, and its optimisers raise where donors do
not differ. Its estimate is therefore used only where the variance component is not 0 and the mean
lies in the range of the donor means; else the mean over donor means is given, and the status says
so.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.statuses import MixedModelStatus
from phenotypes.statistics.meta_analysis import MIN_STUDIES

Real = NDArray[np.float64]
# A variance component under this share of the residual variance has collapsed.
_LEAST_SHARE = 1e-4


def donor_model(effects: Real, donors: Sequence[str]) -> dict[str, object]:
    """Fit the mixed model to one effect per batch and line, with the donor of each.

    Returns
    -------
    `mixed_status`, and `mixed_effect` with its 95 % interval (Student's t with donors − 1 degrees
    of freedom). Status `ok`; `collapsed` or `not_converged`, with the mean over donor means;
    `too_few_donors`, without a number.
    """
    names, donor = np.unique(donors, return_inverse=True)
    k = len(names)
    if k < MIN_STUDIES:
        return {"mixed_status": MixedModelStatus.TOO_FEW_DONORS}
    means = np.bincount(donor, effects) / np.bincount(donor)
    status, mean, error = _fit(effects, donor, means)
    if status != MixedModelStatus.OK:
        mean, error = float(means.mean()), float(means.std(ddof=1) / np.sqrt(k))
    half_width = float(stats.t.ppf(0.975, k - 1)) * error
    return {
        "mixed_status": status,
        "mixed_effect": mean,
        "mixed_effect_low": mean - half_width,
        "mixed_effect_high": mean + half_width,
    }


def _component(effects: Real, donor: NDArray[np.int64], means: Real) -> float:
    """Variance between donors over that within, by analysis of variance: the starting value.

    Not positive where donors do not differ.
    """
    n = np.bincount(donor)
    degrees = len(effects) - len(n)
    within = float(((effects - means[donor]) ** 2).sum()) / degrees if degrees > 0 else 0.0
    if within <= 0:
        return 0.0
    between = float((n * (means - effects.mean()) ** 2).sum()) / (len(n) - 1)
    size = (len(effects) - float((n**2).sum()) / len(effects)) / (len(n) - 1)
    return (between - within) / size / within


def _fit(effects: Real, donor: NDArray[np.int64], means: Real) -> tuple[str, float, float]:
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

    start = _component(effects, donor, means)
    if start <= 0:
        return MixedModelStatus.COLLAPSED, 0.0, 0.0
    with warnings.catch_warnings():
        # It warns of boundaries and gradients, which the checks below decide on.
        warnings.simplefilter("ignore")
        try:
            start_params = MixedLMParams.from_components(
                fe_params=np.array([means.mean()]), cov_re=np.array([[start]])
            )
            result = MixedLM(effects, np.ones((len(effects), 1)), groups=donor).fit(
                reml=True, method="bfgs", start_params=start_params
            )
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
            return MixedModelStatus.NOT_CONVERGED, 0.0, 0.0
    mean, error = float(result.fe_params[0]), float(result.bse_fe[0])
    between, within = float(result.cov_re[0, 0]), float(result.scale)
    if not result.converged or not np.isfinite([mean, error, between]).all():
        return MixedModelStatus.NOT_CONVERGED, 0.0, 0.0
    if between < _LEAST_SHARE * within or mean == 0.0 or not means.min() <= mean <= means.max():
        return MixedModelStatus.COLLAPSED, 0.0, 0.0
    return MixedModelStatus.OK, mean, error
