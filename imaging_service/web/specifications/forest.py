"""Effects of one compound over the lines of a plate, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imaging_service.web.charts import CONFIG, SCHEMA, Spec, colours_of

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
            "status": r["status"] + (f": {r['reason']}" if r["reason"] else ""),
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
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {
            "text": f"{compound} · {phenotype}",
            "subtitle": "effect and 95 % interval between the wells of this plate",
            "anchor": "start",
        },
        "width": 300,
        "height": {"step": 22},
        "layer": [
            {
                "data": {"values": [{"zero": 0.0}]},
                "mark": {"type": "rule", "color": "#888", "strokeDash": [3, 3]},
                "encoding": {"x": {"field": "zero", "type": "quantitative"}},
            },
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
                "mark": {"type": "point", "filled": True, "size": 80},
                "encoding": {
                    "y": y,
                    "x": x,
                    "color": colour,
                    "tooltip": [{"field": f, "type": "nominal"} for f in ("line", "status")]
                    + [{"field": f, **_NUMBER} for f in ("effect", "low", "high")],
                },
            },
        ],
    }
