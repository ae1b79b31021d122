"""One plate's share of a screen: what each condition did, against the vehicle wells of its own line on this plate.

Strategy. A well's effect is its log2 ratio to the vehicle's geometric mean, or its difference to the vehicle's mean, whichever its
phenotype is said to scale by. Wells are averaged to conditions here, once; everything that pools plates reads these means and never a
well again. Beside the effect stands the response in % of vehicle (or as a difference), which dose-response curves are fitted to.

A ratio to nothing has no logarithm, and a well without a living cell is the strongest effect there is. Ratios are therefore floored at
1/64, and how many wells were is counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from phenotypes.columns import phenotype

CONDITION = ("line", "compound", "dose_molar", "control")
FLOOR_LOG2 = -6.0

# Columns of the table of conditions, one row a plate × condition × phenotype.
SCHEMA = {
    "plate": pl.String(), "batch": pl.String(), "line": pl.String(), "genotype": pl.String(), "compound": pl.String(),
    "dose_molar": pl.Float64(), "control": pl.String(), "phenotype": pl.String(), "response": pl.Float64(), "effect": pl.Float64(),
    "variance": pl.Float64(), "level": pl.Float64(), "level_sd": pl.Float64(), "n_wells": pl.Int64(), "n_cells": pl.Int64(),
    "n_floored": pl.Int64(),
}  # fmt: skip


def measurable(phenotypes: Sequence[str], pixel_size_um: float) -> list[str]:
    """Those of the phenotypes that a pixel of this size can carry."""
    coarsest = {name: phenotype(name).coarsest_pixel_um for name in phenotypes}
    return [name for name, limit in coarsest.items() if limit is None or pixel_size_um <= limit]


def plate_effects(wells: pl.DataFrame, phenotypes: Sequence[str]) -> pl.DataFrame:
    """Conditions of one plate or several, one row a plate × condition × phenotype, with the columns of SCHEMA.

    Parameters
    ----------
    wells
        The well table with a column `plate`; only wells that are done take part. Rows of a batch have the same `batch`.
    phenotypes
        Well columns that can respond.

    Returns
    -------
    Table with `response` (% of vehicle, or difference), `effect` (log2 ratio, or difference), its `variance` between wells (null
    for one well), `level` and `level_sd` (the phenotype itself), and counts. Conditions without vehicle wells of their line on
    their plate, and phenotypes whose vehicle is 0, have no row.
    """
    done = wells.filter((pl.col("status") == "done") & (pl.col("line") != ""))
    keys = ["plate", "batch", "line", "genotype", "compound", "dose_molar", "control"]
    parts = [_one(done.filter(pl.col(name).is_not_null()), name, keys) for name in phenotypes]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])


def _one(done: pl.DataFrame, name: str, keys: list[str]) -> pl.DataFrame:
    value = pl.col(name).cast(pl.Float64)
    vehicle = done.filter(pl.col("control") == "vehicle").group_by("plate", "line").agg(value.mean().alias("mean"))
    joined = done.join(vehicle, on=["plate", "line"], how="inner", maintain_order="left")
    effect, response, floored = value - pl.col("mean"), value - pl.col("mean"), pl.lit(value=False)
    if phenotype(name).scale == "percent":
        joined = joined.filter(pl.col("mean") > 0)
        ratio = value / pl.col("mean")
        floored = ratio < 2**FLOOR_LOG2
        log = pl.max_horizontal(ratio, pl.lit(2**FLOOR_LOG2)).log(2)
        # Against the vehicle's own mean of logs, so that vehicle wells average to exactly 0 whatever their scatter.
        effect = log - log.filter(pl.col("control") == "vehicle").mean().over("plate", "line")
        response = 100 * ratio
    cells = pl.col("nuclei_count") if "nuclei_count" in joined.columns else pl.lit(None, pl.Int64)
    scaled = joined.with_columns(
        effect.alias("effect"), response.alias("response"), floored.alias("floored"), value.alias("level"), cells.alias("cells")
    )
    return (
        scaled.group_by(keys, maintain_order=True)
        .agg(
            pl.col("response").mean(),
            pl.col("effect").mean(),
            pl.col("effect").var().alias("variance"),
            pl.col("level").mean(),
            pl.col("level").std().alias("level_sd"),
            pl.len().cast(pl.Int64).alias("n_wells"),
            pl.col("cells").sum().cast(pl.Int64).alias("n_cells"),
            pl.col("floored").sum().cast(pl.Int64).alias("n_floored"),
        )
        .with_columns(pl.lit(name).alias("phenotype"))
        .select(pl.col(column).cast(dtype) for column, dtype in SCHEMA.items())
    )
