"""A plate as it is drawn: one square per well, with a sign, so that colour is never alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phenotypes.columns.status_words import remark_words, status_words, with_reason
from phenotypes.columns.statuses import ResponseStatus, WellStatus
from phenotypes.films.observation import MIN_TRACKS
from plate_maps import PlateFormat, Well
from plate_maps.colours import PALETTE, colours_of
from plate_maps.conditions import format_dose
from plate_maps.wells import row_letters

Row = Mapping[str, Any]
# Viridis (van der Walt & Smith 2015) at nine places: monotone in lightness, so that it is read
# without colour vision and in print.
_VIRIDIS = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
# How a well ended ► sign; "left" and "empty" are not in the well table.
SIGNS = {
    WellStatus.DONE: "",
    WellStatus.FAILED: "×",
    WellStatus.EXCLUDED: "⊘",
    WellStatus.SKIPPED: "–",
    "left": "·",
}


@dataclass(frozen=True)
class PlateWell:
    """One square: place from 0, class of its look, fill ("" by class), sign, words, address."""

    name: str
    row: int
    column: int
    kind: str
    fill: str
    sign: str
    words: str
    page: str


@dataclass(frozen=True)
class LegendLine:
    """A line of the legend: class of its look, fill ("" by class), address of its page or ""."""

    name: str
    kind: str
    fill: str
    page: str


@dataclass(frozen=True)
class DrawnPlate:
    """A plate to draw: names of rows and columns, squares, ends of the colour scale, legend."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[int, ...]
    wells: tuple[PlateWell, ...]
    low: float | None = None
    high: float | None = None
    unit: str = ""
    scale: tuple[str, ...] = ()
    legend: tuple[LegendLine, ...] = ()


def condition_words(well: Row) -> str:
    """What a well holds: line, compound with its dose, or its control."""
    dose = well.get("dose_molar")
    held = well["compound"] or well["control"]
    parts = [well["line"], f"{held} {format_dose(dose)}" if dose else held]
    return " · ".join(p for p in parts if p)


def progress_plate(
    title: str,
    fmt: PlateFormat,
    planned: Sequence[str],
    ended: Mapping[str, tuple[str, str]],
    page: Callable[[str], str] | None = None,
) -> DrawnPlate:
    """How each well ended so far.

    `planned` are the wells of the run, `ended` has well ► (status, reason).
    """
    wells = []
    for name in planned:
        status, reason = ended.get(name, ("left", ""))
        words = f"{name}: " + (with_reason(status, reason) if name in ended else "not analysed yet")
        wells.append(_well(name, status, "", SIGNS.get(status, "?"), words, page))
    return _plate(title, fmt, wells)


def why_without(row: Row, name: str, measurement: Mapping[str, Any] | None = None) -> str:
    """Why a well has no number of a phenotype.

    Which of its reasons a well has is not in the table: its numbers are compared with the limits of
    `measurement`, that section of the run's protocol (the defaults, if not given).

    >>> why_without({"reason": "", "n_tracked": 17}, "rmst_h")
    '17 neurons were followed, and survival needs 20'
    >>> why_without({"reason": "", "live_count": 7}, "puncta_per_neuron")
    'too few cells: 7 are alive, and a mean needs 20'
    >>> why_without({"reason": "", "live_count": 20}, "puncta_per_neuron", {"min_cells": 30})
    'too few cells: 20 are alive, and a mean needs 30'
    >>> why_without({"reason": "", "live_count": 70}, "puncta_per_neuron")
    'not measured: its channel or compartment is missing, or it was refused (see Quality)'
    """
    if row["reason"]:
        return remark_words(row["reason"])
    followed = row.get("n_tracked")
    if name in ("rmst_h", "survival_end") and followed is not None and followed < MIN_TRACKS:
        return f"{followed} neurons were followed, and survival needs {MIN_TRACKS}"
    # Loaded only where a value is missing: a first page needs no measurement.
    from phenotypes.plates.wells import COUNTED, PER_NEURON, WellSettings

    limits = {k: v for k, v in (measurement or {}).items() if k in ("min_cells", "max_conflict")}
    settings = WellSettings(**limits)
    crossing, alive = row.get("attribution_conflict_fraction"), row.get("live_count")
    if name in PER_NEURON and crossing is not None and crossing > settings.max_conflict:
        return (
            f"{status_words(ResponseStatus.ATTRIBUTION_CONFLICT)}: {crossing:.0%} of their length"
            " cannot be told to a neuron"
        )
    if alive is not None and alive < settings.min_cells and name not in COUNTED:
        return (
            f"{status_words(ResponseStatus.TOO_FEW_CELLS)}: {alive} are alive, and a mean needs"
            f" {settings.min_cells}"
        )
    return (
        f"{status_words(ResponseStatus.NOT_MEASURED)}: its channel or compartment is missing, or it"
        " was refused (see Quality)"
    )


