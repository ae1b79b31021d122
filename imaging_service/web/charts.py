"""Vega-Lite specifications of the report's pictures.

Plain dictionaries: the same picture in a page, as PNG or as SVG.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Any

import polars as pl

from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.status_words import with_reason
from plate_maps import PlateFormat, Well
from plate_maps.conditions import format_dose
from plate_maps.wells import row_letters

Spec = dict[str, Any]
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
                    + (f" {format_dose(dose)}" if dose else "")
                ),
                "status": with_reason(r["status"], r["reason"]),
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


def png(spec: Spec, scale: float = 2.0) -> bytes:
    """A specification as PNG, for slides and this project's own documentation."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(spec, scale=scale))


def svg(spec: Spec) -> str:
    """A specification as SVG, for papers."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec))


def titled(title: str, subtitle: str, **more: object) -> Spec:
    """A specification with its title, in the house's style."""
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
        **more,
    }


def effect_title(name: str) -> str:
    """Title of the axis of effects."""
    scale = phenotype(name).scale
    return (
        "effect (log2 ratio to vehicle)"
        if scale == "percent"
        else f"effect (difference to vehicle{unit_part(name)})"
    )


def unit_part(name: str) -> str:
    """A phenotype's unit after a comma, as it stands in a title; empty without one."""
    unit = phenotype(name).unit
    return f", {unit}" if unit else ""


def dose_axis(lowest: float, highest: float) -> Spec:
    """The axis of doses between two, in mol/L: a label per power of ten, such as 10 nM.

    Vega writes numbers only, so each label stands in the axis by its power.
    """
    first, last = math.ceil(math.log10(lowest)), math.floor(math.log10(highest))
    powers = range(first, last + 1)
    labels = json.dumps([format_dose(10.0**power) for power in powers], ensure_ascii=False)
    return {
        "values": [10.0**power for power in powers],
        "labelExpr": f"{labels}[round(log(datum.value) / LN10) - {first}]",
    }


@lru_cache(maxsize=1)
def page_script() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, so that a page needs no network."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
