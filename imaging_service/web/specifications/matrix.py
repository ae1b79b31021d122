"""Lines × compounds: effects with how sure they are, of a plate or a screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from imaging_service.web.charts import CONFIG, SCHEMA, Spec
from phenotypes.columns.status_words import with_reason

_NUMBER = {"type": "quantitative", "format": ".3~g"}
# Half-intervals away from 0 at which a square is full.
_SURE = 3.0
_STEP = 24
# Orange over pale grey to blue; in the dark `pages.js` makes the middle dark and the ends bright.
_FALLS_TO_RISES = ["#7f3b08", "#e08214", "#eff0f1", "#4393c3", "#134b85"]
_SHARES = (-1.0, -0.5, 0.0, 0.5, 1.0)


def certainty(effect: float | None, low: float | None, high: float | None) -> float:
    """How many of its own half-intervals an effect is away from 0, as a share of three.

    >>> certainty(-30.0, -40.0, -20.0), certainty(5.0, None, None)
    (1.0, 0.0)
    """
    if effect is None or low is None or high is None or high <= low:
        return 0.0
    return min(2 * abs(effect) / (high - low), _SURE) / _SURE


def plate_matrix(
    responses: Sequence[Mapping[str, Any]],
    phenotype: str,
    link: Callable[[str, str], str] | None = None,
) -> Spec:
    """Effects of all compounds on all lines of one plate, for one phenotype.

    `responses` are rows of the response table; `link` gives (line, compound) ► address. Empty
    where no row has an effect.
    """
    chosen = [r for r in responses if r["phenotype"] == phenotype]
    rows = [
        {
            "line": r["line"],
            "compound": r["compound"],
            "effect": r["effect"],
            "low": r["effect_low"],
            "high": r["effect_high"],
            "sure": certainty(r["effect"], r["effect_low"], r["effect_high"]),
            "hit": r["q_value"] is not None and r["q_value"] < 0.05,
            "responder": "",
            "nothing": r["effect"] is None,
            "status": with_reason(r["status"], r["reason"]),
        }
        | ({"page": link(r["line"], r["compound"])} if link else {})
        for r in chosen
    ]
    unit = next((r["unit"] for r in chosen if r["unit"]), "")
    return matrix(
        rows,
        phenotype,
        "colour: effect · size: effect / its 95 % half-interval · ring: q < 0.05 · ×: refused",
        f"effect ({unit})" if unit else "effect",
    )


def matrix(rows: Sequence[Spec], title: str, subtitle: str, effect_title: str) -> Spec:
    """One square per line and compound. Empty where no row has an effect.

    `rows` have line, compound, effect, low, high, sure (0 to 1), hit, responder, nothing (no
    effect: a cross), status, and page where squares are links.
    """
    known = [abs(r["effect"]) for r in rows if r["effect"] is not None]
    if not known:
        return {}
    top = float(np.percentile(known, 98)) or 1.0
    encoding: Spec = {
        "x": {
            "field": "compound",
            "type": "nominal",
            "title": None,
            "axis": {"orient": "top", "labelAngle": -45},
        },
        "y": {"field": "line", "type": "nominal", "title": None},
        "tooltip": [
            {"field": f, "type": "nominal"} for f in ("line", "compound", "status", "responder")
        ]
        + [{"field": f, **_NUMBER} for f in ("effect", "low", "high")],
    }
    if any("page" in r for r in rows):
        encoding["href"] = {"field": "page", "type": "nominal"}
    colour = {
        "field": "effect",
        "type": "quantitative",
        "title": effect_title,
        "scale": {
            "range": _FALLS_TO_RISES,
            # By hue, the way from orange to grey would be pink.
            "interpolate": "rgb",
            "domain": [share * top for share in _SHARES],
            "clamp": True,
        },
    }
    layers: list[Spec] = [
        {"mark": {"type": "rect", "color": "#f4f4f4", "stroke": "white"}},
        {
            "transform": [{"filter": "!datum.nothing"}],
            "mark": {"type": "square", "opacity": 1, "filled": True},
            "encoding": {
                "color": colour,
                "size": {
                    "field": "sure",
                    "type": "quantitative",
                    "scale": {"domain": [0, 1], "range": [8, (_STEP - 4) ** 2]},
                    "legend": None,
                },
            },
        },
        {
            "transform": [{"filter": "datum.hit"}],
            "mark": {
                "type": "point",
                "shape": "circle",
                "filled": False,
                "color": "#111",
                "size": 70,
                "strokeWidth": 1.6,
            },
        },
        {
            "transform": [{"filter": "datum.nothing"}],
            "mark": {"type": "text", "text": "×", "color": "#888", "fontSize": 13},
        },
    ]
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
        "width": {"step": _STEP},
        "height": {"step": _STEP},
        "data": {"values": list(rows)},
        "encoding": encoding,
        "layer": layers,
    }
