"""Forests: effects of one compound over the lines of a plate or a screen, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from imaging_service.web.charts import Spec, effect_title, titled
from phenotypes.columns.status_words import with_reason
from phenotypes.columns.statuses import ScreenStatus
from plate_maps.colours import PALETTE, colours_of
from plate_maps.conditions import format_dose

_GENE_SCALE = {"range": PALETTE}
_NUMBER = {"type": "quantitative", "format": ".3~g"}


def line_forest(responses: Sequence[Mapping[str, Any]], compound: str, phenotype: str) -> Spec:
    """One row per line: effect and 95 % interval between the wells of this plate.

    `responses` are rows of the response table; a line has the colour that it has in the curves.
    Empty where no line has an effect.
    """
    rows = [
        {
            "line": r["line"],
            "label": f"{r['line']} ({r['genotype']})" if r["genotype"] else r["line"],
            "effect": r["effect"],
            "low": r["effect_low"],
            "high": r["effect_high"],
            "status": with_reason(r["status"], r["reason"]),
        }
        for r in responses
        if r["compound"] == compound and r["phenotype"] == phenotype and r["effect"] is not None
    ]
    if not rows:
        return {}
    rows.sort(key=lambda r: r["line"])
    lines = sorted({r["line"] for r in responses})
    unit = next(r["unit"] for r in responses if r["phenotype"] == phenotype)
    order = [r["label"] for r in rows]
    y = {
        "field": "label",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelLimit": 280},
    }
    x = {"field": "effect", "type": "quantitative", "title": f"effect ({unit})"}
    colour = {
        "field": "line",
        "type": "nominal",
        "scale": {"domain": lines, "range": colours_of(lines)},
        "legend": None,
    }
    tooltip = [{"field": f, "type": "nominal"} for f in ("line", "status")] + [
        {"field": f, **_NUMBER} for f in ("effect", "low", "high")
    ]
    return titled(
        f"{compound} · {phenotype}",
        "effect and 95 % interval between the wells of this plate",
        width=300,
        height={"step": 22},
        layer=[
            _zero(),
            *_intervals(rows, y, x, colour, 80, {"tooltip": tooltip}),
        ],
    )


def plates_forest(rows: Sequence[Mapping[str, Any]], title: str, colour_by: str) -> Spec:
    """One row per plate: effect and 95 % interval between its wells.

    `rows` are of one phenotype, with `label`; colours tell `colour_by` apart. Empty
    without rows.
    """
    if not rows:
        return {}
    values = [
        {
            "label": r["label"],
            "of": r[colour_by],
            "effect": r["effect"],
            "low": r["effect_low"],
            "high": r["effect_high"],
            "status": with_reason(r["status"], r["reason"]),
        }
        for r in rows
    ]
    order = [r["label"] for r in values]
    y = {
        "field": "label",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelLimit": 320},
    }
    x = {"field": "effect", "type": "quantitative", "title": f"effect ({rows[0]['unit']})"}
    names = sorted({r["of"] for r in values})
    colour = {
        "field": "of",
        "type": "nominal",
        "scale": {"domain": names, "range": colours_of(names)},
        "legend": None,
    }
    tooltip = [{"field": f, "type": "nominal"} for f in ("label", "status")] + [
        {"field": f, **_NUMBER} for f in ("effect", "low", "high")
    ]
    return titled(
        title,
        "effect and 95 % interval between the wells of each plate",
        width=330,
        height={"step": 20},
        layer=[_zero(), *_intervals(values, y, x, colour, 70, {"tooltip": tooltip})],
    )


def screen_forest(
    responses: pl.DataFrame, pooled: pl.DataFrame, compound: str, name: str, genes: dict[str, str]
) -> Spec:
    """Forest plot: effects of a compound on each line, and the mean over donors.

    Lines with their intervals, the mean with its prediction interval, for one phenotype.

    `responses` are rows of the response table of this compound and phenotype, `pooled` those of the
    compound table; `genes` has an entry, which may be empty, for every disease line.
    """
    floor = next((f for f in responses["effect_floor"] if f is not None), None)
    lines = [
        {
            "label": r["line"] + (" *" if r["status"] == ScreenStatus.ONE_BATCH else ""),
            "group": (
                (genes[r["line"]] or "gene not given")
                if r["line"] in genes
                else "healthy or corrected"
            ),
            "effect": r["effect"],
            "low": r["effect_low"],
            "high": r["effect_high"],
            "n": f"{r['n_batches']} batches",
            "status": with_reason(r["status"], r["reason"]),
            "hit": bool(r["hit"]),
        }
        for r in responses.sort("line").iter_rows(named=True)
        if r["effect"] is not None
    ]
    lines.sort(key=lambda r: (str(r["group"]), str(r["label"])))
    means = [
        {
            "label": f"mean of {r['group']} ({r['n_donors']} donors)",
            "effect": r["effect"],
            "low": r["effect_low"],
            "high": r["effect_high"],
            "predicted_low": r["predicted_low"],
            "predicted_high": r["predicted_high"],
        }
        for r in pooled.iter_rows(named=True)
        if r["effect"] is not None
    ]
    if not lines:
        return {}
    order = [str(r["label"]) for r in (*lines, *means)]
    y = {
        "field": "label",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelLimit": 320},
        "scale": {"domain": order},
    }
    x = {"field": "effect", "type": "quantitative", "title": effect_title(name)}
    colour = {"field": "group", "type": "nominal", "title": None, "scale": _GENE_SCALE}
    tooltip = [{"field": f, "type": "nominal"} for f in ("label", "n", "status")] + [
        {"field": f, **_NUMBER} for f in ("effect", "low", "high")
    ]
    shape = {
        "field": "hit",
        "type": "nominal",
        "title": "hit",
        "scale": {"domain": [True, False], "range": ["diamond", "circle"]},
    }
    zero = [{"at": 0.0}] + ([{"at": floor}, {"at": -floor}] if floor else [])
    layers: list[Spec] = [
        {
            "data": {"values": zero},
            "mark": {"type": "rule", "color": "#888", "strokeDash": [3, 3]},
            "encoding": {
                "x": {"field": "at", "type": "quantitative"},
                "opacity": {"condition": {"test": "datum.at == 0", "value": 1}, "value": 0.4},
            },
        },
        *_intervals(lines, y, x, colour, 70, {"shape": shape, "tooltip": tooltip}),
        {
            "data": {"values": means},
            "mark": {"type": "rule", "strokeWidth": 1, "color": "#777", "strokeDash": [2, 2]},
            "encoding": {
                "y": y,
                "x": {"field": "predicted_low", "type": "quantitative"},
                "x2": {"field": "predicted_high"},
            },
        },
        {
            "data": {"values": means},
            "mark": {"type": "bar", "height": 9, "color": "#222"},
            "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {
            "data": {"values": means},
            "mark": {"type": "tick", "color": "white", "thickness": 2, "size": 9},
            "encoding": {"y": y, "x": x},
        },
    ]
    dose = next((d for d in responses["effect_dose_molar"] if d is not None), None)
    where = (
        f"at {format_dose(dose)} · lines: 95 % between batches · bars: mean over donors · dashed:"
        " next donor"
        if dose
        else ""
    )
    if any(r["status"] == ScreenStatus.ONE_BATCH for r in responses.iter_rows(named=True)):
        where += " · * one batch: between its wells only"
    return titled(f"{compound} · {name}", where, width=330, height={"step": 19}, layer=layers)


def _zero() -> Spec:
    """The line of no effect."""
    return {
        "data": {"values": [{"zero": 0.0}]},
        "mark": {"type": "rule", "color": "#888", "strokeDash": [3, 3]},
        "encoding": {"x": {"field": "zero", "type": "quantitative"}},
    }


def _intervals(
    rows: Sequence[Spec], y: Spec, x: Spec, colour: Spec, size: int, more: Spec
) -> list[Spec]:
    """One row per line: a bar from `low` to `high`, and a point of the effect on it."""
    return [
        {
            "data": {"values": rows},
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {
                "y": y,
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "color": colour,
            },
        },
        {
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True, "size": size},
            "encoding": {"y": y, "x": x, "color": colour, **more},
        },
    ]
