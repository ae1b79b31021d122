"""Effects of a compound at a dose on each line, with differentiation batches as n.

`phenotypes.screens.across.donors` combines lines.

Strategy. `phenotypes.screens.conditions` averages wells to their plate, against vehicle wells of
the same line on the same plate. Here plates are averaged to their differentiation batch, and the
line's estimate is the mean of its batches with the standard error between them. Cells, fields and
wells are never n: with no effect at all, cells as n call 80 % of comparisons significant and wells
48 %, donor means 4.4 %.

With one batch there is no error between batches; that between wells is given in its place with the
status `one_batch`, and such a line is left out of any statement across lines.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.statuses import DoseStatus
from phenotypes.screens.conditions import CONDITION as KEYS

MIN_BATCHES = 2
_ONE_BATCH = (
    "one differentiation batch: the interval is between its wells and does not cover differences"
    " between batches"
)
_NO_VARIATION = (
    "all batches gave the very same value: without scatter there is no interval and no test"
)


def batch_effects(plates: pl.DataFrame) -> pl.DataFrame:
    """Average plates to batches: mean effect and response of each condition, each plate once.

    `plates` is the table of `plate_effects`. `error` is the standard error between wells;
    `n_vehicle` counts vehicle wells on the plates of the condition, and no others; `well_error`
    and `well_freedom` are those of an interval between wells (Satterthwaite's over plates). `apart`
    says how vehicle lies apart from the treated wells on any of the plates, "" where on none is
    known; `edge_dose` whether the dose lies at the edge of all of them.
    """
    if "apart" not in plates.columns:
        plates = plates.with_columns(pl.lit("").alias("apart"))
    if "edge_dose" not in plates.columns:
        plates = plates.with_columns(pl.lit(value=False).alias("edge_dose"))
    if "freedom" not in plates.columns:
        least = pl.min_horizontal("n_wells", "n_vehicle") - 1
        plates = plates.with_columns(
            pl.col("error").alias("interval_error"),
            least.clip(1).cast(pl.Float64).alias("freedom"),
        )
    variance = pl.col("interval_error") ** 2
    return (
        plates.group_by("phenotype", *KEYS, "batch")
        .agg(
            pl.col("genotype").first(),
            pl.col("effect").mean(),
            pl.col("response").mean(),
            ((pl.col("error") ** 2).sum().sqrt() / pl.len()).alias("error"),
            pl.col("error").null_count().alias("unknown"),
            *(pl.col(name).sum() for name in ("n_wells", "n_cells", "n_vehicle", "n_floored")),
            pl.col("plate").n_unique().cast(pl.Int64).alias("n_plates"),
            (variance.sum().sqrt() / pl.len()).alias("well_error"),
            pl.when(variance.sum() > 0)
            .then(variance.sum() ** 2 / (variance**2 / pl.col("freedom")).sum())
            .otherwise(pl.col("freedom").sum())
            .alias("well_freedom"),
            pl.col("vehicles").unique().sort().str.join("; ").alias("vehicles"),
            pl.col("apart").fill_null("").max(),
            pl.col("edge_dose").fill_null(value=False).all(),
        )
        .with_columns(
            pl.when(pl.col("unknown") == 0).then(name).alias(name)
            for name in ("error", "well_error")
        )
        .drop("unknown")
        .sort("phenotype", *KEYS, "batch")
    )


def line_effects(batches: pl.DataFrame) -> pl.DataFrame:
    """Average batches to lines: one row per line × compound × dose × phenotype.

    Effect, error, 95 % interval and p have batches as n. With one batch the error is that between
    its wells and p is null: it predicts nothing about another batch. Batches that agree to the last
    digit (all at 0, for example) have no scatter to test by: `no_variation`, without interval or p.
    """
    keys = ["phenotype", *KEYS]
    if "well_error" not in batches.columns:
        # Averages that a site's earlier version made.
        nothing = pl.lit(None, pl.Float64)
        batches = batches.with_columns(nothing.alias("well_error"), nothing.alias("well_freedom"))
    table = (
        batches.filter(pl.col("control") != "vehicle")
        .group_by(keys)
        .agg(
            pl.col("genotype").first(),
            pl.len().cast(pl.Int64).alias("n_batches"),
            *(pl.col(c).sum() for c in ("n_plates", "n_wells", "n_cells", "n_floored")),
            pl.col("well_freedom").first().fill_null(1.0),
            pl.col("effect").mean(),
            (pl.col("effect").std() / pl.len().sqrt()).alias("between"),
            pl.coalesce("well_error", "error").first().alias("between_wells"),
            (pl.col("effect").sign() == pl.col("effect").mean().sign())
            .sum()
            .cast(pl.Int64)
            .alias("same_direction"),
        )
        .sort(keys)
    )
    several = table["n_batches"].to_numpy() >= MIN_BATCHES
    error = np.where(
        several,
        table["between"].fill_null(np.nan).to_numpy(),
        table["between_wells"].fill_null(np.nan).to_numpy(),
    )
    effect = table["effect"].to_numpy()
    constant = several & (error <= 1e-12 * np.maximum(1.0, np.abs(effect)))
    error = np.where(constant, np.nan, error)
    degrees = np.where(
        several,
        table["n_batches"].to_numpy() - 1,
        np.maximum(1, table["well_freedom"].to_numpy()),
    )
    half_width = stats.t.ppf(0.975, degrees) * error
    p = np.where(several, 2 * stats.t.sf(np.abs(effect) / error, degrees), np.nan)
    is_one_batch, is_constant = pl.Series(~several), pl.Series(constant)
    intervals = {
        "error": error,
        "effect_low": effect - half_width,
        "effect_high": effect + half_width,
        "p_value": p,
    }
    return table.drop("between", "between_wells", "well_freedom").with_columns(
        pl.when(is_one_batch)
        .then(pl.lit(DoseStatus.ONE_BATCH))
        .when(is_constant)
        .then(pl.lit(DoseStatus.NO_VARIATION))
        .otherwise(pl.lit(DoseStatus.OK))
        .alias("status"),
        pl.when(is_one_batch)
        .then(pl.lit(_ONE_BATCH))
        .when(is_constant)
        .then(pl.lit(_NO_VARIATION))
        .otherwise(pl.lit(""))
        .alias("reason"),
        *(pl.Series(name, values).fill_nan(None) for name, values in intervals.items()),
    )
