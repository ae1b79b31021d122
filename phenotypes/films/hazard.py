"""Hazard ratios per line, compound and dose against the line's vehicle, and survival of wells.

Both are compared within plates and with entry times: a field that is first usable at 24 h tells
nothing of the hours before. With fewer than MIN_EVENTS deaths in an arm, no ratio is given. Within
a line the batch is n: intervals and p are between batches, and with one batch the interval is
between its wells, the status `one_batch`, and there is no p (`phenotypes.films.intervals`).

Censoring is informative where one arm loses more tracks than the other. Then the row is flagged,
and has the values if all lost neurons had died when last seen, and if all had lived to the end,
with their intervals. Those lost in one arm may have died and those in the other lived, so the row's
own interval spans these two cases as well; and there is no p, since it would be that of a biased
ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import HazardStatus
from phenotypes.films.arms import (
    TREATED,
    VEHICLE,
    at_risk,
    both_arms,
    lost_fraction,
    supposed,
    with_plate,
)
from phenotypes.films.hazard_ratio import HazardRatio, NoFiniteRatioError, hazard_ratio
from phenotypes.films.intervals import Interval
from phenotypes.films.observation import (
    MIN_TRACKS,
    curve_of,
    first_hour,
    observed,
    study_end,
    survival_window,
)
from phenotypes.films.restricted_mean import Means, restricted_means
from phenotypes.statistics.multiple_testing import with_q_values

MIN_EVENTS = 10
LOSS_POINTS = 0.10
ONE_BATCH = (
    "one differentiation batch: the interval is between wells and does not cover differences"
    " between batches"
)

Row = dict[str, object]


def hazard_table(tracks: pl.DataFrame) -> pl.DataFrame:
    """One row per line × compound × dose.

    `tracks` is the track table; only included tracks take part. Where it holds several plates, its
    column `plate` tells them apart.
    """
    used = with_plate(tracks.filter("included"))
    if used.is_empty():
        return empty_table("hazard")
    horizon = study_end(used)
    rows: list[Row] = []
    for line in used["line"].unique().sort():
        of_line = used.filter(pl.col("line") == line)
        vehicle = of_line.filter(pl.col("control") == "vehicle")
        treated = of_line.filter(
            pl.col("control").is_in(["none", "positive"]) & (pl.col("compound") != "")
        )
        for (compound, dose), arm in treated.sort("compound", "dose_molar").group_by(
            "compound", "dose_molar", maintain_order=True
        ):
            rows.append(
                {
                    "known": (arm["control"] == "positive").all(),
                    "line": line,
                    "genotype": arm["genotype"][0],
                    "compound": compound,
                    "dose_molar": dose,
                    **compare(vehicle, arm, horizon),
                }
            )
    if not rows:
        return empty_table("hazard")
    # Known effects would make room for false ones: positive controls are not part of the family.
    known = pl.Series([bool(row.pop("known")) for row in rows])
    table = conform(pl.DataFrame(rows, infer_schema_length=None), "hazard").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )
    tested = table.with_columns(pl.when(~known).then(pl.col("p_value")).alias("p_value"))
    return table.with_columns(with_q_values(tested)["q_value"])


def compare(vehicle: pl.DataFrame, arm: pl.DataFrame, horizon_h: float) -> Row:
    """Columns of one hazard row from two sets of included tracks.

    Both have the columns well, batch, entry_h, exit_h, event, reason, and `plate` where they are of
    several.
    """
    both = both_arms(vehicle, arm)
    groups = (
        (both.filter(treated=VEHICLE), both.filter(treated=TREATED))
        if len(both)
        else (vehicle, arm)
    )
    row: Row = {"horizon_h": horizon_h, "n_batches": max(1, both["batch"].n_unique())}
    for name, group in zip(("vehicle", "treated"), groups, strict=True):
        row |= {
            f"n_tracks_{name}": len(group),
            f"n_events_{name}": int(group["event"].sum()),
            f"n_wells_{name}": _wells(group),
            f"lost_fraction_{name}": lost_fraction(group) if len(group) else None,
        }
    if both.is_empty():
        return row | _refusal(
            HazardStatus.NO_VEHICLE,
            "no plate has both vehicle wells of the line and wells with the compound",
        )
    counts = tuple(len(g) for g in groups)
    if min(counts) < MIN_TRACKS:
        return row | _refusal(
            HazardStatus.TOO_FEW_TRACKS,
            f"{counts[0]} vehicle and {counts[1]} treated tracks; {MIN_TRACKS} of each are needed",
        )
    loss = tuple(lost_fraction(g) for g in groups)
    unequal = abs(loss[1] - loss[0]) > LOSS_POINTS
    means = restricted_means(both, horizon_h)
    remarks = [means.reason] if means.reason else []
    if unequal:
        remarks.append(f"{loss[0]:.0%} of vehicle and {loss[1]:.0%} of treated tracks were lost")
    row |= _mean_columns(both, horizon_h, means, unequal=unequal)
    deaths = tuple(int(g["event"].sum()) for g in groups)
    if min(deaths) < MIN_EVENTS:
        return row | _refusal(
            HazardStatus.TOO_FEW_EVENTS,
            f"{deaths[0]} deaths in vehicle and {deaths[1]} in treated wells; {MIN_EVENTS} of each"
            " are needed",
            *remarks,
        )
    try:
        ratio = hazard_ratio(at_risk(both))
    except NoFiniteRatioError as error:
        return row | _refusal(
            HazardStatus.NOT_CONVERGED, f"Cox's model has no finite estimate: {error}", *remarks
        )
    return row | _ratio_columns(both, horizon_h, ratio, remarks, unequal=unequal)


def _wells(tracks: pl.DataFrame) -> int:
    return len(with_plate(tracks).select("plate", "well").unique())


def _refusal(status: HazardStatus, *reasons: str) -> Row:
    return {"status": status, "reason": "; ".join(reasons)}


def _mean_columns(both: pl.DataFrame, horizon_h: float, means: Means, *, unequal: bool) -> Row:
    """The restricted means; where loss is unequal also their bounds, which the interval spans."""
    if means.difference is None:
        return {}
    row: Row = {
        "rmst_start_h": means.start_h,
        "rmst_vehicle_h": means.vehicle,
        "rmst_treated_h": means.treated,
        "rmst_difference_h": means.difference.difference,
    }
    cases: list[Interval | None] = [means.difference]
    if unequal:
        cases += (restricted_means(c, horizon_h).difference for c in _cases(both, horizon_h))
        row |= _ends("rmst_lost_died", cases[1], _same) | _ends("rmst_lost_lived", cases[2], _same)
    low, high = _span(cases)
    return row | {"rmst_difference_low": low, "rmst_difference_high": high}


def _ratio_columns(
    both: pl.DataFrame,
    horizon_h: float,
    ratio: HazardRatio,
    remarks: list[str],
    *,
    unequal: bool,
) -> Row:
    """The hazard ratio with its status; where loss is unequal also its bounds."""
    row: Row = {
        "hazard_ratio": _exp(ratio.log_ratio.difference),
        "n_batches": ratio.n_batches,
        "schoenfeld_p": ratio.schoenfeld_p,
    }
    if ratio.log_ratio.low is None:
        return row | _refusal(
            HazardStatus.TOO_FEW_WELLS,
            f"{_wells(both)} wells in both arms; 4 are needed for an interval between wells, and"
            " one more for each further plate",
            *remarks,
        )
    cases: list[Interval | None] = [ratio.log_ratio]
    if unequal:
        cases += (_log_ratio(at_risk(case)) for case in _cases(both, horizon_h))
        row |= _ends("hr_lost_died", cases[1], _exp) | _ends("hr_lost_lived", cases[2], _exp)
        remarks.append(
            "a bound of the hazard ratio is not finite"
            if None in cases
            else "the interval holds whatever became of the lost neurons"
        )
    low, high = _span(cases)
    row |= {"hr_low": _exp(low), "hr_high": _exp(high)}
    if ratio.n_batches < ratio.in_batches:
        remarks.append(
            f"only {ratio.n_batches} of {ratio.in_batches} batches have a finite ratio of their own"
        )
    if ratio.schoenfeld_p < 0.01:
        remarks.append(
            f"hazards are not proportional (Schoenfeld p {ratio.schoenfeld_p:.2g}): the ratio is an"
            " average over time"
        )
    if unequal:
        return row | _refusal(HazardStatus.INFORMATIVE_CENSORING, *remarks)
    if ratio.n_batches < 2:
        return row | _refusal(HazardStatus.ONE_BATCH, ONE_BATCH, *remarks)
    return row | {
        "status": HazardStatus.OK,
        "reason": "; ".join(remarks),
        "p_value": ratio.log_ratio.p_value,
    }


def _log_ratio(both: pl.DataFrame) -> Interval | None:
    try:
        return hazard_ratio(both).log_ratio
    except NoFiniteRatioError:
        return None


def _exp(value: float | None) -> float | None:
    with np.errstate(over="ignore"):
        ratio = np.inf if value is None else float(np.exp(value))
    return ratio if np.isfinite(ratio) else None


def _same(value: float | None) -> float | None:
    return value


def _ends(name: str, bound: Interval | None, scale: Callable[[float | None], float | None]) -> Row:
    """A bound and the ends of its interval."""
    if bound is None:
        return {}
    return {
        name: scale(bound.difference),
        f"{name}_low": scale(bound.low),
        f"{name}_high": scale(bound.high),
    }


def _cases(both: pl.DataFrame, horizon_h: float) -> list[pl.DataFrame]:
    """What may have become of the lost: died, lived, and died in one arm only."""
    died_in = ((VEHICLE, TREATED), (), (TREATED,), (VEHICLE,))
    return [supposed(both, horizon_h, arms) for arms in died_in]


def _span(cases: Sequence[Interval | None]) -> tuple[float | None, float | None]:
    """The lowest and highest end of several intervals; None where one of them is open."""
    lows = [c.low for c in cases if c is not None and c.low is not None]
    highs = [c.high for c in cases if c is not None and c.high is not None]
    return (
        min(lows) if len(lows) == len(cases) else None,
        max(highs) if len(highs) == len(cases) else None,
    )


def well_survival(tracks: pl.DataFrame) -> pl.DataFrame:
    """Deaths, losses and survival per well, over included tracks.

    Columns: n_tracked, n_deaths, rmst_h, survival_end, lost_fraction; survival over the hours of
    `survival_window`, of neurons alive at its start. Null for a well that was not followed then.
    """
    used = tracks.filter("included")
    rows: list[Row] = []
    window = survival_window(used) if len(used) else None
    for part in used.partition_by("well", maintain_order=True):
        row: Row = {
            "well": part["well"][0],
            "n_tracked": len(part),
            "n_deaths": int(part["event"].sum()),
            "lost_fraction": lost_fraction(part),
        }
        if window and len(part) >= MIN_TRACKS and first_hour(part["entry_h"]) <= window.start_h:
            length = window.end_h - window.start_h
            curve = curve_of(observed(part, window.start_h), length)
            if curve is not None:
                row |= {"rmst_h": curve.rmst(length)[0], "survival_end": curve.at(length)}
        rows.append(row)
    schema = {
        "well": pl.String,
        "n_tracked": pl.Int64,
        "n_deaths": pl.Int64,
        "lost_fraction": pl.Float64,
        "rmst_h": pl.Float64,
        "survival_end": pl.Float64,
    }
    return (
        pl.DataFrame(rows, schema=schema, infer_schema_length=None)
        if rows
        else pl.DataFrame(schema=schema)
    )
