"""Assay quality of a plate: Z′, robust Z′, SSMD, signal window and V-factor, with intervals.

Z′ = 1 − 3(σp + σn)/|µp − µn| (Zhang, Chung & Oldenburg, J. Biomol. Screen. 4:67, 1999), robust Z′
the same with median and 1.4826 MAD, SSMD = (µp − µn)/√(σp² + σn²) (X. D. Zhang, Genomics 89:552,
2007). Sample standard deviations with n − 1. For equal σ: Z′ = 1 − (6/√2)/|SSMD|. Signal window =
(|µp − µn| − 3(σp + σn))/σn (Sittampalam, Iversen, Boadt et al., J. Biomol. Screen. 2:159, 1997).
V-factor = 1 − 6σ̄/|µp − µn| with σ̄ the mean SD over all replicated conditions (Ravkin, Soc.
Biomol. Screen. 2004): Z′ uses the two ends of a curve only, V its middle too.

Intervals are generalised confidence intervals of normal wells (Weerahandi, J. Am. Stat. Assoc.
88:899, 1993): the locations and scales of the groups that could have given the ones seen are drawn,
by samples of as many normal wells. A bootstrap of 4 to 16 wells finds too little scatter: its
intervals of Z′ cover 63 to 89 %, and miss on the side of the better assay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from phenotypes.columns.dictionary import conform, empty_table, phenotype
from phenotypes.columns.statuses import QualityStatus, WellStatus
from phenotypes.statistics.robust import MAD_TO_SD, mad
from phenotypes.statistics.units import far_exponent

MIN_WELLS = 3
_DRAWS = 2000

Real = NDArray[np.float64]


def z_prime(positive: ArrayLike, negative: ArrayLike) -> Real:
    """Z′ over the last axis; NaN where the means agree exactly."""
    p, n = np.asarray(positive, float), np.asarray(negative, float)
    gap = np.abs(p.mean(-1) - n.mean(-1))
    spread = 3 * (p.std(-1, ddof=1) + n.std(-1, ddof=1))
    return np.asarray(1 - np.divide(spread, gap, out=np.full_like(gap, np.nan), where=gap > 0))


def robust_z_prime(positive: ArrayLike, negative: ArrayLike) -> Real:
    """Z′ with medians and 1.4826 MAD over the last axis."""
    p, n = np.asarray(positive, float), np.asarray(negative, float)
    gap = np.abs(np.median(p, -1) - np.median(n, -1))
    spread = 3 * MAD_TO_SD * (mad(p) + mad(n))
    return np.asarray(1 - np.divide(spread, gap, out=np.full_like(gap, np.nan), where=gap > 0))


def ssmd(positive: ArrayLike, negative: ArrayLike) -> Real:
    """SSMD over the last axis; NaN where neither group varies."""
    p, n = np.asarray(positive, float), np.asarray(negative, float)
    spread = np.sqrt(p.var(-1, ddof=1) + n.var(-1, ddof=1))
    return np.asarray(
        np.divide(
            p.mean(-1) - n.mean(-1), spread, out=np.full_like(spread, np.nan), where=spread > 0
        )
    )


def signal_window(positive: ArrayLike, negative: ArrayLike) -> Real:
    """Signal window over the last axis, in standard deviations of the negative (vehicle) group.

    NaN where that group does not vary.
    """
    p, n = np.asarray(positive, float), np.asarray(negative, float)
    spread = n.std(-1, ddof=1)
    gap = np.abs(p.mean(-1) - n.mean(-1)) - 3 * (p.std(-1, ddof=1) + spread)
    return np.asarray(np.divide(gap, spread, out=np.full_like(spread, np.nan), where=spread > 0))


def v_factor(groups: Sequence[ArrayLike], positive: ArrayLike, negative: ArrayLike) -> float | None:
    """V-factor from replicated conditions, of two wells or more each.

    None where there are none or the controls agree exactly.
    """
    spreads = [
        float(np.std(np.asarray(g, float), ddof=1)) for g in groups if len(np.asarray(g)) >= 2
    ]
    gap = abs(float(np.mean(np.asarray(positive, float)) - np.mean(np.asarray(negative, float))))
    return 1 - 6 * float(np.mean(spreads)) / gap if spreads and gap > 0 else None


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


def _estimate(value: float | None, draws: Real) -> Estimate:
    """The number and the middle 95 % of its draws; no ends where these are not all defined."""
    if value is None or not np.isfinite(value):
        return Estimate(None, None, None)
    if not np.isfinite(draws).all():
        return Estimate(value, None, None)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _mean_and_sd(x: Real) -> tuple[Real, Real]:
    return x.mean(-1), x.std(-1, ddof=1)


def _median_and_mad(x: Real) -> tuple[Real, Real]:
    return np.median(x, -1), MAD_TO_SD * mad(x)


@dataclass(frozen=True)
class _Group:
    """Locations and scales (draws,) that could have given a group of wells."""

    location: Real
    scale: Real

    @classmethod
    def drawn(
        cls,
        wells: Real,
        estimate: Callable[[Real], tuple[Real, Real]],
        rng: np.random.Generator,
    ) -> _Group:
        """From the wells' own location and scale, and those of standard normal samples.

        NaN where the wells do not vary: they say nothing of their scale.
        """
        location, scale = estimate(wells)
        centre, spread = estimate(rng.normal(size=(_DRAWS, len(wells))))
        drawn = np.where(scale > 0, scale, np.nan) / np.maximum(spread, 1e-9)
        return cls(location - centre * drawn, drawn)


def v_estimate(
    groups: Sequence[Real], positive: Real, negative: Real, rng: np.random.Generator
) -> Estimate:
    """V-factor with its interval, for conditions of one standard deviation."""
    value = v_factor(groups, positive, negative)
    if value is None:
        return Estimate(None, None, None)
    p, n = (_Group.drawn(g, _mean_and_sd, rng) for g in (positive, negative))
    normal = [rng.normal(size=(_DRAWS, len(g))).std(-1, ddof=1) for g in groups]
    spread = np.mean([g.std(ddof=1) for g in groups]) / np.mean(normal, axis=0)
    return _estimate(value, 1 - 6 * spread / np.abs(p.location - n.location))


def assay_window(
    positive: Sequence[float], negative: Sequence[float], *, seed: int = 0
) -> dict[str, Estimate]:
    """z_prime, robust_z_prime, ssmd and signal_window with intervals.

    Raises ValueError with fewer than MIN_WELLS wells in a group.
    """
    p, n = np.asarray(positive, float), np.asarray(negative, float)
    if min(len(p), len(n)) < MIN_WELLS:
        raise ValueError(
            f"{len(p)} positive and {len(n)} vehicle wells; {MIN_WELLS} of each are needed"
        )
    rng = np.random.default_rng(seed)
    a, b = (_Group.drawn(g, _mean_and_sd, rng) for g in (p, n))
    c, d = (_Group.drawn(g, _median_and_mad, rng) for g in (p, n))
    gap = np.abs(a.location - b.location)
    draws = {
        "z_prime": 1 - 3 * (a.scale + b.scale) / gap,
        "robust_z_prime": 1 - 3 * (c.scale + d.scale) / np.abs(c.location - d.location),
        "ssmd": (a.location - b.location) / np.hypot(a.scale, b.scale),
        "signal_window": (gap - 3 * (a.scale + b.scale)) / b.scale,
    }
    values = (z_prime, robust_z_prime, ssmd, signal_window)
    return {
        name: _estimate(float(statistic(p, n)), draws[name])
        for name, statistic in zip(draws, values, strict=True)
    }


def quality_table(wells: pl.DataFrame, phenotypes: Sequence[str], *, seed: int = 0) -> pl.DataFrame:
    """One row per line × phenotype: controls, Z′, robust Z′, SSMD, signal window and V-factor.

    A status says where they cannot be computed.
    """
    rows = []
    done = wells.filter(pl.col("status") == WellStatus.DONE)
    for line in done["line"].unique().sort():
        of_line = done.filter(pl.col("line") == line)
        for name in phenotypes:
            column = phenotype(name)
            groups = {
                c: of_line.filter(pl.col("control") == c)[name].drop_nulls().to_numpy()
                for c in ("vehicle", "positive")
            }
            vehicle, positive = groups["vehicle"], groups["positive"]
            # All but the means has no unit.
            exponent = -far_exponent(of_line[name].drop_nulls().to_numpy())
            row: dict[str, object] = {
                "line": line,
                "phenotype": name,
                "n_vehicle": len(vehicle),
                "n_positive": len(positive),
            }
            if len(vehicle):
                row["vehicle_mean"] = float(vehicle.mean())
                if len(vehicle) > 1 and column.scale == "percent" and vehicle.mean() > 0:
                    near = np.ldexp(vehicle, exponent)
                    row["vehicle_cv"] = float(near.std(ddof=1) / near.mean())
            if len(positive):
                row["positive_mean"] = float(positive.mean())
            if of_line[name].null_count() == len(of_line):
                reason = (
                    f"{name} has no value in any well of line {line}; the response table says why"
                )
                rows.append({**row, "status": QualityStatus.NOT_MEASURED, "reason": reason})
                continue
            vehicle, positive = np.ldexp(vehicle, exponent), np.ldexp(positive, exponent)
            try:
                window = assay_window(list(positive), list(vehicle), seed=seed)
            except ValueError as error:
                row |= {"status": QualityStatus.TOO_FEW_CONTROL_WELLS, "reason": str(error)}
            else:
                row |= {"status": QualityStatus.OK, "reason": ""}
                conditions = (
                    of_line.filter(pl.col(name).is_not_null())
                    .group_by("compound", "dose_molar", "control", maintain_order=True)
                    .agg(name)
                )
                replicated = [
                    np.ldexp(np.asarray(g, float), exponent) for g in conditions[name] if len(g) > 1
                ]
                window["v_factor"] = v_estimate(
                    replicated,
                    positive.astype(float),
                    vehicle.astype(float),
                    np.random.default_rng(seed),
                )
                for key, estimate in window.items():
                    row |= {
                        key: estimate.value,
                        f"{key}_low": estimate.low,
                        f"{key}_high": estimate.high,
                    }
            rows.append(row)
    return (
        conform(pl.DataFrame(rows, infer_schema_length=None), "quality")
        if rows
        else empty_table("quality")
    )
