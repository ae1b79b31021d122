"""Hits and responders: rows judged against the whole screen.

They compare a row with all others, so they are not part of the row's fit, which depends on its own
batches only.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.dictionary import conform, phenotype
from phenotypes.columns.statuses import LineWindowStatus, ModerationStatus, ScreenStatus
from phenotypes.screens.across.rescue import responder_class
from phenotypes.statistics.multiple_testing import with_q_values

ALPHA = 0.05
MIN_BATCHES = 2


def with_screen_tests(
    table: pl.DataFrame, at_dose: pl.DataFrame, best: pl.DataFrame
) -> pl.DataFrame:
    """Fill the tests that borrow from the whole screen, and q values.

    Parameters
    ----------
    table
        Rows of the screen.
    at_dose
        Rows of `with_moderated_tests` at the dose at which lines are compared.
    best
        Table of `best_doses`.
    """
    keys = ["phenotype", "line", "compound"]
    moderated = [c for c in at_dose.columns if c.startswith(("moderated_", "moderation_"))]
    filled = at_dose.select(*keys, *moderated, "prior_freedom", "prior_sd")
    for part in (filled, best):
        table = table.drop(set(part.columns) - set(keys), strict=False).join(
            part, on=keys, how="left", maintain_order="left"
        )
    table = table.with_columns(
        pl.col("moderation_status").fill_null(pl.lit(ModerationStatus.NOT_TESTED))
    )
    for of in ("", "moderated_", "best_"):
        table = with_q_values(table, ["phenotype"], of=of)
    return table


def judged_rows(table: pl.DataFrame, healthy: frozenset[str]) -> pl.DataFrame:
    """Fill `hit`, `responder` and its probability in the table of `with_screen_tests`."""
    better = {name: phenotype(name).better for name in table["phenotype"].unique()}
    # The good direction is towards the isogenic state where that is known to differ, else that of
    # the phenotype's definition.
    towards = pl.when(pl.col("window_status") == LineWindowStatus.EXPRESSED).then(
        pl.col("window").sign()
    )
    usual = pl.col("phenotype").replace_strict(
        {n: {"higher": 1.0, "lower": -1.0}.get(b or "") for n, b in better.items()},
        return_dtype=pl.Float64,
    )
    batches = pl.col("n_batches").cast(pl.Float64)
    columns = table.select(
        pl.coalesce(towards, usual).alias("sign"),
        (
            pl.col("status").is_in([ScreenStatus.OK, ScreenStatus.NO_VARIATION])
            & (
                (pl.col("window_status") != LineWindowStatus.NOT_EXPRESSED)
                | pl.col("line").is_in(list(healthy))
            )
        ).alias("classed"),
        (pl.col("effect_high") - pl.col("effect_low")).alias("width"),
        batches.alias("batches"),
        (
            (pl.col("window_status") == LineWindowStatus.NOT_EXPRESSED)
            & ~pl.col("line").is_in(list(healthy))
        ).alias("absent"),
    )
    degrees = np.maximum(columns["batches"].fill_null(2).to_numpy() - 1, 1)
    error = columns["width"].fill_null(np.nan).to_numpy() / 2 / stats.t.ppf(0.975, degrees)
    borrowed = table["moderated_error"].is_not_null().to_numpy()
    degrees = np.where(borrowed, table["moderated_freedom"].to_numpy(), degrees)
    error = np.where(borrowed, table["moderated_error"].to_numpy(), error)
    effect = (
        columns["sign"].fill_null(np.nan).to_numpy() * table["effect"].fill_null(np.nan).to_numpy()
    )
    classes, probability = responder_class(
        effect, error, degrees, table["effect_floor"].fill_null(np.nan).to_numpy()
    )
    usable = columns["classed"].fill_null(value=False).to_numpy() & np.isfinite(probability)
    probability = np.where(usable, probability, np.nan)
    responder = pl.Series(
        [str(f) if u else None for f, u in zip(classes, usable, strict=True)], dtype=pl.String
    )
    table = table.with_columns(
        pl.when(columns["absent"])
        .then(pl.lit("phenotype_absent"))
        .otherwise(responder)
        .alias("responder"),
        pl.Series("responder_probability", probability).fill_nan(None),
    )
    large = pl.col("best_effect").abs() >= pl.col("effect_floor")
    hit = (pl.col("best_q_value") <= ALPHA) & large & (pl.col("best_same_direction") >= MIN_BATCHES)
    # Without a known floor a row is tested, but cannot be a hit.
    tested = pl.col("best_p_value").is_not_null()
    return conform(
        table.with_columns(
            pl.when(tested).then(hit.fill_null(value=False)).alias("hit"),
        ).drop("best_same_direction", "moderated_error"),
        "screen",
    )
