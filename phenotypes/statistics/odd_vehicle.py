"""Vehicle wells that lie far from the other vehicle wells of their line.

Each is compared with the mean of the others by a deleted residual (Cook & Weisberg, Residuals and
Influence in Regression, 1982, §2.2.2). A few vehicle wells hardly show their own scatter, so that
of replicates at all doses is used, or that of the other vehicle wells where it is larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from phenotypes.statistics.curves.lack_of_fit import MIN_REPLICATES, means_of_wells
from phenotypes.statistics.units import far_exponent

Real = NDArray[np.float64]
# Chance that any vehicle well of a row is called odd where none is.
_ALPHA = 0.001
_MIN_WELLS = 3


def odd_vehicles(dose: Real, response: Real) -> NDArray[np.intp]:
    """Places of the vehicle wells (dose 0) that lie far from the others; none under three."""
    vehicle = np.flatnonzero(dose == 0)
    if len(vehicle) < _MIN_WELLS:
        return vehicle[:0]
    finite = response[np.isfinite(response)]
    response = np.ldexp(response, -far_exponent(finite))
    return np.array([i for i in vehicle if _is_odd(dose, response, int(i))], dtype=np.intp)


def _is_odd(dose: Real, response: Real, well: int) -> bool:
    left = np.arange(len(dose)) != well
    means = means_of_wells(dose[left], response[left])
    if means.degrees < MIN_REPLICATES:
        return False
    others = response[left & (dose == 0)]
    variance = max(means.variance, float(others.var(ddof=1)))
    away = abs(float(response[well]) - float(others.mean()))
    if away <= 1e-9 * max(1.0, float(np.abs(response).max())):
        return False
    t = away / np.sqrt(max(variance, 1e-300) * (1 + 1 / len(others)))
    return bool(2 * special.stdtr(means.degrees, -t) < _ALPHA / (len(others) + 1))