def phenotype_plate(
    rows: Sequence[Row],
    name: str,
    unit: str,
    fmt: PlateFormat,
    page: Callable[[str], str] | None = None,
    measurement: Mapping[str, Any] | None = None,
) -> DrawnPlate:
    """A phenotype over the plate; wells without a number carry a sign and say why.

    Colours reach from the 2nd to the 98th percentile of the wells: one odd well does not make the
    others alike.
    """
    values = sorted(v for r in rows if (v := _finite(r.get(name))) is not None)
    low, high = (_percentile(values, 0.02), _percentile(values, 0.98)) if values else (None, None)
    wells = []
    for row in rows:
        value = _finite(row.get(name))
        held = condition_words(row)
        if value is None:
            why = why_without(row, name, measurement)
            words = f"{row['well']}: {held}; {status_words(row['status'])}: {why}"
            sign = SIGNS.get(row["status"], "?") or "×"
            wells.append(_well(row["well"], "nothing", "", sign, words, page))
            continue
        share = 0.5 if high == low else (value - (low or 0.0)) / ((high or 0.0) - (low or 0.0))
        words = f"{row['well']}: {held}; {name} {value:.4g} {unit}".rstrip()
        sign = "" if row["status"] == WellStatus.DONE else SIGNS.get(row["status"], "?")
        wells.append(_well(row["well"], "value", viridis(share), sign, words, page))
    scale = tuple(viridis(i / 8) for i in range(9)) if values else ()
    return _plate(name, fmt, wells, low, high, unit, scale)


def contents_plate(
    rows: Sequence[Row],
    fmt: PlateFormat,
    title: str = "What is in each well",
    page: Callable[[str], str] | None = None,
    line_page: Callable[[str], str] | None = None,
) -> DrawnPlate:
    """What is in each well: a colour per line, and the first letters of compound or control.

    Of vehicle wells the sign is V, of positive controls P, of empty ones E; of treated wells the
    place of the dose among those of its compound, from 1. A well that failed or was left out is
    pale, with the sign of how it ended. `page` and `line_page` give the addresses of a well and of
    a line.
    """
    lines = sorted({r["line"] for r in rows if r["line"]})
    looks = _looks(lines)
    ladders: dict[str, list[float]] = {}
    for r in rows:
        if r["dose_molar"]:
            ladders.setdefault(r["compound"], []).append(r["dose_molar"])
    places = {c: {d: i for i, d in enumerate(sorted(set(v)), 1)} for c, v in ladders.items()}
    signs = {"vehicle": "V", "positive": "P", "empty": "E", "negative": "N"}
    wells = []
    for r in rows:
        kind, fill = looks.get(r["line"], ("nothing", ""))
        ladder = places.get(r["compound"], {})
        sign = signs.get(str(r["control"]), str(ladder.get(r["dose_molar"], "")))
        words = f"{r['well']}: {condition_words(r)}"
        # The rows of a plate map that has not run yet have no status.
        status = r.get("status", WellStatus.DONE)
        if status != WellStatus.DONE:
            kind, sign = f"{kind} lost", SIGNS.get(status, "?")
            words += f"; {with_reason(status, r['reason'])}"
        wells.append(_well(r["well"], kind, fill, sign, words, page))
    legend = tuple(
        LegendLine(line, *looks[line], line_page(line) if line_page else "") for line in lines
    )
    return replace(_plate(title, fmt, wells), legend=legend)


def _looks(lines: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Line ► (class, fill): dark colours of the style sheet, of many lines those of the charts."""
    if len(lines) <= len(PALETTE):
        return {line: (f"line line-{i}", "") for i, line in enumerate(lines)}
    return {line: ("line", colour) for line, colour in zip(lines, colours_of(lines), strict=True)}


def viridis(share: float) -> str:
    """A colour from dark blue (0) to yellow (1); shares outside are clipped.

    >>> viridis(0), viridis(0.5), viridis(2)
    ('#440154', '#21908d', '#fde725')
    """
    place = min(max(share, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    first = min(int(place), len(_VIRIDIS) - 2)
    part = place - first
    mixed = (
        round(a + part * (b - a)) for a, b in zip(_VIRIDIS[first], _VIRIDIS[first + 1], strict=True)
    )
    return "#" + "".join(f"{c:02x}" for c in mixed)


def _well(
    name: str, kind: str, fill: str, sign: str, words: str, page: Callable[[str], str] | None
) -> PlateWell:
    well = Well.parse(name)
    address = page(name) if page else ""
    return PlateWell(name, well.row - 1, well.column - 1, kind, fill, sign, words, address)


def _plate(
    title: str,
    fmt: PlateFormat,
    wells: Sequence[PlateWell],
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    scale: tuple[str, ...] = (),
) -> DrawnPlate:
    return DrawnPlate(
        title,
        tuple(row_letters(i) for i in range(1, fmt.rows + 1)),
        tuple(range(1, fmt.columns + 1)),
        tuple(sorted(wells, key=lambda w: (w.row, w.column))),
        low,
        high,
        unit,
        scale,
    )


def _finite(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def _percentile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    first = min(int(place), len(ordered) - 1)
    after = min(first + 1, len(ordered) - 1)
    return ordered[first] + (place - first) * (ordered[after] - ordered[first])
