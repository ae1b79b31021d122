"""Restricted mean survival time of two arms, compared within plates.

The mean is that of the hours lived from `start` to `horizon` by neurons alive at `start`, by
Kaplan–Meier with entry times. Each plate has its difference; their mean has the weights n₁n₀/(n₁ +
n₀) of the tracks in both arms, so that plates that differ do not pass for an effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotypes.films.intervals import (
    Interval,
    Spread,
    between_batches,
    between_wells,
    interval,
    spreads,
)
from phenotypes.films.kaplan_meier import KaplanMeier
from phenotypes.films.observation import curve_of, first_hour, observed

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Means:
    """Hours lived from `start_h` on by vehicle and treated; None with the reason."""

    start_h: float | None
    vehicle: float | None = None
    treated: float | None = None
    difference: Interval | None = None
    reason: str = ""


def restricted_means(both: pl.DataFrame, horizon_h: float) -> Means:
    """Compare two arms; `both` is a table of `both_arms`."""
    groups = both.partition_by("stratum", "treated", maintain_order=True)
    start = max(first_hour(g["entry_h"]) for g in groups)
    if start >= horizon_h:
        return Means(
            None,
            reason=(
                f"one of the arms is followed from {start:g} h on, and a field ends at"
                f" {horizon_h:g} h: there is no common time"
            ),
        )
    length = horizon_h - start
    strata = []
    for part in both.sort("stratum", "treated").partition_by("stratum", maintain_order=True):
        seen = observed(part, start)
        curves = [curve_of(seen.filter(pl.col("treated") == z), length) for z in (0.0, 1.0)]
        vehicle, treated = curves
        if vehicle is None or treated is None:
            arm = "vehicle" if vehicle is None else "treated"
            return Means(
                None,
                reason=(
                    f"survival of the {arm} neurons is not known from {start:g} to"
                    f" {horizon_h:g} h: too few were followed all the time"
                ),
            )
        strata.append(_Stratum.of(seen, (vehicle, treated), length))
    weight = np.array([s.weight for s in strata])
    share = weight / weight.sum()
    vehicle_h, treated_h = (float(share @ np.array([s.means[z] for s in strata])) for z in (0, 1))
    return Means(
        start, vehicle_h, treated_h, interval(treated_h - vehicle_h, _spreads(strata, weight))
    )


@dataclass(frozen=True)
class _Stratum:
    """Means of both arms, the variance of their difference, and the mean of each well."""

    batch: str
    weight: float
    means: tuple[float, float]
    variance: float
    wells: pl.DataFrame

    @classmethod
    def of(
        cls, seen: pl.DataFrame, curves: tuple[KaplanMeier, KaplanMeier], length_h: float
    ) -> _Stratum:
        counts, means, variances, wells = [], [], [], []
        for z, curve in enumerate(curves):
            arm = seen.filter(pl.col("treated") == float(z))
            mean, error = curve.rmst(length_h)
            influence = curve.influence(length_h, arm["exit"], arm["event"], arm["entry"])
            counts.append(len(arm))
            means.append(mean)
            variances.append(error**2)
            wells.append(
                arm.with_columns(pl.Series("influence", influence))
                .group_by("well", maintain_order=True)
                .agg(pl.col("influence").sum(), pl.len().alias("tracks"))
                .select(
                    pl.lit(float(z)).alias("treated"),
                    "tracks",
                    (mean + pl.col("influence") * len(arm) / pl.col("tracks")).alias("mean"),
                )
            )
        return cls(
            seen["batch"][0],
            counts[0] * counts[1] / sum(counts),
            (means[0], means[1]),
            float(sum(variances)),
            pl.concat(wells),
        )


def _spreads(strata: Sequence[_Stratum], weight: Real) -> list[Spread]:
    """Errors of the difference: of the model, between wells, between batches."""
    share = weight / weight.sum()
    model = Spread(float(np.sqrt(share**2 @ np.array([s.variance for s in strata]))))
    wells = pl.concat(
        [s.wells.with_columns(pl.lit(n).alias("stratum")) for n, s in enumerate(strata)]
    )
    batches = (
        pl.DataFrame(
            {
                "batch": [s.batch for s in strata],
                "weight": weight,
                "sum": weight * np.array([s.means[1] - s.means[0] for s in strata]),
            }
        )
        .group_by("batch", maintain_order=True)
        .sum()
    )
    return spreads(
        model,
        between_wells(*(wells[c].to_numpy() for c in ("mean", "stratum", "treated", "tracks"))),
        between_batches(batches["sum"] / batches["weight"], batches["weight"]),
    )
