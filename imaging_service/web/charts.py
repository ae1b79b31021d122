"""Vega-Lite specifications of the report's pictures.

Plain dictionaries: the same picture in a page, as PNG or as SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import polars as pl

from phenotypes.columns.dictionary import phenotype
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


def colours_of(names: Sequence[str]) -> list[str] | Spec:
    """The range of a colour scale over names, the same in every chart of the same names."""
    return PALETTE[: max(1, len(names))] if len(names) <= len(PALETTE) else {"scheme": "tableau20"}


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
