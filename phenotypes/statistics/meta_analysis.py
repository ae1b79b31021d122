"""Random-effects meta-analysis: mean effect over donors, and how much donors differ.

y_i = µ + u_i + e_i with u ~ N(0, τ²) and e_i ~ N(0, v_i). τ² by restricted maximum likelihood
(Fisher scoring, as Viechtbauer, J. Educ. Behav. Stat. 30:261, 2005), or by DerSimonian & Laird
(Control. Clin. Trials 7:177, 1986) where that does not converge. Interval and p by Hartung and
Knapp (Stat. Med. 20:3875, 2001), which hold with few donors, unlike the normal approximation. The
prediction interval says where the effect on the next donor is expected (Higgins, Thompson &
Spiegelhalter, J. R. Stat. Soc. A 172:137, 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from phenotypes.statistics.units import far_exponent

Real = NDArray[np.float64]
MIN_STUDIES = 3
_TOLERANCE, _MOST_STEPS = 1e-10, 500


@dataclass(frozen=True)
class MetaAnalysis:
    """Mean effect over donors, variance between donors, and prediction for another donor.

    Intervals are 95 %. `i2` is the share of the total variance that lies between donors; `q` and
    `q_p` are Cochran's test of homogeneity. `method` is the estimator of τ².
    """

    n: int
    mean: float
    error: float
    low: float
    high: float
    p_value: float
    tau2: float
    i2: float
    q: float
    q_p: float
    predicted_low: float
    predicted_high: float
    method: Literal["REML", "DerSimonian–Laird"]


def meta_analysis(effects: ArrayLike, variances: ArrayLike) -> MetaAnalysis:
    """Combine one effect per donor, with its sampling variance.

    Raises
    ------
    ValueError
        Under MIN_STUDIES donors; for effects that are not finite; for variances that are not
        positive.
    """
    y, v = np.asarray(effects, float), np.asarray(variances, float)
    if len(y) < MIN_STUDIES:
        raise ValueError(f"{len(y)} donors; a statement across donors needs {MIN_STUDIES}")
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise ValueError(
            "an effect is not finite, or a variance is not positive; leave out such donors first"
        )
    exponent = far_exponent(np.append(y, np.sqrt(v)))
    y, v = np.ldexp(y, -exponent), np.ldexp(v, -2 * exponent)
    k = len(y)
    w = 1 / v
    q = float((w * (y - np.average(y, weights=w)) ** 2).sum())
    dl = max(0.0, (q - (k - 1)) / float(w.sum() - (w**2).sum() / w.sum()))
    reml = _reml(y, v, dl)
    tau2 = dl if reml is None else reml
    w = 1 / (v + tau2)
    mean = float(np.average(y, weights=w))
    scale = float((w * (y - mean) ** 2).sum()) / (k - 1)
    error = float(np.sqrt(scale / w.sum()))
    t = float(stats.t.ppf(0.975, k - 1))
    # Higgins & Thompson's typical sampling variance.
    fixed = 1 / v
    typical = (k - 1) * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())
    spread = float(stats.t.ppf(0.975, k - 2)) * float(np.sqrt(tau2 + error**2))
    p = float(2 * stats.t.sf(abs(mean) / error, k - 1)) if error > 0 else float(mean == 0)
    return MetaAnalysis(
        k,
        float(np.ldexp(mean, exponent)),
        float(np.ldexp(error, exponent)),
        float(np.ldexp(mean - t * error, exponent)),
        float(np.ldexp(mean + t * error, exponent)),
        p,
        float(np.ldexp(tau2, 2 * exponent)),
        float(tau2 / (tau2 + typical)),
        q,
        float(stats.chi2.sf(q, k - 1)),
        float(np.ldexp(mean - spread, exponent)),
        float(np.ldexp(mean + spread, exponent)),
        "DerSimonian–Laird" if reml is None else "REML",
    )


def _reml(y: Real, v: Real, start: float) -> float | None:
    tau2 = start
    # Relative to the variances: effects have many units, and some are small.
    tolerance = _TOLERANCE * float(np.median(v))
    for _ in range(_MOST_STEPS):
        w = 1 / (v + tau2)
        mean = np.average(y, weights=w)
        # tr(P), tr(PP) and y'PPy of the projection P = W − W1(1'W1)⁻¹1'W.
        total, squares, cubes = w.sum(), (w**2).sum(), (w**3).sum()
        trace = total - squares / total
        trace2 = squares - 2 * cubes / total + (squares / total) ** 2
        residual = ((w * (y - mean)) ** 2).sum()
        step = (residual - trace) / trace2
        new = tau2 + step
        while new < 0 and abs(step) > tolerance:
            # Halve the step until τ² is not negative; it may be 0.
            step /= 2
            new = tau2 + step
        new = max(0.0, float(new))
        if abs(new - tau2) < tolerance + _TOLERANCE * tau2:
            return new
        tau2 = new
    return None
