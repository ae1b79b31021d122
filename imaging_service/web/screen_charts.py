"""Pictures of a screen as Vega-Lite specifications.

Curves by batch, lines × compounds, disease windows.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from imaging_service.web.charts import Spec, dose_axis, effect_title, titled, unit_part
from imaging_service.web.specifications.matrix import certainty, matrix
from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.status_words import with_reason
from phenotypes.columns.statuses import ScreenStatus, WindowStatus
from phenotypes.statistics.curves.hill import DoseResponse
from plate_maps.colours import PALETTE
from plate_maps.conditions import format_dose

_NUMBER = {"type": "quantitative", "format": ".3~g"}
_GENE_SCALE = {"range": PALETTE}


def batch_curves(
    points: pl.DataFrame,
    curve: DoseResponse,
    line: str,
    compound: str,
    name: str,
    response_unit: str,
) -> Spec:
    """One line's curve through its batches, with its band and the EC50's interval at 95 %.

    One colour and shape per batch; vehicle is at the left edge. `points` has batch, dose_molar
    (0: vehicle), response and n_wells.
    """
    tested = [d for d in points["dose_molar"] if d > 0]
    if not tested:
        return {}
    left = min(tested) / 10**0.5
    shown = [
        {
            **r,
            "dose": r["dose_molar"] or left,
            "given": format_dose(r["dose_molar"]) if r["dose_molar"] else "vehicle",
        }
        for r in points.iter_rows(named=True)
    ]
    fits: list[Spec] = []
    if curve.model:
        xs = np.geomspace(left, max(tested), 80)
        ys = curve.predict(xs)
        band = curve.band(xs)
        low, high = band if band is not None else (ys, ys)
        fits = [
            {"dose": float(x), "response": float(y), "low": float(a), "high": float(b)}
            for x, y, a, b in zip(xs, ys, low, high, strict=True)
        ]
    values = points["response"].to_list()
    margin = 0.12 * ((max(values) - min(values)) or 1.0)
    x = {
        "field": "dose",
        "type": "quantitative",
        "title": compound,
        "axis": dose_axis(left, max(tested)),
        "scale": {"type": "log", "domain": [left * 0.9, max(tested) * 1.15], "nice": False},
    }
    y = {
        "field": "response",
        "type": "quantitative",
        "title": response_unit,
        "scale": {
            "domain": [min(values) - margin, max(values) + margin],
            "nice": True,
            "zero": False,
        },
    }
    batch = {"field": "batch", "type": "nominal", "title": "batch", "scale": {"range": PALETTE}}
    tooltip = [
        {"field": "batch", "type": "nominal"},
        {"field": "given", "type": "nominal", "title": "dose"},
        {"field": "response", **_NUMBER},
        {"field": "n_wells", "type": "quantitative"},
    ]
    layers: list[Spec] = [
        {
            "data": {"values": fits},
            "mark": {"type": "area", "opacity": 0.18, "color": "#777", "clip": True},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"values": fits},
            "mark": {
                "type": "line",
                "color": "#222",
                "strokeWidth": 2,
                "clip": True,
                "strokeDash": [5, 4] if curve.model == "constant" else [1, 0],
            },
            "encoding": {"x": x, "y": y},
        },
        {
            "data": {"values": shown},
            "mark": {"type": "line", "strokeWidth": 0.8, "opacity": 0.5},
            "encoding": {"x": x, "y": y, "color": batch},
        },
        {
            "data": {"values": shown},
            "mark": {"type": "point", "filled": True, "size": 42},
            "encoding": {
                "x": x,
                "y": y,
                "color": batch,
                "shape": {"field": "batch", "type": "nominal", "legend": None},
                "tooltip": tooltip,
            },
        },
    ]
    if curve.ec50 is not None:
        middle = float(curve.predict([curve.ec50])[0])
        potency = [
            {
                "dose": curve.ec50,
                "response": middle,
                "low": curve.ec50_low or left,
                "high": curve.ec50_high or max(tested),
            }
        ]
        layers += [
            {
                "data": {"values": potency},
                "mark": {"type": "rule", "strokeWidth": 3, "clip": True},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y},
            },
            {
                "data": {"values": potency},
                "mark": {
                    "type": "point",
                    "filled": True,
                    "shape": "diamond",
                    "size": 110,
                    "color": "#222",
                    "stroke": "white",
                },
                "encoding": {"x": x, "y": y},
            },
        ]
    subtitle = with_reason(curve.status, curve.reason)
    return titled(f"{line} · {compound} · {name}", subtitle, width=330, height=220, layer=layers)


def line_compound_heatmap(responses: pl.DataFrame, name: str) -> Spec:
    """Effects of all compounds on all lines.

    Colour is the effect, the square's size the effect over its own half-interval. A full square is
    at least three half-intervals from 0; a ring is a hit; a cross is a refusal.
    """
    rows = []
    for r in responses.filter(pl.col("phenotype") == name).iter_rows(named=True):
        sure = certainty(r["effect"], r["effect_low"], r["effect_high"])
        rows.append(
            {
                "line": r["line"],
                "compound": r["compound"],
                "effect": r["effect"],
                "sure": sure if r["status"] == ScreenStatus.OK else 0.1,
                "hit": bool(r["hit"]),
                "low": r["effect_low"],
                "high": r["effect_high"],
                "responder": r["responder"] or "",
                "nothing": r["effect"] is None,
                "status": with_reason(r["status"], r["reason"]),
            }
        )
    return matrix(
        rows,
        name,
        "colour: effect · size: effect / its 95 % half-interval · ring: hit · ×: refused",
        effect_title(name),
    )


def disease_windows(windows: pl.DataFrame, name: str) -> Spec:
    """Isogenic less disease vehicle of each pair: one point per batch, a bar over batches.

    Grey where the phenotype is not expressed.
    """
    chosen = windows.filter(pl.col("phenotype") == name)
    if chosen.is_empty():
        return {}
    rows = [
        {
            "pair": f"{r['line']} → {r['isogenic']}",
            "batch": r["batch"],
            "gap": r["gap"],
            "low": r["gap_low"],
            "high": r["gap_high"],
            "ssmd": r["ssmd"],
            "status": with_reason(r["status"], r["reason"]),
            "kind": "batch" if r["batch"] else "all",
            WindowStatus.EXPRESSED: r["status"] == WindowStatus.EXPRESSED,
        }
        for r in chosen.iter_rows(named=True)
        if r["gap"] is not None
    ]
    # A screen of unnamed batches has rows of the one unnamed batch beside those of all batches.
    whole = [r for r in rows if r["low"] is not None]
    single = [r for r in rows if r["low"] is None]
    y = {"field": "pair", "type": "nominal", "title": None, "axis": {"labelLimit": 260}}
    title = "isogenic − disease vehicle " + (
        "(log2 ratio)" if phenotype(name).scale == "percent" else f"(difference{unit_part(name)})"
    )
    x = {"field": "gap", "type": "quantitative", "title": title}
    tooltip = [{"field": f, "type": "nominal"} for f in ("pair", "batch", "status")] + [
        {"field": f, **_NUMBER} for f in ("gap", "low", "high", "ssmd")
    ]
    colour = {"condition": {"test": "datum.expressed", "value": PALETTE[0]}, "value": "#888"}
    layers: list[Spec] = [
        {
            "data": {"values": [{"gap": 0.0}]},
            "mark": {"type": "rule", "color": "#888", "strokeDash": [3, 3]},
            "encoding": {"x": x},
        },
        {
            "data": {"values": whole},
            "mark": {"type": "rule", "strokeWidth": 6, "opacity": 0.45},
            "encoding": {
                "y": y,
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "color": colour,
                "tooltip": tooltip,
            },
        },
        {
            "data": {"values": whole},
            "mark": {"type": "tick", "thickness": 3, "size": 16},
            "encoding": {"y": y, "x": x, "color": colour, "tooltip": tooltip},
        },
        {
            "data": {"values": single},
            "mark": {"type": "point", "filled": True, "size": 40, "color": "#222", "opacity": 0.8},
            "encoding": {"y": y, "x": x, "tooltip": tooltip},
        },
    ]
    return titled(
        f"Disease window · {name}",
        "points: batches · bars: 95 % over batches · grey: not expressed",
        width=330,
        height={"step": 26},
        layer=layers,
    )
