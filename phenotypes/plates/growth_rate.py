"""Growth-rate inhibition of cells that divide; refused for cells that do not.

Hafner et al., Nat. Methods 13:521, 2016:

    GR = 2^(log2(x / x0) / log2(x_vehicle / x0)) − 1

1: grows as the vehicle; 0: does not grow; below 0: fewer cells than at the start. Motor neurons do
not divide: their vehicle does not grow, the denominator is noise about 0, and GR would call killing
growth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_GROWTH = 1.5


@dataclass(frozen=True)
class GrowthRate:
    """GR values of the treated wells, or why there are none.

    `values`: one per treated well, empty unless the status is ok. `growth`: vehicle at the end /
    wells at the start.
    """

    status: str
    reason: str
    growth: float
    values: NDArray[np.float64]


def growth_rate(treated: ArrayLike, vehicle: ArrayLike, start: ArrayLike) -> GrowthRate:
    """GR values of wells from counts.

    Counts are of treated and vehicle wells at the end, and of wells at the time of dosing.

    Status `ok`, or `vehicle_does_not_grow` where the vehicle's mean is under 1.5 × that of the
    start. Raises ValueError for counts that are negative or absent.
    """
    x, end, begin = (np.asarray(v, float) for v in (treated, vehicle, start))
    if (
        not len(end)
        or not len(begin)
        or not all(np.isfinite(v).all() and (v >= 0).all() for v in (x, end, begin))
        or begin.mean() <= 0
    ):
        raise ValueError(
            "counts must be finite and not negative, and there must be vehicle wells and wells of"
            " the start with cells in them"
        )
    growth = float(end.mean() / begin.mean())
    if growth < LEAST_GROWTH:
        reason = (
            f"vehicle wells hold {growth:.2f} × the cells of the start; GR needs {LEAST_GROWTH} ×,"
            " and cells that do not divide have none"
        )
        return GrowthRate("vehicle_does_not_grow", reason, growth, np.zeros(0))
    with np.errstate(divide="ignore"):
        exponent = np.log2(x / begin.mean()) / np.log2(growth)
    return GrowthRate("ok", "", growth, np.asarray(2.0**exponent - 1.0))
