"""Hazard ratio of two arms, compared within plates, by Cox's model with entry times.

lifelines fits the model (Efron's ties, a stratum per batch and plate) and gives its own error; the
error between wells comes from the score residuals of wells, that between batches from each batch's
own ratio.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenotypes.films.intervals import (
    Interval,
    Spread,
    WellDesign,
    between_batches,
    interval,
    spreads,
)
from phenotypes.films.risk_sets import Residuals, proportionality_p, residuals, risk_sets


@dataclass(frozen=True)
class HazardRatio:
    """Log hazard ratio with its interval.

    Of `in_batches` batches `n_batches` give a finite ratio by themselves.
    """

    log_ratio: Interval
    n_batches: int
    in_batches: int
    schoenfeld_p: float


class NoFiniteRatioError(ValueError):
    """The hazard ratio has no finite estimate: one arm dies at once, the other hardly."""


def hazard_ratio(both: pl.DataFrame) -> HazardRatio:
    """Compare two arms; `both` is a table of `both_arms` without tracks of no time at risk.

    Raises NoFiniteRatioError.
    """
    estimate, error = _fit(both)
    parts = both.sort("stratum").partition_by("stratum", maintain_order=True)
    left_over = [_residuals(part, estimate) for part in parts]
    wells = pl.concat(
        [
            part.group_by("well")
            .agg(pl.col("treated").first(), pl.col("stratum").first())
            .sort("well")
            .with_columns(pl.Series("score", r.score), pl.Series("expected", r.expected))
            for part, r in zip(parts, left_over, strict=True)
        ]
    ).filter(pl.col("expected") > 0)
    design = WellDesign.of(*(wells[c].to_numpy() for c in ("stratum", "treated", "expected")))
    information = sum(r.information for r in left_over)
    between = _of_batches(both)
    return HazardRatio(
        interval(
            estimate,
            spreads(
                Spread(error),
                design.spread(wells["score"].to_numpy() / information),
                between_batches([b for b, _ in between], [1 / e**2 for _, e in between]),
            ),
        ),
        max(1, len(between)),
        both["batch"].n_unique(),
        proportionality_p(left_over),
    )


def _residuals(part: pl.DataFrame, log_ratio: float) -> Residuals:
    cluster = part["well"].rank("dense").to_numpy() - 1
    risk = risk_sets(part["entry_h"], part["exit_h"], part["event"], cluster, part["treated"])
    return residuals(risk, log_ratio)


def _of_batches(both: pl.DataFrame) -> list[tuple[float, float]]:
    """(log ratio, error) of each batch that has a finite one."""
    ratios = []
    parts = both.partition_by("batch", maintain_order=True)
    for part in parts if len(parts) > 1 else []:
        try:
            ratios.append(_fit(part))
        except NoFiniteRatioError:
            continue
    return ratios


def _fit(both: pl.DataFrame) -> tuple[float, float]:
    """(log ratio, the model's error)."""
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning

    chosen = both.select("entry_h", "exit_h", pl.col("event").cast(pl.Int64), "treated", "stratum")
    with warnings.catch_warnings():
        # lifelines warns of separation: where one arm dies at once and the other hardly, the ratio
        # has no finite estimate.
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model = CoxPHFitter().fit(
                pd.DataFrame(chosen.to_dict(as_series=False)),
                "exit_h",
                "event",
                entry_col="entry_h",
                strata=["stratum"],
            )
        except (ConvergenceError, ConvergenceWarning, np.linalg.LinAlgError) as error:
            raise NoFiniteRatioError(str(error).splitlines()[0][:120]) from error
    return float(model.params_["treated"]), float(model.standard_errors_["treated"])
