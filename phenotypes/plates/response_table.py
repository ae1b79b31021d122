"""Responses as a table for notebooks, with the reason in rows that have no number."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from phenotypes.columns.statuses import ResponseStatus
from plate_maps.conditions import format_dose

if TYPE_CHECKING:
    from phenotypes.plates.responses import Responses

MOST_ROWS = 40
_HEADER = (
    "line",
    "compound",
    "phenotype",
    "status",
    "EC50 (95 %)",
    "effect (95 %)",
    "unit",
    "q",
    "reason",
)


def html_table(responses: Responses) -> str:
    """The first MOST_ROWS rows as HTML; all text of the table is escaped."""
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in _HEADER)
    rows = [_row(row) for row in responses.table.head(MOST_ROWS).iter_rows(named=True)]
    rest = len(responses.table) - len(rows)
    more = f"<div>… and {rest} more rows in <code>.table</code></div>" if rest > 0 else ""
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<div><div>{escape(repr(responses))}</div>{body}{more}</div>"


def _row(row: Mapping[str, Any]) -> str:
    half = _span(*(format_dose(row[name]) for name in ("ec50_molar", "ec50_low", "ec50_high")))
    effect = _span(_number(row["effect"]), _number(row["effect_low"]), _number(row["effect_high"]))
    cells = (
        row["line"],
        row["compound"],
        row["phenotype"],
        row["status"],
        half,
        effect,
        row["unit"],
        _number(row["q_value"]),
        row["reason"],
    )
    marked = "" if row["status"] == ResponseStatus.OK else " style='opacity:0.65'"
    return (
        f"<tr{marked}>"
        + "".join(f"<td style='text-align:left'>{escape(c or '')}</td>" for c in cells)
        + "</tr>"
    )


def _span(value: str, low: str, high: str) -> str:
    return "–" if (value, low, high) == ("–", "–", "–") else f"{value} ({low} to {high})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
