"""The picture by which one judges whether rows may borrow their variance from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from imaging_service.web.charts import CONFIG, SCHEMA, Spec
from phenotypes.columns.statuses import ModerationStatus
from plate_maps.colours import PALETTE

# Points that a picture can show; of more rows every so many is drawn.
_MOST_POINTS = 400


def variance_quantiles(responses: pl.DataFrame, name: str) -> Spec:
    """Standard deviations of rows against what the common variance and chance make of them.

    One point per row of a phenotype whose variance is borrowed. On the line, rows differ as the
    fitted distribution says; points above its right end are rows noisier than the rest, which keep
    most of their own variance. Empty where no row borrows.
    """
    rows = responses.filter(
        (pl.col("phenotype") == name)
        & (pl.col("moderation_status") == ModerationStatus.OK)
        # Batches that agree to the last digit have no variance of their own to draw.
        & pl.col("effect_low").is_not_null()
    )
    if rows.is_empty():
        return {}
    points: list[dict[str, Any]] = []
    for part in rows.partition_by("n_batches", "prior_sd", "prior_freedom", maintain_order=True):
        n, prior_sd = int(part["n_batches"][0]), float(part["prior_sd"][0])
        prior_freedom = float(part["prior_freedom"][0])
        half_width = (part["effect_high"] - part["effect_low"]).to_numpy() / 2
        sd = half_width / stats.t.ppf(0.975, n - 1) * np.sqrt(n)
        order = np.argsort(sd)
        share = (np.arange(len(sd)) + 0.5) / len(sd)
        expected = (
            stats.chi2.ppf(share, n - 1) / (n - 1)
            if np.isinf(prior_freedom)
            else stats.f.ppf(share, n - 1, prior_freedom)
        )
        points += [
            {
                "row": f"{part['line'][int(i)]} × {part['compound'][int(i)]}",
                "sd": float(sd[i]),
                "expected": float(prior_sd * np.sqrt(e)),
                "batches": n,
            }
            for i, e in zip(order, expected, strict=True)
        ]
    points = points[:: -(-len(points) // _MOST_POINTS)]
    values = [float(p[key]) for p in points for key in ("sd", "expected")]
    ends = [min(values) / 1.2, max(values) * 1.2]
    scale = {"type": "log", "domain": ends, "nice": False}
    axis = {"format": ".2~g"}
    x = {
        "field": "expected",
        "type": "quantitative",
        "title": "standard deviation expected at its rank",
        "scale": scale,
        "axis": axis,
    }
    y = {
        "field": "sd",
        "type": "quantitative",
        "title": "standard deviation between batches",
        "scale": scale,
        "axis": axis,
    }
    tooltip = [
        {"field": "row", "type": "nominal"},
        {"field": "batches", "type": "quantitative"},
        *({"field": f, "type": "quantitative", "format": ".3~g"} for f in ("sd", "expected")),
    ]
    line = [{"expected": end, "sd": end} for end in ends]
    worth = sorted(set(rows["prior_freedom"].to_list()))
    shown = " to ".join(
        "infinitely many" if np.isinf(w) else f"{w:.1f}"
        for w in dict.fromkeys([worth[0], worth[-1]])
    )
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "title": {
            "text": f"Borrowed variance · {name}",
            "subtitle": f"common variance worth {shown} degrees of freedom; line: as expected",
            "anchor": "start",
        },
        "width": 260,
        "height": 260,
        "layer": [
            {
                "data": {"values": line},
                "mark": {"type": "line", "color": "#888", "strokeDash": [3, 3]},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": points},
                "mark": {"type": "point", "filled": True, "size": 30, "color": PALETTE[0]},
                "encoding": {"x": x, "y": y, "tooltip": tooltip},
            },
        ],
    }
