"""Vega-Lite specifications of the report's pictures.

Plain dictionaries: the same picture in a page, as PNG or as SVG.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import phenotype
from phenotypes.plates.normalise import unit_of
from phenotypes.plates.responses import Curve
from plate_maps import PlateFormat, Well
from plate_maps.wells import row_letters

Spec = dict[str, Any]
# Colours that people with red-green blindness tell apart (Okabe & Ito 2008).
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
CONFIG: Spec = {
    "font": "system-ui, sans-serif",
    "axis": {"labelFontSize": 11, "titleFontSize": 12, "gridColor": "#eee"},
    "view": {"stroke": "#ccc"},
}


def plate_heatmap(wells: pl.DataFrame, name: str, fmt: PlateFormat) -> Spec:
    """A phenotype over the plate, in its own unit.

    Wells without a number are grey with a cross, and their tooltip gives the reason.
    """
    column = phenotype(name)
    rows = []
    for r in wells.iter_rows(named=True):
        well = Well.parse(r["well"])
        dose = r["dose_molar"]
        rows.append(
            {
                "well": r["well"],
                "row": row_letters(well.row),
                "column": well.column,
                "value": r[name],
                "condition": (
                    f"{r['line']} · {r['compound'] or r['control']}"
                    + (f" {dose:.3g} M" if dose else "")
                ),
                "status": r["status"] + (f": {r['reason']}" if r["reason"] else ""),
                "nothing": r[name] is None,
            }
        )
    cell = max(11, min(30, 620 // fmt.columns))
    encoding = {
        "x": {
            "field": "column",
            "type": "ordinal",
            "title": None,
            "scale": {"domain": list(range(1, fmt.columns + 1))},
            "axis": {"orient": "top", "labelAngle": 0},
        },
        "y": {
            "field": "row",
            "type": "ordinal",
            "title": None,
            "scale": {"domain": [row_letters(i) for i in range(1, fmt.rows + 1)]},
        },
        "tooltip": (
            [{"field": f, "type": "nominal"} for f in ("well", "condition", "status")]
            + [{"field": "value", "type": "quantitative", "format": ".4~g", "title": name}]
        ),
    }
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {"text": name, "subtitle": column.unit or " ", "anchor": "start"},
        "width": {"step": cell},
        "height": {"step": cell},
        "data": {"values": rows},
        "encoding": encoding,
        "layer": [
            {
                "transform": [{"filter": "!datum.nothing"}],
                "mark": {"type": "rect", "stroke": "white"},
                "encoding": {
                    "color": {
                        "field": "value",
                        "type": "quantitative",
                        "title": None,
                        "scale": {"scheme": "viridis"},
                    }
                },
            },
            {
                "transform": [{"filter": "datum.nothing"}],
                "mark": {"type": "rect", "color": "#ddd", "stroke": "white"},
            },
            {
                "transform": [{"filter": "datum.nothing"}],
                "mark": {"type": "text", "text": "×", "color": "#777", "fontSize": cell * 0.7},
            },
        ],
    }


def dose_response(curves: list[Curve], lines: list[str]) -> Spec:
    """Wells, curves with 95 % bands and EC50 intervals of one compound and phenotype.

    One colour per line. Vehicle wells are at the left edge, half a decade below the lowest dose.
    """
    first = curves[0]
    positive = [d for c in curves for d in c.dose if d > 0]
    if not positive:
        return {}
    vehicle_at = min(positive) / 10**0.5
    points: list[Spec] = []
    fits: list[Spec] = []
    intervals: list[Spec] = []
    for curve in curves:
        for well, dose, response, batch in zip(
            curve.well, curve.dose, curve.response, curve.batch, strict=True
        ):
            points.append(
                {
                    "line": curve.line,
                    "well": well,
                    "dose": dose or vehicle_at,
                    "response": response,
                    "batch": batch,
                    "kind": "treated" if dose else "vehicle",
                }
            )
        if curve.result.model:
            xs = np.geomspace(vehicle_at, max(positive), 60)
            ys = curve.result.predict(xs)
            band = curve.result.band(xs)
            low, high = band if band is not None else (ys, ys)
            fits += [
                {
                    "line": curve.line,
                    "dose": float(x),
                    "response": float(y),
                    "low": float(a),
                    "high": float(b),
                    "fit": "constant" if curve.result.model == "constant" else "curve",
                }
                for x, y, a, b in zip(xs, ys, low, high, strict=True)
            ]
        if curve.result.ec50 is not None:
            middle = float(curve.result.predict([curve.result.ec50])[0])
            intervals.append(
                {
                    "line": curve.line,
                    "ec50": curve.result.ec50,
                    "response": middle,
                    "low": curve.result.ec50_low or vehicle_at,
                    "high": curve.result.ec50_high or max(positive),
                }
            )
    color = {
        "field": "line",
        "type": "nominal",
        "scale": {
            "domain": lines,
            "range": (
                PALETTE[: max(1, len(lines))]
                if len(lines) <= len(PALETTE)
                else {"scheme": "tableau20"}
            ),
        },
        "title": None,
        # The layers share one legend; without this its symbols are as faint as the bands.
        "legend": {"symbolOpacity": 1, "symbolType": "circle"},
    }
    decades = range(int(np.ceil(np.log10(vehicle_at))), int(np.floor(np.log10(max(positive)))) + 1)
    x = {
        "field": "dose",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [vehicle_at * 0.9, max(positive) * 1.15], "nice": False},
        "title": f"{first.compound} (mol/L)",
        "axis": {"format": ".0e", "values": [10.0**d for d in decades]},
    }
    # The axis follows the wells: the band of a curve with a cliff between two doses would flatten
    # everything else.
    values = [p["response"] for p in points]
    margin = 0.12 * ((max(values) - min(values)) or 1.0)
    y = {
        "field": "response",
        "type": "quantitative",
        "title": unit_of(first.phenotype),
        "scale": {"domain": [min(values) - margin, max(values) + margin], "nice": True},
    }
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {"text": f"{first.phenotype}", "subtitle": first.compound, "anchor": "start"},
        "width": 300,
        "height": 210,
        "layer": [
            {
                "data": {"values": fits},
                "transform": [{"filter": "datum.fit == 'curve'"}],
                "mark": {"type": "area", "opacity": 0.15, "clip": True},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": color,
                },
            },
            {
                "data": {"values": fits},
                "mark": {"type": "line", "strokeWidth": 2, "clip": True},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": color,
                    "strokeDash": {
                        "field": "fit",
                        "type": "nominal",
                        "scale": {"domain": ["curve", "constant"], "range": [[1, 0], [5, 4]]},
                        "legend": None,
                    },
                },
            },
            {
                "data": {"values": points},
                "mark": {"type": "point", "filled": True, "size": 28, "opacity": 0.75},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": color,
                    "shape": {
                        "field": "kind",
                        "type": "nominal",
                        "scale": {"domain": ["treated", "vehicle"], "range": ["circle", "square"]},
                        "title": None,
                    },
                    "tooltip": (
                        [{"field": f, "type": "nominal"} for f in ("well", "line", "batch")]
                        + [
                            {"field": f, "type": "quantitative", "format": ".3~g"}
                            for f in ("dose", "response")
                        ]
                    ),
                },
            },
            {
                "data": {"values": intervals},
                "mark": {"type": "rule", "strokeWidth": 3, "clip": True},
                "encoding": {
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                    "y": y,
                    "color": color,
                },
            },
            {
                "data": {"values": intervals},
                "mark": {
                    "type": "point",
                    "filled": True,
                    "shape": "diamond",
                    "size": 90,
                    "stroke": "white",
                },
                "encoding": {
                    "x": {**x, "field": "ec50"},
                    "y": y,
                    "color": color,
                    "tooltip": [
                        {"field": f, "type": "quantitative", "format": ".3~g"}
                        for f in ("ec50", "low", "high")
                    ],
                },
            },
        ],
    }


def png(spec: Spec, scale: float = 2.0) -> bytes:
    """A specification as PNG, for slides and this project's own documentation."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(spec, scale=scale))


def svg(spec: Spec) -> str:
    """A specification as SVG, for papers."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec))


@lru_cache(maxsize=1)
def page_script() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, so that a page needs no network."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
