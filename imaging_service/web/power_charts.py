"""Pictures for planning a screen: power by batches, donors and wells, and the vehicle wells."""

from __future__ import annotations

import numpy as np
import polars as pl

from imaging_service.web.charts import CONFIG, SCHEMA, Spec
from phenotypes.screens.batches.components import Components
from phenotypes.screens.power import (
    ACROSS_DONORS,
    DONORS,
    LINE,
    TARGET,
    VEHICLES,
    WELLS,
    Question,
    best_vehicles,
)
from plate_maps.colours import PALETTE

_PERCENT = {"format": ".0%"}
_BATCHES = "differentiation batches"
_SHOWN_WELLS = (2, 4, 8)


def power_picture(
    components: Components, question: Question, table: pl.DataFrame, unit: str
) -> Spec:
    """Three panels: a line's test, the mean over donors, and how many vehicle wells pay.

    `table` is that of `power_table`. Vehicle wells are those of the table nearest to the best
    number. The panel of donors is left out where nothing is known of them.
    """
    panels = [_line_panel(components, table)]
    across = _donor_panel(components, table)
    if across:
        panels.append(across)
    panels.append(_vehicle_panel(components, unit))
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {
            "text": f"Planning · {components.phenotype}",
            "subtitle": (
                f"power to find an effect of {question.effect:g} ({unit}) if"
                f" {100 * question.working:g} % of rows have one, false discovery rate 5 %"
            ),
            "anchor": "start",
        },
        "spacing": 40,
        "hconcat": panels,
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
    }


def _nearest(grid: tuple[int, ...], value: float) -> int:
    return min(grid, key=lambda candidate: abs(np.log(candidate / value)))


def _line_panel(components: Components, table: pl.DataFrame) -> Spec:
    borrowed = components.prior_variance is not None
    points = []
    for wells in _SHOWN_WELLS:
        vehicles = _nearest(VEHICLES, best_vehicles(components, wells))
        rows = table.filter(
            (pl.col("test") == LINE)
            & (pl.col("n_wells") == wells)
            & (pl.col("n_vehicle") == vehicles)
        )
        for column, test in (("moderated_power", "borrowed variance"), ("power", "plain t")):
            points += [
                {
                    "batches": r["n_batches"],
                    "power": r[column],
                    "test": test,
                    "wells": f"{wells} + {vehicles}",
                }
                for r in rows.iter_rows(named=True)
                if r[column] is not None
            ]
    x = {
        "field": "batches",
        "type": "quantitative",
        "title": _BATCHES,
        "axis": {"tickMinStep": 1, "format": "d"},
        "scale": {"domain": [2, 10]},
    }
    y = {
        "field": "power",
        "type": "quantitative",
        "title": "power",
        "axis": _PERCENT,
        "scale": {"domain": [0, 1]},
    }
    color = {
        "field": "wells",
        "type": "nominal",
        "title": ["wells per arm", "+ vehicle wells"],
        "scale": {"range": PALETTE},
        "sort": None,
    }
    dash = {
        "field": "test",
        "type": "nominal",
        "title": "test",
        "scale": {"domain": ["borrowed variance", "plain t"], "range": [[1, 0], [5, 4]]},
    }
    encoding = {"x": x, "y": y, "color": color}
    tooltip = [
        {"field": "wells", "type": "nominal"},
        {"field": "test", "type": "nominal"},
        {"field": "batches", "type": "quantitative"},
        {"field": "power", "type": "quantitative", **_PERCENT},
    ]
    return {
        "title": {
            "text": "One line",
            "subtitle": "" if borrowed else "no borrowing: too few rows that vary",
            "anchor": "start",
        },
        "width": 260,
        "height": 260,
        "layer": [
            {
                "data": {"values": [{"power": TARGET}]},
                "mark": {"type": "rule", "color": "#888", "strokeDash": [2, 2]},
                "encoding": {"y": y},
            },
            {
                "data": {"values": points},
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {**encoding, "strokeDash": dash},
            },
            {
                "data": {"values": points},
                "mark": {"type": "point", "filled": True, "size": 30},
                "encoding": {**encoding, "tooltip": tooltip},
            },
        ],
    }


