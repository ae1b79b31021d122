"""Secondary analysis: a mixed model over batch means, donors crossed with batches.

    y_db = µ + u_d + s_b + e_db

Where every donor has batches of its own, s_b and e_db are one.

statsmodels' MixedLM, by restricted maximum likelihood, can end with a variance component of 0 and a
fixed effect of exactly 0.0 while reporting convergence, and its optimisers raise where donors do
not differ. Its estimate is therefore used only where no variance component is 0 and the mean lies
in the range of the donor means; else the interval of the primary analysis is given, and the status
says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.statuses import MixedModelStatus
from phenotypes.statistics.crossed import CrossedMean, crossed_design, crossed_mean
from phenotypes.statistics.meta_analysis import MIN_STUDIES
from phenotypes.statistics.units import far_exponent

Real = NDArray[np.float64]
# A variance component under this share of the residual variance has collapsed.
_LEAST_SHARE = 1e-4


def donor_model(effects: Real, donors: Sequence[str], batches: Sequence[str]) -> dict[str, object]:
    """Fit the mixed model to one effect per donor and batch.

    Returns
    -------
    `mixed_status`, and `mixed_effect` with its 95 % interval (Student's t with the degrees of
    freedom of the primary analysis). Status `ok`; `collapsed` or `not_converged`, with the numbers
    of the primary analysis; `too_few_donors`, without a number.
    """
    k = len(set(donors))
    if k < MIN_STUDIES:
        return {"mixed_status": MixedModelStatus.TOO_FEW_DONORS}
    design = crossed_design(donors, batches)
    exponent = far_exponent(effects)
    effects = np.ldexp(effects, -exponent)
    primary = crossed_mean(effects, design)
    if primary is None:
        return {"mixed_status": MixedModelStatus.COLLAPSED}
    donor = np.unique(donors, return_inverse=True)[1]
    batch = np.unique(batches, return_inverse=True)[1] if design.shared else None
    status, mean, error = _fit(effects, donor, batch, primary)
    if status != MixedModelStatus.OK:
        mean, error = primary.mean, primary.error
    half_width = float(stats.t.ppf(0.975, primary.freedom)) * error
    return {
        "mixed_status": status,
        "mixed_effect": float(np.ldexp(mean, exponent)),
        "mixed_effect_low": float(np.ldexp(mean - half_width, exponent)),
        "mixed_effect_high": float(np.ldexp(mean + half_width, exponent)),
    }


def _fit(
    effects: Real,
    donor: NDArray[np.int64],
    batch: NDArray[np.int64] | None,
    primary: CrossedMean,
) -> tuple[str, float, float]:
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    if primary.tau2 <= 0:
        return MixedModelStatus.COLLAPSED, 0.0, 0.0
    factors = {"donor": donor} if batch is None else {"donor": donor, "batch": batch}
    names = list(factors)
    indicators = [[np.eye(f.max() + 1)[f]] for f in factors.values()]
    columns = [[[str(i) for i in range(f.max() + 1)]] for f in factors.values()]
    one = np.ones(len(effects))
    with warnings.catch_warnings():
        # It warns of boundaries and gradients, which the checks below decide on.
        warnings.simplefilter("ignore")
        try:
            result = MixedLM(
                effects, one[:, None], groups=one, exog_vc=VCSpec(names, columns, indicators)
            ).fit(reml=True, method="bfgs")
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
            return MixedModelStatus.NOT_CONVERGED, 0.0, 0.0
    mean, error = float(result.fe_params[0]), float(result.bse_fe[0])
    components, within = np.asarray(result.vcomp, float), float(result.scale)
    if not result.converged or not np.isfinite([mean, error, *components]).all():
        return MixedModelStatus.NOT_CONVERGED, 0.0, 0.0
    means = np.bincount(donor, effects) / np.bincount(donor)
    collapsed = (components < _LEAST_SHARE * within).any() or mean == 0.0
    # Batches without scatter leave an error that is rounding.
    collapsed |= within < _LEAST_SHARE * components.max()
    if collapsed or not means.min() <= mean <= means.max():
        return MixedModelStatus.COLLAPSED, 0.0, 0.0
    return MixedModelStatus.OK, mean, error
