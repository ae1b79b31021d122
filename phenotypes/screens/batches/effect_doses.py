"""Doses at which lines are compared."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl


def effect_doses(planned: pl.DataFrame, chosen: Mapping[str, float]) -> dict[str, float]:
    """Compound ► the dose at which its effect is read.

    The screen's choice, or the highest dose that every line was meant to get in most of its
    batches, or else in any.
    """
    doses = dict(chosen)
    given = planned.filter((pl.col("dose_molar") > 0) & (pl.col("compound") != ""))
    for (compound,), part in given.group_by("compound"):
        common = _common_doses(part, most=True) or _common_doses(part, most=False)
        if common:
            doses.setdefault(str(compound), max(common))
    return doses


def _common_doses(planned: pl.DataFrame, *, most: bool) -> set[float]:
    """Doses of one compound that every line was given, in most of its batches if so asked."""
    ladders = []
    for part in planned.partition_by("line"):
        if most and "batch" in part.columns and part["batch"].null_count() == 0:
            batches = part.group_by("dose_molar").agg(pl.col("batch").n_unique().alias("n"))
            enough = batches.filter(2 * pl.col("n") > part["batch"].n_unique())
            ladders.append(set(enough["dose_molar"]))
        else:
            ladders.append(set(part["dose_molar"]))
    return set.intersection(*ladders)


def dose_ranges(planned: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Compound ► the dose range common to all lines; absent where there is none."""
    ends = (
        planned.filter(pl.col("dose_molar") > 0)
        .group_by("compound", "line")
        .agg(pl.col("dose_molar").min().alias("low"), pl.col("dose_molar").max().alias("high"))
        .group_by("compound")
        .agg(pl.col("low").max(), pl.col("high").min())
        .filter(pl.col("high") > pl.col("low"))
    )
    return {c: (low, high) for c, low, high in ends.rows()}
