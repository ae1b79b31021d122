"""Dose-response curves: wells, fits with their bands, and EC50s with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imaging_service.web.charts import CONFIG, SCHEMA, Spec, dose_axis
from plate_maps.colours import colours_of
from plate_maps.conditions import format_dose

if TYPE_CHECKING:
    from phenotypes.plates.responses import Curve

_POINTS = 60
# A curve as plain values, as RUN/curves.json has it.
CurveRow = Mapping[str, Any]


def curve_row(curve: Curve) -> dict[str, Any]:
    """A curve as plain values: its wells, and its fit at 60 doses with the band.

    Doses are in mol/L (0: vehicle), responses in `unit`.
    """
    result = curve.result
    treated = [d for d in curve.dose if d > 0]
    row: dict[str, Any] = {
        "line": curve.line,
        "compound": curve.compound,
        "phenotype": curve.phenotype,
        "unit": curve.unit,
        "status": result.status,
        "reason": result.reason,
        "ec50_molar": result.ec50,
        "wells": list(curve.well),
        "dose_molar": list(curve.dose),
        "response": list(curve.response),
        "fit_dose_molar": [],
        "fit_response": [],
        "fit_low": [],
        "fit_high": [],
    }
    if not result.model or not treated:
        return row
    doses = np.geomspace(min(treated), max(treated), _POINTS)
    row |= {"fit_dose_molar": doses.tolist(), "fit_response": result.predict(doses).tolist()}
    band = result.band(doses)
    if band is not None and all(np.isfinite(side).all() for side in band):
        row |= {"fit_low": band[0].tolist(), "fit_high": band[1].tolist()}
    return row


def dose_response(
    curves: Sequence[CurveRow],
    lines: Sequence[str],
    intervals: Mapping[str, tuple[float | None, float | None]] | None = None,
    link: Callable[[str], str] | None = None,
    here: str = "",
) -> Spec:
    """Wells, curves with 95 % bands and EC50 intervals of one compound and phenotype.

    Parameters
    ----------
    curves
        One row per line, of one compound and phenotype.
    lines
        All lines of the plate, so that a line has one colour in all pictures.
    intervals
        Line ► 95 % interval of its EC50 in mol/L; None where an end is open.
    link
        Well ► address of its page; without it points are not links.
    here
        The well that a ring is drawn around; none if empty.

    Returns
    -------
    Spec
        Vehicle wells are at the left edge, half a decade below the lowest dose. Empty where no
        well has a dose.
    """
    positive = [d for c in curves for d in c["dose_molar"] if d > 0]
    if not positive:
        return {}
    first, vehicle_at, top = curves[0], min(positive) / 10**0.5, max(positive)
    points = [_point(c, i, vehicle_at, link) for c in curves for i in range(len(c["wells"]))]
    fits = [fit for c in curves for fit in _fit(c)]
    marks = [m for c in curves if (m := _ec50(c, intervals or {}, vehicle_at, top))]
    color = {
        "field": "line",
        "type": "nominal",
        "scale": {
            "domain": list(lines),
            "range": colours_of(lines),
        },
        "title": None,
        # The layers share one legend; without this its symbols are as faint as the bands.
        # It names the lines that are drawn, whichever others the plate has.
        "legend": {
            "symbolOpacity": 1,
            "symbolType": "circle",
            "values": sorted({c["line"] for c in curves}),
        },
    }
    x = {
        "field": "dose",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [vehicle_at * 0.9, top * 1.15], "nice": False},
        "title": first["compound"],
        "axis": dose_axis(vehicle_at, top),
    }
    # The axis follows the wells: the band of a curve with a cliff between two doses would flatten
    # everything else.
    values = [p["response"] for p in points]
    margin = 0.12 * ((max(values) - min(values)) or 1.0)
    y = {
        "field": "response",
        "type": "quantitative",
        "title": first["unit"],
        "scale": {"domain": [min(values) - margin, max(values) + margin], "nice": True},
    }
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {
            "text": first["phenotype"],
            "subtitle": first["compound"],
            "anchor": "start",
        },
        "width": 300,
        "height": 210,
        "layer": [
            *_fit_layers(fits, x, y, color),
            _points_layer(points, x, y, color, link is not None),
            *_ec50_layers(marks, x, y, color),
            *_ring([p for p in points if p["well"] == here], x, y),
        ],
    }


def _point(
    curve: CurveRow, index: int, vehicle_at: float, link: Callable[[str], str] | None
) -> Spec:
    well, dose = curve["wells"][index], curve["dose_molar"][index]
    point = {
        "line": curve["line"],
        "well": well,
        "dose": dose or vehicle_at,
        "given": format_dose(dose) if dose else "vehicle",
        "response": curve["response"][index],
        "kind": "treated" if dose else "vehicle",
    }
    return point if link is None else point | {"page": link(well)}


def _fit(curve: CurveRow) -> list[Spec]:
    ys = curve["fit_response"]
    low, high = (curve["fit_low"], curve["fit_high"]) if curve["fit_low"] else (ys, ys)
    # Every fitted response of a constant is the same; a curve that falls within its doses is not.
    kind = "constant" if len(set(ys)) == 1 else "curve"
    return [
        {"line": curve["line"], "dose": x, "response": y, "low": a, "high": b, "fit": kind}
        for x, y, a, b in zip(curve["fit_dose_molar"], ys, low, high, strict=True)
    ]


def _ec50(
    curve: CurveRow,
    intervals: Mapping[str, tuple[float | None, float | None]],
    vehicle_at: float,
    top: float,
) -> Spec:
    ec50 = curve["ec50_molar"]
    if ec50 is None or not curve["fit_dose_molar"]:
        return {}
    low, high = intervals.get(curve["line"], (None, None))
    doses = np.log10(curve["fit_dose_molar"])
    ends = ["open" if end is None else format_dose(end) for end in (low, high)]
    return {
        "line": curve["line"],
        "ec50": ec50,
        "shown": f"{format_dose(ec50)} ({ends[0]} … {ends[1]})",
        "response": float(np.interp(np.log10(ec50), doses, curve["fit_response"])),
        "low": low or vehicle_at,
        "high": high or top,
    }


def _fit_layers(fits: Sequence[Spec], x: Spec, y: Spec, color: Spec) -> list[Spec]:
    return [
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
    ]


def _points_layer(points: Sequence[Spec], x: Spec, y: Spec, color: Spec, linked: bool) -> Spec:
    encoding = {
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
            [{"field": f, "type": "nominal"} for f in ("well", "line", "kind")]
            + [{"field": "given", "type": "nominal", "title": "dose"}]
            + [{"field": "response", "type": "quantitative", "format": ".3~g"}]
        ),
    }
    if linked:
        encoding["href"] = {"field": "page", "type": "nominal"}
    return {
        "data": {"values": points},
        "mark": {
            "type": "point",
            "filled": True,
            "size": 60 if linked else 28,
            "opacity": 0.75,
            "cursor": "pointer" if linked else "default",
        },
        "encoding": encoding,
    }


def _ring(points: Sequence[Spec], x: Spec, y: Spec) -> list[Spec]:
    mark = {"type": "point", "filled": False, "size": 260, "strokeWidth": 2, "color": "#111"}
    layer = {"data": {"values": list(points)}, "mark": mark, "encoding": {"x": x, "y": y}}
    return [layer] if points else []


def _ec50_layers(marks: Sequence[Spec], x: Spec, y: Spec, color: Spec) -> list[Spec]:
    return [
        {
            "data": {"values": marks},
            "mark": {"type": "rule", "strokeWidth": 3, "clip": True},
            "encoding": {
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "y": y,
                "color": color,
            },
        },
        {
            "data": {"values": marks},
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
                "tooltip": {"field": "shown", "type": "nominal", "title": "EC50"},
            },
        },
    ]
