"""Effects of conditions on one plate, against vehicle wells of the same line and batch.

Strategy. A condition's effect is the log2 ratio of its wells' mean to the vehicle's, or the
difference of the two, as the scale of its phenotype says. Wells are averaged to conditions here,
once; everything that pools plates reads these means and never a well again. Each row also has the
response in % of vehicle (or as a difference), to which dose-response curves are fitted.
Ratios are of means, not means of ratios, so that one empty well, treated or vehicle, weighs no more
than any other well.

A plate's own vehicle decides all of its effects, so under a least number of vehicle wells of the
line (one may be a bad one) a plate gives none.

Zero has no logarithm, yet a condition without a living cell is the strongest effect there is.
Ratios are therefore floored at 1/64, and the wells behind such a mean are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.statuses import ScreenStatus, WellStatus
from phenotypes.plates.quality.edge_doses import lie_at_edge
from phenotypes.plates.quality.vehicle_places import lie_apart
from phenotypes.statistics.curves.hill import MIN_VEHICLES

CONDITION = ("line", "compound", "dose_molar", "control")
FLOOR_LOG2 = -6.0

# Columns of the table of conditions: one row per plate × condition × phenotype.
SCHEMA = {
    "plate": pl.String(),
    "batch": pl.String(),
    "line": pl.String(),
    "genotype": pl.String(),
    "compound": pl.String(),
    "dose_molar": pl.Float64(),
    "control": pl.String(),
    "phenotype": pl.String(),
    "response": pl.Float64(),
    "effect": pl.Float64(),
    "error": pl.Float64(),
    "interval_error": pl.Float64(),
    "freedom": pl.Float64(),
    "level": pl.Float64(),
    "level_sd": pl.Float64(),
    "n_wells": pl.Int64(),
    "n_cells": pl.Int64(),
    "n_vehicle": pl.Int64(),
    "n_floored": pl.Int64(),
    "vehicles": pl.String(),
    "apart": pl.String(),
    "edge_dose": pl.Boolean(),
}
REFUSED = {
    "plate": pl.String(),
    "batch": pl.String(),
    "line": pl.String(),
    "phenotype": pl.String(),
    "status": pl.String(),
}
# Treated wells are compared with vehicle wells of the same group.
_GROUP = ["plate", "batch", "line"]


def measurable(phenotypes: Sequence[str], pixel_size_um: float) -> list[str]:
    """Phenotypes that an image with pixels of this size can resolve."""
    coarsest = {name: phenotype(name).coarsest_pixel_um for name in phenotypes}
    return [name for name, limit in coarsest.items() if limit is None or pixel_size_um <= limit]


def plate_effects(
    wells: pl.DataFrame,
    phenotypes: Sequence[str],
    *,
    min_vehicles: int = MIN_VEHICLES,
    plate_shape: tuple[int, int] | None = None,
) -> pl.DataFrame:
    """Average wells to conditions: one row per plate × condition × phenotype, columns of SCHEMA.

    Parameters
    ----------
    wells
        Well table of one plate or several, with a column `plate`; only wells that are done and have
        a finite value are used. Wells of one batch have the same `batch`.
    phenotypes
        Well columns that can respond.
    min_vehicles
        Treated wells relative to fewer vehicle wells of their line, batch and plate have no effect.
    plate_shape
        Rows and columns of the plates, for what lies at the edge; the smallest that hold all wells
        if not given.

    Returns
    -------
    Table with `response` (% of vehicle, or difference), `effect` (log2 ratio, or difference) with
    its standard `error` between wells of both arms (delta method; the vehicle's scatter where there
    is one well; null where there is neither), the `interval_error` of an interval between wells and
    its degrees of `freedom`, `level` and `level_sd` (the phenotype itself), counts, `vehicles`, the
    names of what was averaged as vehicle, `apart`, how vehicle and treated wells lie apart
    (`phenotypes.plates.quality.vehicle_places`), and `edge_dose`, whether all wells of the dose lie
    at the edge and others do not (`phenotypes.plates.quality.edge_doses`).
    `plate_refusals` lists what has no row.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes import plate_effects
    >>> wells = pl.read_parquet("results/wells.parquet").with_columns(plate=pl.lit("p1"))
    >>> effects = plate_effects(wells, ["live_density"])
    >>> set(effects.filter(control="vehicle")["response"].round(6))
    {100.0}
    """
    done = _done(wells)
    # Only one plate has a shape that can be guessed from its wells.
    plates = done.partition_by("plate") if "plate" in done.columns else []
    apart = pl.concat([lie_apart(done.clear()), *(lie_apart(p, plate_shape) for p in plates)])
    edge = pl.concat([lie_at_edge(done.clear()), *(lie_at_edge(p, plate_shape) for p in plates)])
    return pl.concat(
        [
            pl.DataFrame(schema=SCHEMA),
            *(_effects(_valued(done, name), name, apart, edge) for name in phenotypes),
        ]
    ).filter((pl.col("control") == "vehicle") | (pl.col("n_vehicle") >= min_vehicles))


def plate_refusals(
    wells: pl.DataFrame, phenotypes: Sequence[str], *, min_vehicles: int = MIN_VEHICLES
) -> pl.DataFrame:
    """List plate × batch × line × phenotype with treated wells but without an effect.

    `status` is not_measured, no_vehicle, vehicle_is_zero or too_few_vehicles; `min_vehicles` as for
    `plate_effects`.
    """
    wanted = (
        wells.filter((pl.col("control") == "none") & (pl.col("line") != ""))
        .select(_GROUP)
        .unique(maintain_order=True)
    )
    tables = [pl.DataFrame(schema=REFUSED)]
    for name in phenotypes:
        valued = _valued(_done(wells), name)
        treated = (
            valued.filter(pl.col("control") == "none").group_by(_GROUP).agg(pl.len().alias("n"))
        )
        vehicle = (
            valued.filter(pl.col("control") == "vehicle")
            .group_by(_GROUP)
            .agg(pl.col(name).cast(pl.Float64).mean().alias("mean"), pl.len().alias("vehicles"))
        )
        status = (
            pl.when(pl.col("n").is_null())
            .then(pl.lit(ScreenStatus.NOT_MEASURED))
            .when(pl.col("mean").is_null())
            .then(pl.lit(ScreenStatus.NO_VEHICLE))
        )
        if phenotype(name).scale == "percent":
            status = status.when(pl.col("mean") <= 0).then(pl.lit(ScreenStatus.VEHICLE_IS_ZERO))
        status = status.when(pl.col("vehicles") < min_vehicles).then(
            pl.lit(ScreenStatus.TOO_FEW_VEHICLES)
        )
        counts = wanted.join(treated, on=_GROUP, how="left", nulls_equal=True).join(
            vehicle, on=_GROUP, how="left", nulls_equal=True
        )
        tables.append(
            counts.select(*_GROUP, pl.lit(name).alias("phenotype"), status.alias("status")).filter(
                pl.col("status").is_not_null()
            )
        )
    return pl.concat(tables)


def _done(wells: pl.DataFrame) -> pl.DataFrame:
    return wells.filter((pl.col("status") == WellStatus.DONE) & (pl.col("line") != ""))


def _valued(done: pl.DataFrame, name: str) -> pl.DataFrame:
    return done.filter(pl.col(name).is_not_null() & pl.col(name).cast(pl.Float64).is_finite())


def _effects(
    done: pl.DataFrame, name: str, apart: pl.DataFrame, edge: pl.DataFrame
) -> pl.DataFrame:
    value = pl.col(name).cast(pl.Float64)
    cells = (
        pl.col("nuclei_count").sum() if "nuclei_count" in done.columns else pl.lit(None, pl.Int64)
    )
    conditions = done.group_by(*_GROUP, "genotype", *CONDITION[1:], maintain_order=True).agg(
        value.mean().alias("level"),
        value.std().alias("level_sd"),
        pl.len().cast(pl.Int64).alias("n_wells"),
        cells.cast(pl.Int64).alias("n_cells"),
    )
    vehicle = (
        done.filter(pl.col("control") == "vehicle")
        .group_by(_GROUP)
        .agg(
            value.mean().alias("mean"),
            value.std().alias("sd"),
            pl.len().cast(pl.Int64).alias("n_vehicle"),
            pl.col("compound").unique().sort().str.join(", ").alias("vehicles"),
        )
    )
    joined = conditions.join(
        vehicle, on=_GROUP, how="inner", maintain_order="left", nulls_equal=True
    ).join(apart, on=[*_GROUP, "compound"], how="left", maintain_order="left", nulls_equal=True)
    joined = joined.join(
        edge,
        on=[*_GROUP, "compound", "dose_molar"],
        how="left",
        maintain_order="left",
        nulls_equal=True,
    )
    # One well takes the vehicle's scatter.
    treated_sd, vehicle_sd = pl.coalesce("level_sd", "sd"), pl.col("sd")
    effect = response = pl.col("level") - pl.col("mean")
    floored = pl.lit(0, pl.Int64)
    if phenotype(name).scale == "percent":
        joined = joined.filter(pl.col("mean") > 0)
        ratio = pl.col("level") / pl.col("mean")
        floored_ratio = pl.max_horizontal(ratio, pl.lit(2**FLOOR_LOG2))
        effect, response = floored_ratio.log(2), 100 * ratio
        treated_sd = treated_sd / (floored_ratio * pl.col("mean") * float(np.log(2)))
        vehicle_sd = vehicle_sd / (pl.col("mean") * float(np.log(2)))
        floored = pl.when(ratio < 2**FLOOR_LOG2).then(pl.col("n_wells")).otherwise(0)
    errors = _errors(
        joined.select(
            treated_sd.alias("treated"),
            vehicle_sd.alias("vehicle"),
            "n_wells",
            "n_vehicle",
        )
    )
    return joined.with_columns(
        effect.alias("effect"),
        response.alias("response"),
        *errors,
        floored.alias("n_floored"),
        pl.lit(name).alias("phenotype"),
        pl.when(pl.col("control") == "none").then("apart").fill_null("").alias("apart"),
        ((pl.col("control") == "none") & pl.col("edge_dose").fill_null(value=False)).alias(
            "edge_dose"
        ),
    ).select(pl.col(column).cast(dtype) for column, dtype in SCHEMA.items())


def _errors(scatter: pl.DataFrame) -> list[pl.Series]:
    """Standard error of each effect between wells, and that of its interval with its degrees.

    Welch's interval (Biometrika 34:28, 1947): three wells beside sixteen of vehicle have hardly
    more than two degrees of freedom. Two or three wells may agree by luck, so the interval is never
    narrower than that of wells of both arms that scatter alike (Student's).
    """
    treated, vehicle = (
        scatter[name].fill_null(np.nan).to_numpy() for name in ("treated", "vehicle")
    )
    wells, vehicles = (scatter[name].to_numpy().astype(float) for name in ("n_wells", "n_vehicle"))
    arms = treated**2 / wells, vehicle**2 / vehicles
    both = np.maximum(wells + vehicles - 2, 1)
    error = np.sqrt(arms[0] + arms[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        welch = (arms[0] + arms[1]) ** 2 / (
            arms[0] ** 2 / (wells - 1) + arms[1] ** 2 / (vehicles - 1)
        )
        alike = ((wells - 1) * treated**2 + (vehicles - 1) * vehicle**2) / both
    alike_error = np.sqrt(alike * (1 / wells + 1 / vehicles))
    # One well of either arm has no scatter of its own; wells that agree have no error to weigh.
    weighed = (wells > 1) & (vehicles > 1) & (error > 0)
    freedom = np.where(weighed, welch, both)
    narrow = weighed & (
        stats.t.ppf(0.975, freedom) * error < stats.t.ppf(0.975, both) * alike_error
    )
    return [
        pl.Series("error", error).fill_nan(None),
        pl.Series("interval_error", np.where(narrow, alike_error, error)).fill_nan(None),
        pl.Series("freedom", np.where(narrow, both, freedom)),
    ]
