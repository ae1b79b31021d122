"""What a screen's page shows: its hits, and its tables by filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

MOST_ROWS = 200


def hits(responses: pl.DataFrame) -> pl.DataFrame:
    """Rows that are hits, the lowest q first."""
    return responses.filter(pl.col("hit").fill_null(value=False)).sort(
        "best_q_value", "line", "compound", "phenotype", nulls_last=True
    )


def chosen_rows(table: pl.DataFrame, chosen: Mapping[str, str]) -> pl.DataFrame:
    """Rows that fit the filters; a filter that is "" lets every row pass."""
    for name, value in chosen.items():
        if value and name in table.columns:
            table = table.filter(pl.col(name) == value)
    return table


def counts(responses: pl.DataFrame) -> dict[str, Any]:
    """How many lines, compounds, phenotypes, rows and hits a screen has."""
    return {
        "lines": responses["line"].n_unique(),
        "compounds": responses["compound"].n_unique(),
        "phenotypes": responses["phenotype"].n_unique(),
        "rows": len(responses),
        "hits": len(hits(responses)),
    }
