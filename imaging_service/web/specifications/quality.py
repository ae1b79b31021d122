"""How well a plate's controls separate, and how vehicle wells move over plates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imaging_service.web.charts import CONFIG, PALETTE, SCHEMA, Spec

_NUMBER = {"type": "quantitative", "format": ".3~g"}


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
            "scale": {"range": PALETTE},
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

    `plates` have plate, submitted (ISO text), line, mean. Empty where there is one plate or none.
    """
    if len({p["submitted"] for p in plates}) < 2:
        return {}
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {"text": phenotype, "subtitle": unit or " ", "anchor": "start"},
        "width": 420,
        "height": 180,
        "data": {"values": [dict(p) for p in plates]},
        "mark": {"type": "line", "point": {"size": 60}},
        "encoding": {
            "x": {"field": "submitted", "type": "temporal", "title": "submitted"},
            "y": {
                "field": "mean",
                "type": "quantitative",
                "title": "mean of vehicle wells",
                "scale": {"zero": False},
            },
            "color": {
                "field": "line",
                "type": "nominal",
                "title": None,
                "scale": {"range": PALETTE},
            },
            "tooltip": [{"field": f, "type": "nominal"} for f in ("plate", "line", "submitted")]
            + [{"field": "mean", **_NUMBER}],
        },
    }
