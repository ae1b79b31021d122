"""One plate's share of a screen: what each condition did, against the vehicle wells of its own line
and batch on this plate.

Strategy. A condition's effect is the log2 ratio of its wells' mean to the vehicle's, or the
difference of the two, whichever its phenotype is said to scale by. Wells are averaged to conditions
here, once; everything that pools plates reads these means and never a well again. Beside the effect
stands the response in % of vehicle (or as a difference), which dose-response curves are fitted to.
Ratios are of means, not means of ratios: one empty well, treated or vehicle, then counts for what
it is.

A ratio to nothing has no logarithm, and a condition without a living cell is the strongest effect
there is. Ratios are therefore floored at 1/64, and how many wells stand behind such a mean is
counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import phenotype

CONDITION = ("line", "compound", "dose_molar", "control")
FLOOR_LOG2 = -6.0

# Columns of the table of conditions, one row a plate × condition × phenotype.
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
    "level": pl.Float64(),
    "level_sd": pl.Float64(),
    "n_wells": pl.Int64(),
    "n_cells": pl.Int64(),
    "n_vehicle": pl.Int64(),
    "n_floored": pl.Int64(),
    "vehicles": pl.String(),
}
REFUSED = {
    "plate": pl.String(),
    "batch": pl.String(),
    "line": pl.String(),
    "phenotype": pl.String(),
    "status": pl.String(),
}
_OWN = ["plate", "batch", "line"]


def measurable(phenotypes: Sequence[str], pixel_size_um: float) -> list[str]:
    """Those of the phenotypes that a pixel of this size can carry."""
    coarsest = {name: phenotype(name).coarsest_pixel_um for name in phenotypes}
    return [name for name, limit in coarsest.items() if limit is None or pixel_size_um <= limit]


def plate_effects(wells: pl.DataFrame, phenotypes: Sequence[str]) -> pl.DataFrame:
    """Conditions of one plate or several, one row a plate × condition × phenotype, with the columns
    of SCHEMA.

    Parameters
    ----------
    wells
        The well table with a column `plate`; only wells that are done, with a finite value, take
        part. Rows of a batch have the same `batch`.
    phenotypes
        Well columns that can respond.

    Returns
    -------
    Table with `response` (% of vehicle, or difference), `effect` (log2 ratio, or difference) with
    its standard `error` between wells of both arms (delta method; the vehicle's scatter where there
    is one well; null where there is neither), `level` and `level_sd` (the phenotype itself),
    counts, and `vehicles`, the names of what was averaged as vehicle. What has no row,
    `plate_refusals` says.

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
    return pl.concat(
        [pl.DataFrame(schema=SCHEMA), *(_one(_valued(done, name), name) for name in phenotypes)]
    )


def plate_refusals(wells: pl.DataFrame, phenotypes: Sequence[str]) -> pl.DataFrame:
    """Plate × batch × line × phenotype that have treated wells and no effect: not_measured,
    no_vehicle or vehicle_is_zero.
    """
    wanted = (
        wells.filter((pl.col("control") == "none") & (pl.col("line") != ""))
        .select(_OWN)
        .unique(maintain_order=True)
    )
    parts = [pl.DataFrame(schema=REFUSED)]
    for name in phenotypes:
        valued = _valued(_done(wells), name)
        treated = valued.filter(pl.col("control") == "none").group_by(_OWN).agg(pl.len().alias("n"))
        vehicle = (
            valued.filter(pl.col("control") == "vehicle")
            .group_by(_OWN)
            .agg(pl.col(name).cast(pl.Float64).mean().alias("mean"))
        )
        status = (
            pl.when(pl.col("n").is_null())
            .then(pl.lit("not_measured"))
            .when(pl.col("mean").is_null())
            .then(pl.lit("no_vehicle"))
        )
        if phenotype(name).scale == "percent":
            status = status.when(pl.col("mean") <= 0).then(pl.lit("vehicle_is_zero"))
        found = wanted.join(treated, on=_OWN, how="left", nulls_equal=True).join(
            vehicle, on=_OWN, how="left", nulls_equal=True
        )
        parts.append(
            found.select(*_OWN, pl.lit(name).alias("phenotype"), status.alias("status")).filter(
                pl.col("status").is_not_null()
            )
        )
    return pl.concat(parts)


def _done(wells: pl.DataFrame) -> pl.DataFrame:
    return wells.filter((pl.col("status") == "done") & (pl.col("line") != ""))


def _valued(done: pl.DataFrame, name: str) -> pl.DataFrame:
    return done.filter(pl.col(name).is_not_null() & pl.col(name).cast(pl.Float64).is_finite())


def _one(done: pl.DataFrame, name: str) -> pl.DataFrame:
    value = pl.col(name).cast(pl.Float64)
    cells = (
        pl.col("nuclei_count").sum() if "nuclei_count" in done.columns else pl.lit(None, pl.Int64)
    )
    conditions = done.group_by(*_OWN, "genotype", *CONDITION[1:], maintain_order=True).agg(
        value.mean().alias("level"),
        value.std().alias("level_sd"),
        pl.len().cast(pl.Int64).alias("n_wells"),
        cells.cast(pl.Int64).alias("n_cells"),
    )
    vehicle = (
        done.filter(pl.col("control") == "vehicle")
        .group_by(_OWN)
        .agg(
            value.mean().alias("mean"),
            value.std().alias("sd"),
            pl.len().cast(pl.Int64).alias("n_vehicle"),
            pl.col("compound").unique().sort().str.join(", ").alias("vehicles"),
        )
    )
    joined = conditions.join(vehicle, on=_OWN, how="inner", maintain_order="left", nulls_equal=True)
    own = pl.coalesce("level_sd", "sd") / pl.col("n_wells").sqrt()
    other = pl.col("sd") / pl.col("n_vehicle").sqrt()
    effect = response = pl.col("level") - pl.col("mean")
    error = (own**2 + other**2).sqrt()
    floored = pl.lit(0, pl.Int64)
    if phenotype(name).scale == "percent":
        joined = joined.filter(pl.col("mean") > 0)
        ratio = pl.col("level") / pl.col("mean")
        kept = pl.max_horizontal(ratio, pl.lit(2**FLOOR_LOG2))
        effect, response = kept.log(2), 100 * ratio
        error = (
            (own / (kept * pl.col("mean"))) ** 2 + (other / pl.col("mean")) ** 2
        ).sqrt() / float(np.log(2))
        floored = pl.when(ratio < 2**FLOOR_LOG2).then(pl.col("n_wells")).otherwise(0)
    return joined.with_columns(
        effect.alias("effect"),
        response.alias("response"),
        error.alias("error"),
        floored.alias("n_floored"),
        pl.lit(name).alias("phenotype"),
    ).select(pl.col(column).cast(dtype) for column, dtype in SCHEMA.items())
