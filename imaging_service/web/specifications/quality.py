"""How well a plate's controls separate, and how vehicle wells move over plates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imaging_service.web.charts import CONFIG, SCHEMA, Spec
from plate_maps.colours import colours_of

_NUMBER = {"type": "quantitative", "format": ".3~g"}


def _lines(rows: Sequence[Mapping[str, Any]]) -> Spec:
    lines = sorted({r["line"] for r in rows})
    return {"domain": lines, "range": colours_of(lines)}


def control_windows(quality: Sequence[Mapping[str, Any]]) -> Spec:
    """SSMD of positive control and vehicle with its 95 % interval, per phenotype and line.

    `quality` are rows of the quality table. Empty where no line has both controls.
    """
    rows = [
        {
            "line": q["line"],
            "phenotype": q["phenotype"],
            "ssmd": q["ssmd"],
            "low": q["ssmd_low"],
            "high": q["ssmd_high"],
            "z": q["robust_z_prime"],
        }
        for q in quality
        if q["ssmd"] is not None
    ]
    if not rows:
        return {}
    x = {"field": "ssmd", "type": "quantitative", "title": "SSMD (vehicle against positive)"}
    y = {"field": "line", "type": "nominal", "title": None, "axis": {"labelLimit": 200}}
    encoding = {
        "y": y,
        "color": {
            "field": "line",
            "type": "nominal",
            "scale": _lines(rows),
            "legend": None,
        },
    }
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "data": {"values": rows},
        "facet": {
            "row": {
                "field": "phenotype",
                "type": "nominal",
                "title": None,
                "header": {"labelAngle": 0, "labelAlign": "left", "labelOrient": "top"},
            }
        },
        "spec": {
            "width": 300,
            "height": {"step": 20},
            "layer": [
                {
                    "mark": {"type": "rule", "color": "#888", "strokeDash": [3, 3]},
                    "encoding": {"x": {"datum": 0, "type": "quantitative"}},
                },
                {
                    "mark": {"type": "rule", "strokeWidth": 2},
                    "encoding": {
                        **encoding,
                        "x": {**x, "field": "low"},
                        "x2": {"field": "high"},
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 70},
                    "encoding": {
                        **encoding,
                        "x": x,
                        "tooltip": [{"field": f, "type": "nominal"} for f in ("line", "phenotype")]
                        + [{"field": f, **_NUMBER} for f in ("ssmd", "low", "high", "z")],
                    },
                },
            ],
        },
    }


def vehicle_drift(plates: Sequence[Mapping[str, Any]], phenotype: str, unit: str) -> Spec:
    """Mean of vehicle wells per line, plate after plate.

    `plates` have plate, submitted (ISO text), line, mean. Empty where there is one plate or none
    with a mean.
    """
    return _over_plates(
        plates, "mean", f"mean of vehicle wells{f', {unit}' if unit else ''}", phenotype
    )


def separation_over_plates(plates: Sequence[Mapping[str, Any]], phenotype: str) -> Spec:
    """SSMD of positive control and vehicle with its 95 % interval, plate after plate.

    `plates` have plate, submitted (ISO text), line, ssmd, low, high, z. Empty where there is one
    plate or none with both controls.
    """
    return _over_plates(plates, "ssmd", "SSMD (vehicle against positive)", phenotype)


def _over_plates(
    plates: Sequence[Mapping[str, Any]], value: str, title: str, phenotype: str
) -> Spec:
    # Plate after plate: those that were submitted at once would lie on each other along time.
    rows = [
        {**p, "place": f"{p['plate']}|{p['submitted']}"}
        for p in sorted(plates, key=lambda p: (p["submitted"], p["plate"]))
        if p[value] is not None
    ]
    order = list(dict.fromkeys(r["place"] for r in rows))
    if len(order) < 2:
        return {}
    encoding: Spec = {
        "x": {
            "field": "place",
            "type": "nominal",
            "sort": order,
            "title": "plates, the oldest first",
            "axis": {"labelExpr": "split(datum.label, '|')[0]", "labelAngle": -40},
        },
        "y": {"field": value, "type": "quantitative", "title": title, "scale": {"zero": False}},
        "color": {"field": "line", "type": "nominal", "title": None, "scale": _lines(rows)},
    }
    names = [n for n in ("mean", "ssmd", "low", "high", "z") if n in rows[0]]
    tooltip = [{"field": f, "type": "nominal"} for f in ("plate", "line", "submitted")] + [
        {"field": n, **_NUMBER} for n in names
    ]
    layers: list[Spec] = [
        {
            "mark": {"type": "line", "point": {"size": 60}},
            "encoding": {**encoding, "tooltip": tooltip},
        }
    ]
    if value == "ssmd":
        ends = {"y": {**encoding["y"], "field": "low"}, "y2": {"field": "high"}}
        layers.append({"mark": {"type": "rule"}, "encoding": {**encoding, **ends}})
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {"text": phenotype, "anchor": "start"},
        "width": 420,
        "height": 180,
        "data": {"values": rows},
        "layer": layers,
    }
