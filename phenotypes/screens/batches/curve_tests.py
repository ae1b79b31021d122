"""Whether curves hold between batches: tests of the dose with variances borrowed over rows.

A row's own test (`phenotypes.statistics.curves.batch_response`) lets a batch shift all doses of a
compound alike. What a batch does otherwise, as along a plate's columns or at the highest dose only,
it takes for a curve: a few batches cannot tell. All rows of a phenotype together can, since batches
do to most compounds what they do to this one.

Strategy. Each batch gives its value of several contrasts between the doses of a row: each dose less
vehicle, and the mean of the highest doses less vehicle and less the other doses. Batches are n, and
each contrast's variance between batches is borrowed over rows with as many doses
(`phenotypes.statistics.moderation`). The least p counts as the least of as many independent tests
as the contrasts, which correlate, are worth (Šidák). A curve is one that both tests see; its p is
the larger.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.statuses import ScreenCurveStatus
from phenotypes.screens.batches.moderated import independent_freedom
from phenotypes.screens.rows import Cells
from phenotypes.statistics.curves.hill import ALPHA, MIN_DOSES
from phenotypes.statistics.moderation import variance_prior

Real = NDArray[np.float64]
Key = tuple[str, str, str]
MIN_BATCHES = 2
# Share of the largest effect under which the value of a contrast is rounding.
_ROUNDING = 1e-12
_DRAWS = 10_000
# Columns that are of the curve, and withheld with it.
OF_CURVE = (
    "direction",
    "model",
    "ec50_molar",
    "ec50_molar_low",
    "ec50_molar_high",
    "ec50_absolute_molar",
    "hill",
    "e0",
    "emax",
    "auc",
)
_DISAGREE = (
    "a curve fits the means, but compounds of this phenotype differ as much from batch to batch;"
    " its numbers are withheld, the table of doses has the effects"
)
_ALONE = (
    "too few rows to borrow from: whether batches differ at some doses more than at others was not"
    " tested"
)


def with_curve_tests(
    table: pl.DataFrame, ladders: dict[Key, Cells], batches: pl.DataFrame
) -> pl.DataFrame:
    """Judge the curves of a screen by the scatter of its batches.

    Parameters
    ----------
    table
        Rows of the screen, with `curve_status`, `curve_reason` and `curve_p_value` of their own.
    ladders
        (phenotype, line, compound) ► batch means, from `cells_of`.
    batches
        Table of `batch_effects`.

    Returns
    -------
    The rows with the larger of both p in `curve_p_value`. A curve that its own test sees and the
    screen's does not is `batches_disagree`, without the numbers of the curve. Rows that cannot
    borrow keep their own p, and the reason of those with a curve says so.
    """
    p = dose_response_p(ladders, batches)
    keys: list[Key] = table.select("phenotype", "line", "compound").rows()
    of_screen = pl.Series("of_screen", [p.get(k) for k in keys], dtype=pl.Float64)
    table = table.with_columns(of_screen)
    flat = pl.col("curve_status") == ScreenCurveStatus.FLAT
    curve = pl.col("curve_p_value").is_not_null() & ~flat
    disagree = (curve & (pl.col("of_screen") >= ALPHA)).fill_null(value=False)
    # With one batch the reason says already that nothing is known of another.
    alone = curve & pl.col("of_screen").is_null() & (pl.col("n_curve_batches") >= MIN_BATCHES)
    reason = pl.col("curve_reason")
    said = pl.when(reason == "").then(pl.lit(_ALONE)).otherwise(reason + f"; {_ALONE}")
    return table.with_columns(
        pl.when(disagree)
        .then(pl.lit(ScreenCurveStatus.BATCHES_DISAGREE))
        .otherwise("curve_status")
        .alias("curve_status"),
        pl.when(disagree)
        .then(pl.lit(_DISAGREE))
        .when(alone)
        .then(said)
        .otherwise(reason)
        .alias("curve_reason"),
        pl.when(pl.col("curve_p_value").is_not_null())
        .then(pl.max_horizontal("curve_p_value", "of_screen"))
        .alias("curve_p_value"),
        *(pl.when(~disagree).then(name).alias(name) for name in OF_CURVE),
    ).drop("of_screen")


def dose_response_p(ladders: dict[Key, Cells], batches: pl.DataFrame) -> dict[Key, float]:
    """P value of no response at any dose, of the rows that can borrow.

    Rows of two batches or more with four doses that all of them have; the others are left out.
    """
    effects = {
        key: complete
        for key, cells in sorted(ladders.items())
        if (complete := _complete(cells)) is not None
    }
    ordered = sorted(effects, key=lambda key: (key[0], effects[key].shape[1]))
    p: dict[Key, float] = {}
    for _, group in groupby(ordered, key=lambda key: (key[0], effects[key].shape[1])):
        members = list(group)
        values = _p_of_group([effects[k] for k in members], _freedom(members, batches))
        if values is not None:
            p |= dict(zip(members, values.tolist(), strict=True))
    return p


def _complete(cells: Cells) -> Real | None:
    """Effects (batch, dose) at the doses that all batches have."""
    finite = np.isfinite(cells.effect)
    names = sorted({b for b, f in zip(cells.batch, finite, strict=True) if f})
    number = {b: i for i, b in enumerate(names)}
    doses = np.unique(cells.dose)
    table = np.full((len(names), len(doses)), np.nan)
    for batch, dose, effect in zip(cells.batch, cells.dose, cells.effect, strict=True):
        if np.isfinite(effect):
            table[number[batch], np.searchsorted(doses, dose)] = effect
    table = table[:, np.isfinite(table).all(axis=0)]
    return table if len(table) >= MIN_BATCHES and table.shape[1] >= MIN_DOSES else None


def contrasts(n_doses: int) -> Real:
    """Weights (contrast, dose) of effects, which are relative to vehicle.

    Examples
    --------
    >>> contrasts(2).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [-1.0, 1.0]]
    """
    single = list(np.eye(n_doses))
    above = [np.arange(n_doses) >= n_doses - m for m in range(2, n_doses + 1)]
    step = [np.arange(n_doses) >= n_doses - m for m in range(1, n_doses)]
    return np.array(
        single
        + [high / high.sum() for high in above]
        + [high / high.sum() - ~high / (~high).sum() for high in step]
    )


def _freedom(members: list[Key], batches: pl.DataFrame) -> float | None:
    """Degrees of freedom of the rows together, by the mean over their doses, batch by batch."""
    rows = pl.DataFrame(members, schema=["phenotype", "line", "compound"], orient="row")
    means = (
        batches.filter((pl.col("control") == "none") & pl.col("effect").is_finite())
        .join(rows, on=["phenotype", "line", "compound"], how="semi")
        .group_by("phenotype", "line", "compound", "batch")
        .agg(pl.col("effect").mean(), pl.lit(0.0).alias("dose_molar"))
    )
    counts = means.group_by("phenotype", "line", "compound").agg(pl.len().alias("n_batches"))
    varied = means.group_by("phenotype", "line", "compound").agg(pl.col("effect").std() > 0)
    known = rows.join(counts, on=rows.columns).join(varied.filter("effect"), on=rows.columns)
    if known.is_empty():
        return None
    return independent_freedom(known.with_columns(pl.lit(0.0).alias("dose_molar")), means)


def _p_of_group(effects: list[Real], most: float | None) -> Real | None:
    """P value (row,) over the contrasts of rows with as many doses; None where none can borrow."""
    weights = contrasts(effects[0].shape[1])
    values = [
        # What is left of a difference of equal effects is rounding, of the size of the row's own.
        np.where(np.abs(v) > _ROUNDING * np.abs(e).max(), v, 0.0)
        for e, v in ((e, e @ weights.T) for e in effects)
    ]
    n = np.array([len(v) for v in values], float)
    mean = np.array([v.mean(axis=0) for v in values])
    variance = np.array([v.var(axis=0, ddof=1) for v in values])
    least, tested = np.ones(len(effects)), []
    for k in range(len(weights)):
        prior = variance_prior(variance[:, k], n - 1, most=most)
        if prior is None:
            continue
        tested.append(k)
        drawn, freedom = prior.moderated(variance[:, k], n - 1)
        p = 2 * stats.t.sf(np.abs(mean[:, k]) / np.sqrt(drawn / n), freedom)
        least = np.minimum(least, p)
    if not tested:
        return None
    deviations = np.concatenate([v - v.mean(axis=0) for v in values])[:, tested]
    # 1 − (1 − p)ⁿ, without the loss of digits of a small p.
    return np.asarray(-np.expm1(worth(deviations) * np.log1p(-np.minimum(least, 1 - 1e-16))))


def worth(deviations: Real) -> float:
    """How many independent tests the columns of (row, column) are worth, which correlate.

    As many as have the same 95 % point of the largest of them, by normal draws with the columns'
    correlation.

    Examples
    --------
    >>> same = np.random.default_rng(0).normal(size=(200, 1))
    >>> round(worth(np.hstack([same, same])), 1)
    1.0
    """
    if deviations.shape[1] == 1:
        return 1.0
    sizes, axes = np.linalg.eigh(np.corrcoef(deviations.T))
    root = axes * np.sqrt(np.maximum(sizes, 0.0))
    draws = np.random.default_rng(0).normal(size=(_DRAWS, len(sizes))) @ root.T
    single = 2 * stats.norm.sf(np.quantile(np.abs(draws).max(axis=1), 1 - ALPHA))
    return max(1.0, float(np.log1p(-ALPHA) / np.log1p(-single)))
