"""What a compound at a dose does to a line: batches are n. What it does to lines in general is `phenotypes.across`.

Strategy. `phenotypes.plate_effects` averages wells to their plate, against vehicle wells of the same line on the same plate. Here plates
are averaged to their differentiation batch, and the line's estimate is the mean of its batches with the standard error between them.
Cells, fields and wells are never n: with no effect at all, cells as n call 80 % of comparisons significant and wells 48 %, donor means 4.4 %.

With one batch there is no between-batch error; the wells' is given in its place with the status `one_batch`, and such a line takes no
part in a statement across lines.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.plate_effects import CONDITION as KEYS

MIN_BATCHES = 2


def batch_effects(plates: pl.DataFrame) -> pl.DataFrame:
    """Mean effect and response of each condition in each batch: plates ► batch, each plate once.

    `plates` as `plate_effects` gives it. `error` is the standard error between the batch's wells, their vehicle wells' included.
    """
    keys = ["phenotype", *KEYS]
    vehicles = (
        plates.filter(pl.col("control") == "vehicle")
        .group_by("phenotype", "line", "batch")
        .agg(pl.col("variance").mean().alias("vehicle_variance"), pl.col("n_wells").sum().alias("n_vehicle"))
    )
    batches = plates.group_by(*keys, "batch").agg(
        pl.col("genotype").first(),
        pl.col("effect").mean(),
        pl.col("response").mean(),
        pl.col("variance").mean(),
        pl.col("n_wells").sum(),
        pl.col("n_cells").sum(),
        pl.col("n_floored").sum(),
        pl.col("plate").n_unique().cast(pl.Int64).alias("n_plates"),
    )
    own = pl.coalesce("variance", "vehicle_variance")
    error = (own / pl.col("n_wells") + pl.col("vehicle_variance") / pl.col("n_vehicle")).sqrt()
    return (
        batches.join(vehicles, on=["phenotype", "line", "batch"], how="left")
        .with_columns(error.alias("error"))
        .drop("variance", "vehicle_variance")
        .sort(*keys, "batch")
    )


def line_effects(batches: pl.DataFrame) -> pl.DataFrame:
    """One row a line × compound × dose × phenotype: effect, error, 95 % interval and p with batches as n, counts, status.

    With one batch the error is that between its wells and p is null: no test says anything of another batch.
    """
    keys = ["phenotype", *KEYS]
    table = (
        batches.filter(pl.col("control") != "vehicle")
        .group_by(keys)
        .agg(
            pl.col("genotype").first(),
            pl.len().cast(pl.Int64).alias("n_batches"),
            *(pl.col(c).sum() for c in ("n_plates", "n_wells", "n_cells", "n_floored")),
            pl.col("n_vehicle").sum(),
            pl.col("effect").mean(),
            (pl.col("effect").std() / pl.len().sqrt()).alias("between"),
            pl.col("error").first().alias("within"),
            pl.max_horizontal((pl.col("effect") > 0).sum(), (pl.col("effect") < 0).sum()).cast(pl.Int64).alias("same_direction"),
        )
        .sort(keys)
    )
    several = table["n_batches"].to_numpy() >= MIN_BATCHES
    error = np.where(several, table["between"].to_numpy(), table["within"].to_numpy())
    wells = table["n_wells"].to_numpy() + table["n_vehicle"].fill_null(0).to_numpy() - 2
    freedom = np.where(several, table["n_batches"].to_numpy() - 1, np.maximum(1, wells))
    effect = table["effect"].to_numpy()
    wide = stats.t.ppf(0.975, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(several, 2 * stats.t.sf(np.abs(effect) / error, freedom), np.nan)
    status = pl.when(pl.Series(several)).then(pl.lit("ok")).otherwise(pl.lit("one_batch"))
    words = "one differentiation batch: the interval is between its wells and says nothing of another batch"
    found = {"error": error, "effect_low": effect - wide, "effect_high": effect + wide, "p_value": p}
    return table.drop("between", "within", "n_vehicle").with_columns(
        status.alias("status"),
        pl.when(pl.Series(several)).then(pl.lit("")).otherwise(pl.lit(words)).alias("reason"),
        *(pl.Series(name, values).fill_nan(None) for name, values in found.items()),
    )
