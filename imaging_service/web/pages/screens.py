"""What a screen's page shows: its hits, and its rows by filter, in order, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.statuses import LineWindowStatus

# Rows of a page, and hits above the table, which can be filtered by them.
PER_PAGE, MOST_HITS = 50, 20
_NAMES = ("line", "compound", "phenotype")
# Order ► the column that it goes by, and whether the largest is first.
_ORDERS: Mapping[str, tuple[str, bool]] = {
    "evidence": ("best_q_value", False),
    "line": ("line", False),
    "compound": ("compound", False),
    "phenotype": ("phenotype", False),
    "status": ("status", False),
    "lowest effect": ("effect", False),
    "highest effect": ("effect", True),
    "rescue": ("rescue", True),
}
ORDERS = tuple(_ORDERS)


@dataclass(frozen=True)
class ScreenPage:
    """One page of rows, and the number of all that fit."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    page: int
    pages: int


def hits(responses: pl.DataFrame) -> pl.DataFrame:
    """Rows that are hits, the lowest q first."""
    return ordered_rows(responses.filter(_is_hit()), "evidence")


def way(row: Mapping[str, Any]) -> str:
    """Which way a row's best supported effect goes; "" where the good direction is not known.

    Good is towards the isogenic state where that is known to differ, else as the phenotype says.

    Examples
    --------
    >>> from imaging_service.web.pages.screens import way
    >>> way({"phenotype": "live_density", "best_effect": -0.8, "window_status": None})
    'worsens'
    """
    effect = row["best_effect"]
    if row["window_status"] == LineWindowStatus.EXPRESSED:
        good = row["window"]
    else:
        good = {"higher": 1.0, "lower": -1.0}.get(phenotype(row["phenotype"]).better or "")
    if not effect or not good:
        return ""
    return "improves" if effect * good > 0 else "worsens"


def chosen_rows(table: pl.DataFrame, chosen: Mapping[str, str]) -> pl.DataFrame:
    """Rows that fit the filters; a filter that is "" lets every row pass.

    `hit` is "yes" or "no"; the others are whole values of their columns.
    """
    for name, value in chosen.items():
        if not value or name not in table.columns:
            continue
        if name == "hit":
            table = table.filter(_is_hit() if value == "yes" else ~_is_hit())
        else:
            table = table.filter(pl.col(name) == value)
    return table


def ordered_rows(table: pl.DataFrame, order: str) -> pl.DataFrame:
    """Rows in one of ORDERS; rows without a value last, equal ones by their names.

    A table that lacks the column stays as it is.
    """
    column, descending = _ORDERS.get(order, _ORDERS["evidence"])
    if column not in table.columns:
        return table
    names = [name for name in _NAMES if name != column and name in table.columns]
    return table.sort(
        [column, *names], descending=[descending, *(False for _ in names)], nulls_last=True
    )


def screen_page(table: pl.DataFrame, page: int) -> ScreenPage:
    """A page of rows that were chosen and ordered; one beyond the last is the last."""
    pages = max(1, -(-len(table) // PER_PAGE))
    page = min(page, pages)
    rows = table.slice((page - 1) * PER_PAGE, PER_PAGE).to_dicts()
    return ScreenPage(rows, len(table), page, pages)


def counts(responses: pl.DataFrame) -> dict[str, Any]:
    """How many lines, compounds, phenotypes, rows, tested rows and hits a screen has."""
    return {
        "lines": responses["line"].n_unique(),
        "compounds": responses["compound"].n_unique(),
        "phenotypes": responses["phenotype"].n_unique(),
        "rows": len(responses),
        "tested": int(responses["best_q_value"].count()),
        "hits": len(hits(responses)),
    }


def _is_hit() -> pl.Expr:
    return pl.col("hit").fill_null(value=False)
