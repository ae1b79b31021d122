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
LEAST_WELLS = 3


def mad(values: Real) -> Real:
    """Median absolute deviation from the median, over the last axis."""
    return np.asarray(np.median(np.abs(values - np.median(values, -1, keepdims=True)), -1))


def robust_scale(reference: Real, least_sd: float) -> tuple[float, float]:
    """(median, 1.4826 MAD or `least_sd` if that is larger) of reference values.

    The MAD of equal values is 0.
    """
    return float(np.median(reference)), max(MAD_TO_SD * float(mad(reference)), least_sd)


def vehicle_scale(vehicles: Real) -> tuple[float, float] | None:
    """(median, robust standard deviation) of a line's vehicle wells, by which a well's robust z is.

    None under three wells. The standard deviation, 1.4826 MAD, is at least LEAST_CV of the median,
    or LEAST_CV where the median is 0.

    >>> vehicle_scale(np.array([8.0, 9.0, 11.0]))
    (9.0, 1.4826)
    """
    if len(vehicles) < LEAST_WELLS:
        return None
    median = float(np.median(vehicles))
    return robust_scale(vehicles, LEAST_CV * abs(median) if median else LEAST_CV)


def robust_z(wells: pl.DataFrame, name: str) -> pl.Series:
    """Robust z of wells: (x − median) / (1.4826 MAD) of the vehicle wells of the same line.

    A vehicle well is one of those that it is compared with. Null under three vehicle wells; the
    denominator is that of `vehicle_scale`.
    """
    is_vehicle = (pl.col("status") == WellStatus.DONE) & (pl.col("control") == "vehicle")
    vehicles = wells.filter(is_vehicle).drop_nulls(name)
    scales: dict[str, tuple[float, float]] = {}
    for line, part in vehicles.group_by("line"):
        scale = vehicle_scale(part[name].to_numpy().astype(float))
        if scale is not None:
            scales[str(line[0])] = scale
    scores = [
        (
            (value - scales[line][0]) / scales[line][1]
            if value is not None and status == WellStatus.DONE and line in scales
            else None
        )
        for line, value, status in zip(wells["line"], wells[name], wells["status"], strict=True)
    ]
    return pl.Series(name, scores, dtype=pl.Float64)