def _donor_panel(components: Components, table: pl.DataFrame) -> Spec:
    wells = _nearest(WELLS, components.n_wells)
    vehicles = _nearest(VEHICLES, best_vehicles(components, wells))
    rows = table.filter(
        (pl.col("test") == ACROSS_DONORS)
        & (pl.col("n_wells") == wells)
        & (pl.col("n_vehicle") == vehicles)
    )
    if rows.is_empty():
        return {}
    borrowed = rows["moderated_power"].null_count() == 0
    points = [
        {
            "batches": r["n_batches"],
            "donors": r["n_donors"],
            "power": r["moderated_power" if borrowed else "power"],
        }
        for r in rows.iter_rows(named=True)
    ]
    x = {"field": "batches", "type": "ordinal", "title": _BATCHES, "axis": {"labelAngle": 0}}
    y = {
        "field": "donors",
        "type": "ordinal",
        "title": "donors in the same batches",
        "sort": list(reversed(DONORS)),
    }
    number = {"field": "power", "type": "quantitative"}
    return {
        "title": {
            "text": "Mean over donors",
            "subtitle": (
                f"{'borrowed variance' if borrowed else 'plain'}; {wells} wells per arm,"
                f" {vehicles} vehicle wells; dark: {TARGET:.0%} or more"
            ),
            "anchor": "start",
        },
        "width": {"step": 32},
        "height": 260,
        "data": {"values": points},
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {"type": "rect", "stroke": "white"},
                "encoding": {
                    "color": {
                        "condition": {"test": f"datum.power >= {TARGET}", "value": PALETTE[0]},
                        **number,
                        # Its light half only, so that designs that suffice stand out.
                        "scale": {"scheme": "blues", "domain": [0, 2]},
                        "legend": None,
                    },
                },
            },
            *(
                {
                    "transform": [{"filter": f"datum.power {sign} {TARGET}"}],
                    "mark": {
                        "type": "text",
                        "fontSize": 10,
                        "fontWeight": weight,
                        "color": color,
                    },
                    "encoding": {"text": {**number, "format": ".0%"}},
                }
                for sign, weight, color in ((">=", "bold", "white"), ("<", "normal", "#222"))
            ),
        ],
    }


def _vehicle_panel(components: Components, unit: str) -> Spec:
    """Standard deviation that wells give an effect, for all ways to share a line's wells."""
    arms = components.arms
    wells = arms * components.n_wells + components.n_vehicles

    def deviation(vehicles: float) -> float:
        per_arm = (wells - vehicles) / arms
        return float(np.sqrt(components.wells / per_arm + components.vehicles / vehicles))

    ratio = best_vehicles(components, 1)
    best = wells * ratio / (arms + ratio)
    most = max(3 * best, 1.5 * components.n_vehicles)
    curve = np.geomspace(1, min(most, 0.8 * wells), 80)
    marks = [("this screen", float(components.n_vehicles)), ("best", best)]
    x = {
        "field": "vehicles",
        "type": "quantitative",
        "title": "vehicle wells per line and plate",
        "scale": {"zero": True},
    }
    y = {
        "field": "sd",
        "type": "quantitative",
        "title": f"SD from wells ({unit})",
        "scale": {"zero": True},
        "axis": {"format": ".2~g"},
    }
    return {
        "title": {
            "text": "Vehicle wells",
            "subtitle": f"{wells} wells of a line on a plate, {arms} arms",
            "anchor": "start",
        },
        "width": 230,
        "height": 260,
        "layer": [
            {
                "data": {"values": [{"vehicles": float(m), "sd": deviation(m)} for m in curve]},
                "mark": {"type": "line", "color": "#555", "strokeWidth": 2},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {
                    "values": [
                        {"vehicles": m, "sd": deviation(m), "which": f"{name}: {m:.0f}"}
                        for name, m in marks
                    ]
                },
                "mark": {"type": "point", "filled": True, "size": 90},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {
                        "field": "which",
                        "type": "nominal",
                        "title": None,
                        "sort": None,
                        "scale": {"range": [PALETTE[1], PALETTE[2]]},
                        "legend": {"orient": "top-right"},
                    },
                },
            },
        ],
    }
