"""Tests of a line's effects with variances borrowed over the screen, and the best supported dose.

Strategy. Rows of one phenotype at one rung of their compounds' ladders (the highest dose, the one
below it, …) are measured alike, so their variances between batches are moderated together: doses
that kill scatter more than doses that do nothing, and must not borrow from them. Rows that
share batches or vehicle wells are not independent, and are worth fewer degrees of freedom.

A compound may work at a middle dose and kill at the highest. Every dose is therefore tested, with
the largest of the tests judged against that many tests (Šidák, J. Am. Stat. Assoc. 62:626, 1967:
exact for independent doses, and on the safe side for doses that share their vehicle).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.statuses import DoseStatus, ModerationStatus
from phenotypes.screens.lines import MIN_BATCHES
from phenotypes.statistics.moderation import variance_prior

_NUMBERS = (
    "moderated_error",
    "moderated_freedom",
    "moderated_low",
    "moderated_high",
    "moderated_p_value",
    "prior_freedom",
    "prior_sd",
)
_ROW = ["phenotype", "line", "compound"]


def with_moderated_tests(lines: pl.DataFrame, batches: pl.DataFrame) -> pl.DataFrame:
    """Add the moderated test to each row of `line_effects`.

    Parameters
    ----------
    lines, batches
        Tables of `line_effects` and `batch_effects`.

    Returns
    -------
    The rows in their order, with `moderation_status`, `moderated_error` and `moderated_freedom` of
    the effect, its 95 % interval `moderated_low` and `moderated_high`, `moderated_p_value`, and
    `prior_freedom` and `prior_sd`, the worth and the standard deviation (between batches) that the
    rows of this phenotype and rung have in common.
    """
    table = lines.with_row_index("row").with_columns(
        pl.col("dose_molar")
        .rank("dense", descending=True)
        .over("phenotype", "compound", "control")
        .alias("rung"),
        pl.col("status").is_in([DoseStatus.OK, DoseStatus.NO_VARIATION]).alias("tested"),
    )
    numbers = np.full((len(table), len(_NUMBERS)), np.nan)
    status = np.where(
        table["tested"].to_numpy(), ModerationStatus.TOO_FEW_ROWS, ModerationStatus.NOT_TESTED
    ).astype(object)
    tested = table.filter((pl.col("control") == "none") & pl.col("tested"))
    for _, part in tested.group_by("phenotype", "rung"):
        n = part["n_batches"].to_numpy().astype(float)
        # Batches that agree to the last digit have a variance of 0, and no error of their own.
        variance, row_df = part["error"].fill_null(0.0).to_numpy() ** 2 * n, n - 1
        varied = part.filter(pl.col("error").is_not_null())
        if varied.is_empty():
            continue
        prior = variance_prior(variance, row_df, most=independent_freedom(varied, batches))
        if prior is None:
            continue
        drawn, freedom = prior.moderated(variance, row_df)
        error, effect = np.sqrt(drawn / n), part["effect"].to_numpy()
        half_width = stats.t.ppf(0.975, freedom) * error
        members = part["row"].to_numpy()
        status[members] = ModerationStatus.OK
        numbers[members] = np.column_stack(
            [
                error,
                freedom,
                effect - half_width,
                effect + half_width,
                2 * stats.t.sf(np.abs(effect) / error, freedom),
                np.full(len(n), prior.freedom),
                np.full(len(n), np.sqrt(prior.variance)),
            ]
        )
    return table.drop("row", "rung", "tested").with_columns(
        pl.Series("moderation_status", status.tolist(), dtype=pl.String),
        *(
            pl.Series(name, values, dtype=pl.Float64).fill_nan(None)
            for name, values in zip(_NUMBERS, numbers.T, strict=True)
        ),
    )


def independent_freedom(rows: pl.DataFrame, batches: pl.DataFrame) -> float:
    """Degrees of freedom of rows together.

    Rows are not independent: lines of a batch share what it does to a compound, and compounds of a
    line its vehicle wells. The mean correlation of either kind is estimated from their deviations
    from batch to batch. Variances of rows that correlate by ρ correlate by ρ², so that n rows of ν
    degrees of freedom have n ν / (1 + (n − 1) ρ²) together.
    """
    keys = ["phenotype", "line", "compound", "dose_molar"]
    values = (
        rows.select(*keys)
        .with_row_index("row")
        .join(batches.select(*keys, "batch", "effect"), on=keys, how="inner")
        .with_columns(pl.col("effect") - pl.col("effect").mean().over("row"))
    )
    batch = np.unique(values["batch"].to_list(), return_inverse=True)[1]
    deviation = np.zeros((len(rows), batch.max() + 1))
    there = np.zeros_like(deviation)
    deviation[values["row"].to_numpy(), batch] = values["effect"].to_numpy()
    there[values["row"].to_numpy(), batch] = 1.0
    deviation /= np.linalg.norm(deviation, axis=1, keepdims=True)
    degrees = rows["n_batches"].to_numpy() - 1
    repeated = 0.0
    for name in ("compound", "line"):
        group = np.unique(rows[name].to_list(), return_inverse=True)[1]
        total = number = weight = 0.0
        for g in range(group.max() + 1):
            members = np.flatnonzero(group == g)
            shared = there[members] @ there[members].T
            pairs = (shared >= MIN_BATCHES) & ~np.eye(len(members), dtype=bool)
            total += float((deviation[members] @ deviation[members].T)[pairs].sum())
            number += float(pairs.sum())
            weight += float(np.minimum(shared - 1, degrees[members])[pairs].sum())
        correlation = max(total / number, 0.0) if number else 0.0
        repeated += weight * correlation**2
    return float(degrees.sum() ** 2 / (degrees.sum() + repeated))


def with_tests_over_doses(lines: pl.DataFrame) -> pl.DataFrame:
    """Add `p_over_doses`: p of each dose, moderated where all doses of the row are, among them all.

    Null for controls and for doses without a test.
    """
    borrowed = pl.col("moderated_p_value").is_not_null()
    treated = pl.col("control") == "none"
    tested = treated & (borrowed | pl.col("p_value").is_not_null())
    moderated = (borrowed | ~tested).all().over(*_ROW).alias("moderated")
    table = lines.with_columns(moderated).with_columns(
        pl.when(treated)
        .then(pl.when("moderated").then("moderated_p_value").otherwise("p_value"))
        .alias("p"),
    )
    table = table.with_columns(pl.col("p").count().over(*_ROW).cast(pl.Int64).alias("n_doses"))
    p, n_doses = table["p"].fill_null(np.nan).to_numpy(), table["n_doses"].to_numpy()
    # 1 − (1 − p)ⁿ, without the loss of digits of a small p.
    with np.errstate(divide="ignore"):
        over_doses = -np.expm1(n_doses * np.log1p(-p))
    return table.drop("p").with_columns(
        pl.Series("p_over_doses", over_doses, dtype=pl.Float64).fill_nan(None)
    )


def best_doses(lines: pl.DataFrame) -> pl.DataFrame:
    """Find the best supported dose of each row: that with the least p.

    `lines` is the table of `with_tests_over_doses`. The interval is simultaneous over the doses
    tested: it holds although the dose was chosen for its effect.
    """
    best = (
        lines.filter(pl.col("p_over_doses").is_not_null())
        .sort("p_over_doses", "dose_molar", descending=[False, True])
        .group_by(_ROW, maintain_order=True)
        .first()
    )
    moderated = best["moderated"].to_numpy()
    error = np.where(moderated, best["moderated_error"].to_numpy(), best["error"].to_numpy())
    freedom = np.where(moderated, best["moderated_freedom"].to_numpy(), best["n_batches"] - 1)
    share = -np.expm1(np.log(0.95) / best["n_doses"].to_numpy())
    half_width = stats.t.isf(share / 2, freedom) * error
    effect = best["effect"].to_numpy()
    return best.select(
        *_ROW,
        pl.col("dose_molar").alias("best_dose_molar"),
        pl.col("effect").alias("best_effect"),
        pl.Series("best_effect_low", effect - half_width, dtype=pl.Float64),
        pl.Series("best_effect_high", effect + half_width, dtype=pl.Float64),
        pl.col("p_over_doses").alias("best_p_value"),
        pl.col("same_direction").alias("best_same_direction"),
        "n_doses",
    )
