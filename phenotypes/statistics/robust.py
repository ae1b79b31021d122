"""Robust scale: medians and median absolute deviations (MAD)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotypes.columns.statuses import WellStatus

Real = NDArray[np.float64]
# The standard deviation of a normal distribution in units of its median absolute deviation.
MAD_TO_SD = 1.4826
# Robust z divides by at least this share of the median: where all vehicles agree (no puncta in any)
# the MAD is 0.
LEAST_CV = 0.02
_MIN_WELLS = 3


def mad(values: Real) -> Real:
    """Median absolute deviation from the median, over the last axis."""
    return np.asarray(np.median(np.abs(values - np.median(values, -1, keepdims=True)), -1))


def robust_scale(reference: Real, least_sd: float) -> tuple[float, float]:
    """(median, 1.4826 MAD or `least_sd` if that is larger) of reference values.

    The MAD of equal values is 0.
    """
    return float(np.median(reference)), max(MAD_TO_SD * float(mad(reference)), least_sd)


def robust_z(wells: pl.DataFrame, name: str) -> pl.Series:
    """Robust z of wells: (x − median) / (1.4826 MAD) of the vehicle wells of the same line.

    Null under three vehicle wells. The denominator is at least LEAST_CV of the median, or LEAST_CV
    where the median is 0.
    """
    is_vehicle = (pl.col("status") == WellStatus.DONE) & (pl.col("control") == "vehicle")
    vehicles = wells.filter(is_vehicle).drop_nulls(name)
    scales: dict[str, tuple[float, float]] = {}
    for line, part in vehicles.group_by("line"):
        values = part[name].to_numpy().astype(float)
        if len(values) >= _MIN_WELLS:
            median = float(np.median(values))
            floor = LEAST_CV * abs(median) if median else LEAST_CV
            scales[str(line[0])] = robust_scale(values, floor)
    scores = [
        (
            (value - scales[line][0]) / scales[line][1]
            if value is not None and status == WellStatus.DONE and line in scales
            else None
        )
        for line, value, status in zip(wells["line"], wells[name], wells["status"], strict=True)
    ]
    return pl.Series(name, scores, dtype=pl.Float64)
