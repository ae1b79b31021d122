"""What the pages of responses show: rows filtered, in order, a page at a time, and their totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imaging_service.web.findings import by_evidence

Row = Mapping[str, Any]
PER_PAGE = 50
FILTERS = ("line", "compound", "phenotype", "status")


def _by(name: str, sign: int = 1) -> Callable[[Row], tuple[bool, Any]]:
    """Rows by a column; rows without a value last, whichever the direction."""

    def place(row: Row) -> tuple[bool, Any]:
        value = row[name]
        if value is None:
            return True, 0
        return False, value if isinstance(value, str) else sign * value

    return place


_ORDERS: Mapping[str, Callable[[Row], tuple[bool, Any]]] = {
    "line": _by("line"),
    "compound": _by("compound"),
    "phenotype": _by("phenotype"),
    "status": _by("status"),
    "ec50": _by("ec50_molar"),
    "lowest effect": _by("effect"),
    "highest effect": _by("effect", -1),
}
ORDERS = ("evidence", *_ORDERS)


def ordered_responses(rows: Sequence[Row], order: str) -> list[Row]:
    """Rows in one of ORDERS; by evidence for any other."""
    return sorted(rows, key=_ORDERS[order]) if order in _ORDERS else by_evidence(rows)


@dataclass(frozen=True)
class ResponsePage:
    """One page of rows, the number of all that fit, and what each filter can be set to."""

    rows: Sequence[Row]
    total: int
    page: int
    pages: int
    choices: Mapping[str, Sequence[str]]


def response_page(
    responses: Sequence[Row], chosen: Mapping[str, str], order: str, page: int
) -> ResponsePage:
    """The rows that fit the filters; a page beyond the last is the last.

    `chosen` has a value, or "", for each of FILTERS.
    """
    kept = [r for r in responses if all(not chosen[f] or r[f] == chosen[f] for f in FILTERS)]
    ordered = ordered_responses(kept, order)
    pages = max(1, -(-len(ordered) // PER_PAGE))
    page = min(page, pages)
    return ResponsePage(
        ordered[(page - 1) * PER_PAGE : page * PER_PAGE],
        len(ordered),
        page,
        pages,
        {f: sorted({r[f] for r in responses if r[f]}) for f in FILTERS},
    )


def matrix_phenotype(responses: Sequence[Row], chosen: str, wanted: Sequence[str]) -> str:
    """The phenotype that the matrix shows: the chosen one, or the first that has an effect."""
    with_effect = {r["phenotype"] for r in responses if r["effect"] is not None}
    if chosen:
        return chosen
    return next((p for p in wanted if p in with_effect), "")


def statuses(responses: Sequence[Row]) -> dict[str, int]:
    """Status ► number of rows, the most frequent first."""
    return dict(Counter(r["status"] for r in responses).most_common())


@dataclass(frozen=True)
class CurveWell:
    """A well behind a curve: its dose in mol/L (0: vehicle) and normalised response."""

    well: str
    dose_molar: float
    response: float
    away: float | None


def furthest(wells: Sequence[CurveWell]) -> CurveWell | None:
    """The treated well that is furthest from the fit; None without a fit."""
    away = [w for w in wells if w.away is not None]
    return max(away, key=lambda w: abs(w.away or 0.0), default=None)


def curve_wells(curve: Row) -> list[CurveWell]:
    """The wells of a curve, by dose; `away` is a treated well's distance from the fit.

    The fit is read between its doses; a curve without a fit gives no distance.
    """
    import numpy as np

    fitted = curve["fit_dose_molar"]
    rows = []
    for well, dose, response in zip(
        curve["wells"], curve["dose_molar"], curve["response"], strict=True
    ):
        away = None
        if fitted and dose > 0:
            expected = np.interp(np.log10(dose), np.log10(fitted), curve["fit_response"])
            away = float(response - expected)
        rows.append(CurveWell(well, dose, response, away))
    return sorted(rows, key=lambda r: (r.dose_molar, r.well))
