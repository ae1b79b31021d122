"""Quality control of a plate: fields and wells to leave out, and checks of the whole plate.

Left out are fields out of focus, wells with too few fields left, and vehicle wells unlike the other
vehicle wells of their line. **A treated well is never left out for its cells**: a toxic compound
leaves few or none. So focus is judged on nuclei only, against vehicle fields, and only in fields
with enough nuclei to judge it by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.dictionary import INTENSITY_ROLES, conform, empty_table
from phenotypes.columns.statuses import CheckStatus, WellStatus
from phenotypes.plates.flatness import flatness_checks
from phenotypes.plates.quality.limits import QualityLimits
from phenotypes.plates.wells import vehicle_means
from phenotypes.statistics.robust import robust_scale

Row = dict[str, object]

# Robust z divides by at least this: where all fields of a plate agree, one that differs a little
# must not be left out.
_LEAST_SLOPE_SD = 0.1
_LEAST_DENSITY_CV = 0.05
# A vehicle well with at most this share of the fullest one's live cells is empty.
_EMPTY = 0.05
_JUDGED_NUCLEI = 10
# A focus slope steeper than that of the sharper fields by this much is a blur of 3 µm and more; 20
# to 2,000 cells per mm² move it by half as much.
BLURRED_SLOPE = 1.0
_MIN_VEHICLE = 5
EVERY_FIELD = pl.lit(value=True)


def mark_fields(
    fields: pl.DataFrame,
    conditions: pl.DataFrame,
    limits: QualityLimits,
    reference: pl.Expr = EVERY_FIELD,
) -> pl.DataFrame:
    """Fill `valid` and `qc` of every field.

    `reference`: which fields may be among the vehicle's that focus is compared with.
    """
    placed = fields.join(
        conditions.select("well", "control"), on="well", how="left", maintain_order="left"
    )
    judged = (pl.col("focus_dna").is_not_null()) & (pl.col("nuclei_count") >= _JUDGED_NUCLEI)
    vehicle = placed.filter(reference & judged & (pl.col("control") == "vehicle"))
    slopes = vehicle["focus_dna"].to_numpy()
    blurred: pl.Expr = pl.lit(value=False)
    middle = 0.0
    if len(slopes) >= _MIN_VEHICLE:
        # Most vehicle fields may be out of focus, and must not be what others are judged by. Not
        # the sharpest: a scratch is sharper than any cell.
        least = float(np.percentile(slopes, 90)) - BLURRED_SLOPE
        sharp = slopes[slopes >= least]
        if len(sharp) >= _MIN_VEHICLE:
            middle, sd = robust_scale(sharp, _LEAST_SLOPE_SD)
            least = middle - limits.focus_z * sd
        else:
            middle = least + BLURRED_SLOPE
        blurred = judged & (pl.col("focus_dna") < least)
    notes = [
        pl.when(blurred).then(
            pl.format(
                "out_of_focus: DNA focus slope {}, fields in focus " + f"{middle:.2f}",
                pl.col("focus_dna").round(2),
            )
        ),
        *_warnings(pl.col("debris_fraction"), limits.debris, "debris"),
        *_warnings(
            pl.col("confluence"),
            limits.confluence,
            "confluent: the background may be read from cells",
        ),
        pl.when(pl.col("nuclei_count") == 0).then(pl.lit("empty: no nucleus")),
        *_warnings(pl.col("outside_fraction"), 0.0, "outside of the culture, left out"),
        *_warnings(pl.col("clump_count"), 0, "clumps, left out"),
    ]
    for role in INTENSITY_ROLES:
        saturated = pl.col(f"saturated_{role}")
        notes += [
            pl.when(saturated > limits.saturated).then(
                pl.format(
                    f"saturated {role} ({{}}), so its levels, ratios and spots are not given",
                    saturated.round(3),
                )
            )
        ]
        if role == "dna":
            notes += [
                pl.when((saturated > 0) & (saturated <= limits.saturated)).then(
                    pl.format(
                        "clipped dna ({}), so small nuclei may be pyknotic", saturated.round(3)
                    )
                )
            ]
        notes += _warnings(pl.col(f"uneven_{role}"), limits.uneven, f"unevenly lit {role}")
    return placed.with_columns(
        (~blurred).alias("valid"),
        pl.concat_str(notes, separator="; ", ignore_nulls=True).alias("qc"),
    ).select(fields.columns)


def _warnings(value: pl.Expr, limit: float, text: str) -> list[pl.Expr]:
    return [pl.when(value > limit).then(pl.format(text + " ({})", value.round(3)))]


def exclude_unfocused(
    fields: pl.DataFrame, outcomes: Mapping[str, tuple[str, str]], limits: QualityLimits
) -> dict[str, tuple[str, str]]:
    """Outcomes in which wells with too few valid fields are excluded."""
    changed = dict(outcomes)
    shares = fields.group_by("well", maintain_order=True).agg(
        pl.col("valid").sum().alias("valid"), pl.len().alias("all")
    )
    for well, valid, every in shares.rows():
        if (
            changed.get(well, ("", ""))[0] == WellStatus.DONE
            and valid < limits.valid_fields * every
        ):
            changed[well] = (
                WellStatus.EXCLUDED,
                (
                    f"out_of_focus: {valid} of {every} fields are in focus,"
                    f" {limits.valid_fields:.0%} are needed; scan the well again"
                ),
            )
    return changed


def exclude_vehicle_outliers(wells: pl.DataFrame, limits: QualityLimits) -> pl.DataFrame:
    """Mark vehicle wells unlike the others of their line as excluded in the well table.

    A vehicle well that is empty beside the fullest one of its line is excluded whatever the others
    are: most of them may be empty, and a mean with such wells makes every other well look healthy.
    `survival_fixed` is then taken against the vehicle wells that stay.
    """
    names, reasons = [], []
    vehicles = wells.filter(
        (pl.col("status") == WellStatus.DONE)
        & (pl.col("control") == "vehicle")
        & pl.col("live_density").is_not_null()
    )
    for part in vehicles.partition_by("line", maintain_order=True):
        density = part["live_density"].to_numpy()
        fullest = float(density.max())
        empty = (density >= 0) & (density <= _EMPTY * fullest)
        for well, value in part.filter(pl.Series(empty)).select("well", "live_density").rows():
            names.append(well)
            reasons.append(
                f"vehicle_empty: {value:.0f} live cells per mm², {fullest:.0f} in the fullest"
                f" vehicle well of line {part['line'][0]}; nothing can be relative to it"
            )
        part, density = part.filter(pl.Series(~empty)), density[~empty]
        middle = float(np.median(density)) if len(density) else 0.0
        if len(density) < _MIN_VEHICLE or middle <= 0:
            continue
        _, sd = robust_scale(density, _LEAST_DENSITY_CV * middle)
        for well, value, z in zip(part["well"], density, (density - middle) / sd, strict=True):
            if abs(z) > limits.vehicle_z:
                names.append(well)
                reasons.append(
                    f"vehicle_outlier: {value:.0f} live cells per mm², robust z {z:.1f} against the"
                    f" {len(density)} vehicle wells of line {part['line'][0]} (limit"
                    f" ±{limits.vehicle_z:g})"
                )
    if not names:
        return wells
    reason = pl.col("well").replace_strict(names, reasons, default=None, return_dtype=pl.String)
    marked = wells.with_columns(
        pl.when(reason.is_not_null())
        .then(pl.lit(WellStatus.EXCLUDED))
        .otherwise(pl.col("status"))
        .alias("status"),
        pl.coalesce(reason, pl.col("reason")).alias("reason"),
    )
    vehicle = vehicle_means(marked, "live_density")
    return marked.with_columns(
        pl.when(vehicle > 0).then(pl.col("live_density") / vehicle).alias("survival_fixed")
    )


def plate_checks(
    wells: pl.DataFrame,
    fields: pl.DataFrame,
    rows: int,
    columns: int,
    limits: QualityLimits | None = None,
    phenotypes: Sequence[str] = (),
) -> pl.DataFrame:
    """Edge, trends, differences, drift and autofluorescence: one row per check.

    `rows` × `columns` is the plate's format, `phenotypes` are those asked for
    (`phenotypes.plates.flatness`).
    """
    limits = limits or QualityLimits()
    checks: list[Row] = []
    # Fields that are left out of their wells take no part in autofluorescence or drift.
    fields = fields.filter(pl.col("valid").fill_null(value=True))
    taken = fields.group_by("well").agg(pl.col("exposed_h").median().alias("taken_h")).drop_nulls()
    checks += flatness_checks(wells, taken, rows, columns, phenotypes, limits.trend_p)
    done = wells.filter(pl.col("status") == WellStatus.DONE)
    checks += _autofluorescence(done, fields, limits)
    return (
        conform(pl.DataFrame(checks, infer_schema_length=None), "check")
        if checks
        else empty_table("check")
    )


def _check(
    check: str,
    subject: str,
    status: str,
    reason: str,
    value: float | None = None,
    p: float | None = None,
    n: int = 0,
) -> Row:
    return {
        "check": check,
        "subject": subject,
        "status": status,
        "reason": reason,
        "value": value,
        "p_value": p,
        "n_wells": n,
    }


def _rank(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation and its p; (0, 1) where one of them does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0, 1.0
    correlation = stats.spearmanr(a, b)
    return float(correlation.statistic), float(correlation.pvalue)


def _autofluorescence(done: pl.DataFrame, fields: pl.DataFrame, limits: QualityLimits) -> list[Row]:
    """Compounds that fluoresce in a channel.

    The background of their wells rises with the dose, above every vehicle well.
    """
    checks: list[Row] = []
    for role in INTENSITY_ROLES:
        level = (
            fields.group_by("well")
            .agg(pl.col(f"background_{role}").median().alias("level"))
            .drop_nulls()
        )
        table = done.join(level, on="well", how="inner", maintain_order="left")
        vehicle = table.filter(pl.col("control") == "vehicle")["level"].to_numpy()
        if len(vehicle) < _MIN_VEHICLE:
            continue
        middle, sd = robust_scale(vehicle, 0.02 * abs(float(np.median(vehicle))) + 1e-9)
        treated = table.filter((pl.col("control") == "none") & (pl.col("dose_molar") > 0))
        for part in treated.partition_by("compound", maintain_order=True):
            dose, glow = part["dose_molar"].to_numpy(), part["level"].to_numpy()
            top = glow[dose == dose.max()]
            z = (float(np.median(top)) - middle) / sd
            rises = len(set(dose)) < 3 or _rank(dose, glow)[0] > 0.5
            if z > limits.autofluorescent_z and float(np.median(top)) > vehicle.max() and rises:
                reason = (
                    f"background of the {role} channel at the highest dose is {z:.1f} robust SD"
                    " above vehicle: the compound may glow"
                )
                checks.append(
                    _check(
                        "autofluorescence",
                        f"{part['compound'][0]}, {role}",
                        CheckStatus.WARNING,
                        reason,
                        z,
                        None,
                        len(part),
                    )
                )
    return checks
