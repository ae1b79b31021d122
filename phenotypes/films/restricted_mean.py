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

from phenotypes.films.arms import TREATED, VEHICLE
from phenotypes.films.intervals import (
    Interval,
    Spread,
    between_batches,
    between_wells,
    interval,
    spreads,
)
from phenotypes.films.kaplan_meier import KaplanMeier
from phenotypes.films.observation import curve_of, first_hour, observed, shared_start

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Means:
    """Hours lived from `start_h` on by vehicle and treated.

    `reason` says why there are none, or of which plates they are.
    """

    start_h: float | None
    vehicle: float | None = None
    treated: float | None = None
    difference: Interval | None = None
    reason: str = ""


def restricted_means(both: pl.DataFrame, horizon_h: float) -> Means:
    """Compare two arms; `both` is a table of `both_arms`.

    Plates of which an arm is seen too late, or not to the end, are left out, and the reason says
    so.
    """
    plates = both.sort("stratum", "treated").partition_by("stratum", maintain_order=True)
    firsts = [max(first_hour(arm["entry_h"]) for arm in _arms(plate)) for plate in plates]
    start = shared_start(firsts, [_weight(plate) for plate in plates], horizon_h)
    if start is None:
        return Means(
            None,
            reason=(
                f"one of the arms is followed from {min(firsts):g} h on, and a field ends at"
                f" {horizon_h:g} h: there is no common time"
            ),
        )
    length = horizon_h - start
    strata = []
    for plate, first in zip(plates, firsts, strict=True):
        seen = observed(plate, start)
        curves = [curve_of(seen.filter(treated=z), length) for z in (VEHICLE, TREATED)]
        vehicle, treated = curves
        if first <= start and vehicle is not None and treated is not None:
            strata.append(_Stratum.of(seen, (vehicle, treated), length))
    reason = ""
    if len(strata) < len(plates):
        reason = (
            f"survival of both arms from {start:g} to {horizon_h:g} h is known on {len(strata)} of"
            f" {len(plates)} plates, and mean survival times are of these"
        )
    if not strata:
        return Means(None, reason=reason)
    weight = np.array([s.weight for s in strata])
    share = weight / weight.sum()
    vehicle_h, treated_h = (float(share @ np.array([s.means[z] for s in strata])) for z in (0, 1))
    difference = interval(treated_h - vehicle_h, _spreads(strata, weight))
    return Means(start, vehicle_h, treated_h, difference, reason)


def _arms(plate: pl.DataFrame) -> list[pl.DataFrame]:
    return [plate.filter(treated=z) for z in (VEHICLE, TREATED)]


def _weight(plate: pl.DataFrame) -> float:
    vehicle, treated = (len(arm) for arm in _arms(plate))
    return vehicle * treated / (vehicle + treated)


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
        means, variances, wells = [], [], []
        for z, arm, curve in zip((VEHICLE, TREATED), _arms(seen), curves, strict=True):
            mean, error = curve.rmst(length_h)
            influence = curve.influence(length_h, arm["exit"], arm["event"], arm["entry"])
            means.append(mean)
            variances.append(error**2)
            wells.append(
                arm.with_columns(pl.Series("influence", influence))
                .group_by("well", maintain_order=True)
                .agg(pl.col("influence").sum(), pl.len().alias("tracks"))
                .select(
                    pl.lit(z).alias("treated"),
                    "tracks",
                    (mean + pl.col("influence") * len(arm) / pl.col("tracks")).alias("mean"),
                )
            )
        return cls(
            seen["batch"][0],
            _weight(seen),
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
