"""Hazard ratios per line, compound and dose against the line's vehicle, and survival of wells.

Cox's model with Efron's ties, stratified by batch, variance clustered by well (lifelines). The
sandwich variance is too small with few wells: it is multiplied by G/(G − 1) and intervals take
Student's t with G − 2 degrees of freedom, G wells in both arms; and it is never taken below the
model's own. Where both arms are in two batches or more, the interval is at least as wide as the one
between the ratios of single batches (Student's t, batches − 1 degrees of freedom): within a line
the batch is n, and a bootstrap of three has ten different draws. With fewer than MIN_EVENTS deaths
in an arm, no ratio is given.

Censoring is informative where one arm loses more tracks than the other. Then the row is flagged,
and two bounds are given: all lost neurons died when last seen; all lived to the end.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import HazardStatus
from phenotypes.films.kaplan_meier import kaplan_meier
from phenotypes.statistics.multiple_testing import with_q_values

MIN_EVENTS = 10
MIN_TRACKS = 20
LOSS_POINTS = 0.10
# A track seen in one frame only was at risk for an instant: Cox's model takes no time of 0.
_INSTANT_H = 1e-3
_LOST = ("lost", "identity_conflict", "focus_failure", "left_field")

Row = dict[str, object]


def hazard_table(tracks: pl.DataFrame) -> pl.DataFrame:
    """One row per line × compound × dose.

    `tracks` is the track table; only included tracks take part.
    """
    used = tracks.filter("included")
    if used.is_empty():
        return empty_table("hazard")
    horizon = _earliest(used, "study_end_h")
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
                    "line": line,
                    "genotype": arm["genotype"][0],
                    "compound": compound,
                    "dose_molar": dose,
                    **compare(vehicle, arm, horizon),
                }
            )
    if not rows:
        return empty_table("hazard")
    table = conform(pl.DataFrame(rows, infer_schema_length=None), "hazard").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )
    return with_q_values(table)


def _earliest(tracks: pl.DataFrame, column: str) -> float:
    return float(tracks[column].to_numpy().min())


def _lost_fraction(tracks: pl.DataFrame) -> float:
    """Share of tracks whose end was not seen."""
    return int(tracks["reason"].is_in(_LOST).sum()) / max(1, len(tracks))


def compare(vehicle: pl.DataFrame, arm: pl.DataFrame, horizon_h: float) -> Row:
    """Columns of one hazard row from two sets of included tracks.

    Both have the columns well, batch, entry_h, exit_h, event, reason.
    """
    row: Row = {"horizon_h": horizon_h}
    loss = []
    for name, group in (("vehicle", vehicle), ("treated", arm)):
        share = _lost_fraction(group)
        loss.append(share)
        row |= {
            f"n_tracks_{name}": len(group),
            f"n_events_{name}": int(group["event"].sum()),
            f"n_wells_{name}": group["well"].n_unique(),
            f"lost_fraction_{name}": share if len(group) else None,
        }
    if min(len(vehicle), len(arm)) < MIN_TRACKS:
        return {
            **row,
            "status": HazardStatus.TOO_FEW_TRACKS,
            "reason": (
                f"{len(vehicle)} vehicle and {len(arm)} treated tracks; {MIN_TRACKS} of each are"
                " needed"
            ),
        }
    mean, error = zip(*(_rmst(group, horizon_h) for group in (vehicle, arm)), strict=True)
    half_width = 1.96 * float(np.hypot(*error))
    row |= {
        "rmst_vehicle_h": mean[0],
        "rmst_treated_h": mean[1],
        "rmst_difference_h": mean[1] - mean[0],
    }
    row |= {
        "rmst_difference_low": mean[1] - mean[0] - half_width,
        "rmst_difference_high": mean[1] - mean[0] + half_width,
    }
    events = (int(vehicle["event"].sum()), int(arm["event"].sum()))
    if min(events) < MIN_EVENTS:
        return {
            **row,
            "status": HazardStatus.TOO_FEW_EVENTS,
            "reason": (
                f"{events[0]} deaths in vehicle and {events[1]} in treated wells; {MIN_EVENTS} of"
                " each are needed"
            ),
        }
    both = _arms(vehicle, arm)
    row |= _cox(both)
    if row["status"] != HazardStatus.OK:
        return row
    if abs(loss[1] - loss[0]) > LOSS_POINTS:
        lost = pl.col("reason").is_in(_LOST)
        # a track lost after its first frame belongs to both bounds
        every = _arms(vehicle, arm, at_once=True)
        to_end = pl.max_horizontal(pl.col("hours"), horizon_h - pl.col("entry_h"))
        died = _ratio(every.with_columns((pl.col("event") | lost).alias("event")))
        lived = _ratio(
            every.with_columns(pl.when(lost).then(to_end).otherwise(pl.col("hours")).alias("hours"))
        )
        reason = f"{loss[0]:.0%} of vehicle and {loss[1]:.0%} of treated tracks were lost: "
        bounded = died is not None and lived is not None
        reason += (
            "read the hazard ratio between its two bounds"
            if bounded
            else "a bound of the hazard ratio is not finite"
        )
        row |= {
            "hr_lost_died": died,
            "hr_lost_lived": lived,
            "status": HazardStatus.INFORMATIVE_CENSORING,
            "reason": reason,
        }
    return row


def _rmst(group: pl.DataFrame, horizon_h: float) -> tuple[float, float]:
    """RMST from the study's start, and its standard error.

    The error is the one between wells where there are at least three, and never below Greenwood's.
    """
    start = _earliest(group, "entry_h")
    mean, error = kaplan_meier(group["exit_h"] - start, group["event"]).rmst(horizon_h - start)
    wells = [
        kaplan_meier(w["exit_h"] - start, w["event"]).rmst(horizon_h - start)[0]
        for w in group.partition_by("well", maintain_order=True)
    ]
    if len(wells) >= 3:
        error = max(error, float(np.std(wells, ddof=1) / np.sqrt(len(wells))))
    return mean, error


def _arms(vehicle: pl.DataFrame, arm: pl.DataFrame, *, at_once: bool = False) -> pl.DataFrame:
    """Both arms with `treated` and with `hours` at risk from each track's own start.

    `at_once` keeps tracks that were at risk for no time.
    """
    hours = (pl.col("exit_h") - pl.col("entry_h")).alias("hours")
    chosen = [
        pl.col("well"),
        pl.col("batch"),
        pl.col("entry_h"),
        pl.col("event"),
        pl.col("reason"),
        hours,
    ]
    both = pl.concat(
        [
            group.select(*chosen, pl.lit(treated).alias("treated"))
            for group, treated in ((vehicle, 0.0), (arm, 1.0))
        ]
    )
    # A track seen in one frame only carries no time of death.
    return (
        both.with_columns(pl.col("hours").clip(lower_bound=_INSTANT_H))
        if at_once
        else both.filter(pl.col("hours") > 0)
    )


def _frame(both: pl.DataFrame, more: Sequence[str]) -> Any:
    import pandas as pd

    chosen = both.select("hours", "treated", pl.col("event").cast(pl.Int64), *more)
    return pd.DataFrame(chosen.to_dict(as_series=False))


def _fit(both: pl.DataFrame, strata: Sequence[str], cluster: str | None = None) -> Any:
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceWarning

    more = [*strata, *([cluster] if cluster else [])]
    with warnings.catch_warnings():
        # lifelines warns of separation: where one arm dies at once and the other hardly, the ratio
        # has no finite estimate.
        warnings.simplefilter("error", ConvergenceWarning)
        return CoxPHFitter().fit(
            _frame(both, more),
            "hours",
            "event",
            strata=list(strata) or None,
            cluster_col=cluster,
            robust=cluster is not None,
        )


def _strata(both: pl.DataFrame) -> list[str]:
    """Stratify by batch where both arms are in more than one batch.

    A batch with one arm only carries no information on the ratio.
    """
    arms = both.group_by("batch").agg(pl.col("treated").n_unique())
    return ["batch"] if len(arms) > 1 and (arms["treated"] == 2).any() else []


def _between_batches(both: pl.DataFrame) -> list[float]:
    """Log hazard ratio of each batch that has both arms and a finite estimate."""
    log_ratios = []
    for part in both.partition_by("batch", maintain_order=True):
        if part["treated"].n_unique() == 2:
            ratio = _ratio(part.with_columns(pl.lit("").alias("batch")))
            if ratio is not None and ratio > 0:
                log_ratios.append(float(np.log(ratio)))
    return log_ratios


def _no_estimate() -> tuple[type[Exception], ...]:
    """What lifelines raises where the ratio has no finite estimate."""
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning

    return ConvergenceError, ConvergenceWarning, np.linalg.LinAlgError


def _ratio(both: pl.DataFrame) -> float | None:
    """The hazard ratio alone; None where it has no finite estimate."""
    try:
        return float(np.exp(_fit(both, _strata(both)).params_["treated"]))
    except _no_estimate():
        return None


def _cox(both: pl.DataFrame) -> Row:
    from lifelines.statistics import proportional_hazard_test

    strata = _strata(both)
    try:
        plain = _fit(both, strata)
        clustered = _fit(both, strata, "well")
        test = proportional_hazard_test(plain, _frame(both, strata), time_transform="rank")
    except _no_estimate() as error:
        return {
            "status": HazardStatus.NOT_CONVERGED,
            "reason": f"Cox's model has no finite estimate: {str(error).splitlines()[0][:120]}",
        }
    wells = both["well"].n_unique()
    estimate = float(plain.params_["treated"])
    if wells < 4:
        return {
            "status": HazardStatus.TOO_FEW_WELLS,
            "reason": f"{wells} wells in both arms; 4 are needed for an interval between wells",
            "hazard_ratio": float(np.exp(estimate)),
        }
    inflated = float(clustered.standard_errors_["treated"]) * np.sqrt(wells / (wells - 1))
    se = max(float(plain.standard_errors_["treated"]), inflated)
    degrees = wells - 2
    half_width = float(stats.t.ppf(0.975, degrees)) * se
    between = _between_batches(both) if strata else []
    if len(between) >= 2:
        spread = float(np.std(between, ddof=1) / np.sqrt(len(between)))
        if float(stats.t.ppf(0.975, len(between) - 1)) * spread > half_width:
            se, degrees = spread, len(between) - 1
            half_width = float(stats.t.ppf(0.975, degrees)) * se
    with np.errstate(over="ignore"):
        low, high = (
            float(v) if np.isfinite(v) else None
            for v in np.exp([estimate - half_width, estimate + half_width])
        )
    violated = float(test.p_value[0] if np.ndim(test.p_value) else test.p_value)
    return {
        "status": HazardStatus.OK,
        "reason": (
            ""
            if violated >= 0.01
            else (
                f"hazards are not proportional (Schoenfeld p {violated:.2g}): the ratio is an"
                " average over time"
            )
        ),
        "hazard_ratio": float(np.exp(estimate)),
        "hr_low": low,
        "hr_high": high,
        "n_batches": max(1, len(between)),
        "p_value": float(2 * stats.t.sf(abs(estimate) / se, degrees)),
        "schoenfeld_p": violated,
    }


def well_survival(tracks: pl.DataFrame) -> pl.DataFrame:
    """Deaths, losses and survival per well, over included tracks.

    Columns: n_tracked, n_deaths, rmst_h, survival_end, lost_fraction; survival up to the plate's
    common horizon.
    """
    used = tracks.filter("included")
    rows: list[Row] = []
    horizon = _earliest(used, "study_end_h") if len(used) else 0.0
    for part in used.partition_by("well", maintain_order=True):
        row: Row = {
            "well": part["well"][0],
            "n_tracked": len(part),
            "n_deaths": int(part["event"].sum()),
            "lost_fraction": _lost_fraction(part),
        }
        if len(part) >= MIN_TRACKS:
            start = _earliest(part, "entry_h")
            curve = kaplan_meier(part["exit_h"] - start, part["event"])
            row |= {
                "rmst_h": curve.rmst(horizon - start)[0],
                "survival_end": curve.at(horizon - start),
            }
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
