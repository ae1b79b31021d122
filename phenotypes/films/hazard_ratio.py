"""Hazard ratio of two arms, compared within plates, by Cox's model with entry times.

lifelines fits the model (Efron's ties, a stratum per batch and plate) and gives its own error; the
error between wells comes from their deaths beside those that the model expects of them, that
between batches from each batch's own ratio.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenotypes.films.intervals import (
    Interval,
    Spread,
    between_batches,
    between_wells,
    interval,
    spreads,
)
from phenotypes.films.risk_sets import (
    RiskSets,
    is_finite,
    proportionality_p,
    residuals,
    risk_sets,
)


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
    """The hazard ratio has no finite estimate: it says why."""


def hazard_ratio(both: pl.DataFrame) -> HazardRatio:
    """Compare two arms; `both` is a table of `both_arms` without tracks of no time at risk.

    Raises NoFiniteRatioError.
    """
    parts = both.sort("stratum").partition_by("stratum", maintain_order=True)
    estimate, error = _fit(both)
    left_over = [residuals(_risk_sets(part), estimate) for part in parts]
    wells = pl.concat(
        [
            part.group_by("well")
            .agg(pl.col("treated").first(), pl.col("stratum").first())
            .sort("well")
            .with_columns(pl.Series("expected", r.expected), pl.Series("deaths", r.deaths))
            for part, r in zip(parts, left_over, strict=True)
        ]
    ).filter(pl.col("expected") > 0)
    # The logarithm of a well's own hazard is off by about deaths / expected − 1.
    wells = wells.with_columns((pl.col("deaths") / pl.col("expected") - 1).alias("off"))
    between = _of_batches(both)
    return HazardRatio(
        interval(
            estimate,
            spreads(
                Spread(error),
                between_wells(
                    *(wells[c].to_numpy() for c in ("off", "stratum", "treated", "expected"))
                ),
                between_batches([b for b, _ in between], [1 / e**2 for _, e in between]),
            ),
        ),
        max(1, len(between)),
        both["batch"].n_unique(),
        proportionality_p(left_over),
    )


def _risk_sets(part: pl.DataFrame) -> RiskSets:
    cluster = part["well"].rank("dense").to_numpy() - 1
    return risk_sets(part["entry_h"], part["exit_h"], part["event"], cluster, part["treated"])


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
    """(log ratio, the model's error). Raises NoFiniteRatioError."""
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning

    if not is_finite([_risk_sets(p) for p in both.partition_by("stratum")]):
        raise NoFiniteRatioError("one arm has no death as long as the other is at risk")
    # Entry times say nothing where every track enters before the first one ends: without them
    # lifelines finds the same ratio in half of the time.
    late = both.select(pl.col("entry_h").max() >= pl.col("exit_h").min()).item()
    chosen = both.select(
        "exit_h",
        pl.col("event").cast(pl.Int64),
        "treated",
        "stratum",
        *(["entry_h"] if late else []),
    )
    with warnings.catch_warnings():
        # lifelines warns of a ratio that is nearly infinite.
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model = CoxPHFitter().fit(
                pd.DataFrame(chosen.to_dict(as_series=False)),
                "exit_h",
                "event",
                entry_col="entry_h" if late else None,
                strata=["stratum"],
            )
        except (ConvergenceError, ConvergenceWarning, np.linalg.LinAlgError) as error:
            raise NoFiniteRatioError(str(error).splitlines()[0][:120]) from error
    return float(model.params_["treated"]), float(model.standard_errors_["treated"])
