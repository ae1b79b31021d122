"""Rank fields for review, the most urgent first, each with the reasons in words.

A score adds up the reasons for a look, in units of "one warning": quality control left the field
out or warned; neurites cross too much for single neurons; the engine unsure of its nuclei, or
another engine finding others; a vehicle well unlike the others of its line; a treated well far from
its curve; a well that determines its curve. Wells' reasons count for each of their fields, and say
that they are of the whole well: no field of it is more to blame for them than another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotypes.cells.neurites import AttributionSettings
from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.statuses import WellStatus
from phenotypes.plates.responses import Curve
from phenotypes.statistics.curves.hill import DoseResponse
from phenotypes.statistics.robust import robust_z

SCHEMA = {"well": pl.String(), "field": pl.Int64(), "score": pl.Float64(), "why": pl.String()}
# Robust standard deviations of vehicle wells, and residual standard deviations of a curve, from
# which a well is remarked; both count at most this many times as much as one warning.
_Z, _RESIDUAL, _MOST = 3.0, 2.5, 3.0

# On annotated nuclei (benchmarks/review_queue.py) the worse fields lie under these; the F1 of a
# field with few nuclei is not informative.
_AGREED, _SURE, _FEW = 0.85, 0.87, 5
# Hat value above which a well determines where the curve passes through it.
_LEVERAGE = 0.8

Reasons = dict[str, list[tuple[float, str]]]


def rank_fields(
    fields: pl.DataFrame,
    wells: pl.DataFrame,
    curves: Sequence[Curve],
    phenotypes: Sequence[str],
    settings: AttributionSettings | None = None,
) -> pl.DataFrame:
    """One row per field of the wells that were measured, by falling score.

    Fields without a reason come last, in plate order.

    Parameters
    ----------
    fields, wells
        The field and well tables.
    curves
        As `responses.respond` gives them.
    phenotypes
        Well columns that the run fits responses for.
    settings
        From which share of conflicting neurite length a field is worth a look.
    """
    settings = settings or AttributionSettings()
    of_well = _well_reasons(wells, curves, phenotypes)
    rows = []
    for r in fields.iter_rows(named=True):
        reasons = list(of_well.get(r["well"], []))
        if r["valid"] is False:
            reasons.append((2.0, f"left out: {r['qc']}"))
        elif r["qc"]:
            reasons.append((1.0, str(r["qc"])))
        agreed, sure, many = (
            r["engine_agreement"],
            r["nucleus_confidence"],
            (r["nuclei_count"] or 0) >= _FEW,
        )
        if agreed is not None and many and agreed < _AGREED:
            reasons.append(
                (
                    min((1 - agreed) / (1 - _AGREED), _MOST),
                    f"another engine finds other nuclei (F1 {agreed:.2f})",
                )
            )
        if sure is not None and many and sure < _SURE:
            reasons.append(
                (
                    0.5,
                    (
                        f"the engine is unsure of its nuclei (probability {sure:.2f} of the least"
                        " sure tenth)"
                    ),
                )
            )
        conflict = r["attribution_conflict_fraction"]
        if conflict is not None and conflict > settings.max_conflict:
            reasons.append(
                (0.5, f"neurites of several neurons cross ({conflict:.0%} of the length)")
            )
        reasons.sort(key=lambda pair: -pair[0])
        rows.append(
            {
                "well": r["well"],
                "field": r["field"],
                "score": sum(s for s, _ in reasons),
                "why": "; ".join(w for _, w in reasons),
            }
        )
    table = pl.DataFrame(rows, schema=SCHEMA)
    return (
        table.with_row_index("place").sort("score", "place", descending=[True, False]).drop("place")
    )


def _well_reasons(
    wells: pl.DataFrame, curves: Sequence[Curve], phenotypes: Sequence[str]
) -> Reasons:
    reasons: Reasons = {}
    vehicles = wells.filter(
        (pl.col("status") == WellStatus.DONE) & (pl.col("control") == "vehicle")
    )
    for name in phenotypes:
        phenotype(name)
        for well, z in zip(vehicles["well"], robust_z(vehicles, name), strict=True):
            if z is not None and abs(z) > _Z:
                reasons.setdefault(well, []).append(
                    (
                        min(abs(z) / _Z, _MOST),
                        f"the whole well is unlike the other vehicle wells of its line in {name}"
                        f" (robust z {z:.1f})",
                    )
                )
    for curve in curves:
        if curve.result.model != "hill4" or not curve.result.residual_sd:
            continue
        dose, response = np.array(curve.dose), np.array(curve.response)
        away = (response - curve.result.predict(dose)) / curve.result.residual_sd
        for well, x, r, h in zip(curve.well, dose, away, leverage(curve.result, dose), strict=True):
            if x > 0 and abs(r) > _RESIDUAL:
                reason = (
                    f"the whole well lies {abs(r):.1f} residual SD"
                    f" {'above' if r > 0 else 'below'} the curve of {curve.compound} in"
                    f" {curve.phenotype}"
                )
                reasons.setdefault(well, []).append((min(abs(r) / _RESIDUAL, _MOST), reason))
            elif h > _LEVERAGE:
                reason = (
                    f"the curve of {curve.compound} in {curve.phenotype} depends on the whole well"
                    f" (leverage {h:.2f})"
                )
                reasons.setdefault(well, []).append((0.5, reason))
    return reasons


def leverage(result: DoseResponse, dose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) hat values of the wells of a four-parameter curve.

    J (JᵀJ)⁺ Jᵀ's diagonal, J the gradient at the fit (St. Laurent & Cook 1992). A value of 1 means
    that the curve goes through the well whatever its response. 0 where no curve was fitted.
    """
    gradient = result.gradient(dose)
    if gradient is None:
        return np.zeros(len(dose))
    return np.asarray(np.einsum("ip,pi->i", gradient, np.linalg.pinv(gradient)), np.float64)
