"""Survival over time: the arms of a compound on a line, their intervals, the neurons at risk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from imaging_service.web.charts import Spec, titled
from phenotypes.films.arms import LOST
from phenotypes.films.survival_curves import ArmCurve, arm_curves, at_risk
from plate_maps.colours import colours_of
from plate_maps.conditions import format_dose

# Hours under the chart at which the neurons at risk are given.
_HOURS = 7


@dataclass(frozen=True)
class Arm:
    """Vehicle or one dose: its curve, and the neurons at risk at `hours`."""

    name: str
    curve: ArmCurve
    hours: Sequence[float]
    at_risk: Sequence[int]

    @property
    def median(self) -> tuple[float | None, float | None, float | None]:
        """Hours at which half have died, with the 95 % interval; None: not before the end."""
        return self.curve.median()

    @property
    def end(self) -> tuple[float, float | None, float | None]:
        """Survival at the curve's end, and its 95 % interval; None where nothing tells."""
        ends = (float(side[-1]) for side in (self.curve.low, self.curve.high))
        low, high = (None if np.isnan(end) else end for end in ends)
        return float(self.curve.survival[-1]), low, high


def pairs_by_evidence(hazards: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Lines and compounds of a hazard table, those whose interval is farthest from 1 first.

    >>> row = {"line": "L1", "hr_low": 0.5, "hr_high": 3.0}
    >>> far = {"line": "L1", "compound": "y", "hr_low": 2.0, "hr_high": 9.0}
    >>> pairs_by_evidence([row | {"compound": "x"}, far])
    [('L1', 'y'), ('L1', 'x')]
    """
    evidence: dict[tuple[str, str], float] = {}
    for row in hazards:
        pair = (row["line"], row["compound"])
        evidence[pair] = max(evidence.get(pair, 0.0), _from_one(row["hr_low"], row["hr_high"]))
    return sorted(evidence, key=lambda pair: -evidence[pair])


def _from_one(low: float | None, high: float | None) -> float:
    """How far the nearer end of an interval is from a ratio of 1, on log; 0 where it holds 1."""
    if low is None or high is None:
        return 0.0
    return max(math.log(low) if low > 0 else 0.0, -math.log(high) if high > 0 else 0.0, 0.0)


def arms_of(tracks: pl.DataFrame, line: str, compound: str) -> list[Arm]:
    """Vehicle of the line, then the compound's doses from the lowest; arms that were followed."""
    used = tracks.filter(pl.col("included") & (pl.col("line") == line))
    vehicle = used.filter(pl.col("control") == "vehicle")
    treated = used.filter((pl.col("compound") == compound) & (pl.col("control") != "vehicle"))
    groups = [("vehicle", vehicle)] + [
        (format_dose(dose), part)
        for (dose,), part in treated.sort("dose_molar").group_by("dose_molar", maintain_order=True)
    ]
    hours = _shown_hours(pl.concat([vehicle, treated]))
    curves = arm_curves([part for _, part in groups], LOST)
    return [
        Arm(name, curve, hours, at_risk(part, hours))
        for (name, part), curve in zip(groups, curves, strict=True)
        if curve is not None
    ]


def survival_chart(arms: Sequence[Arm], line: str, compound: str) -> Spec:
    """Steps with 95 % bands, and under them the neurons at risk; empty without a treated arm."""
    if not any(arm.name != "vehicle" for arm in arms):
        return {}
    names = [arm.name for arm in arms]
    last = max(float(arm.curve.time[-1]) for arm in arms)
    x: dict[str, Any] = {
        "field": "hours",
        "type": "quantitative",
        "title": "hours",
        "scale": {"domain": [0, last], "nice": False},
    }
    color = {
        "field": "arm",
        "type": "nominal",
        "title": None,
        "sort": names,
        "scale": {"domain": names, "range": colours_of(names)},
        "legend": {"symbolOpacity": 1, "symbolType": "stroke", "orient": "top"},
    }
    y = {
        "field": "survival",
        "type": "quantitative",
        "title": "alive (%)",
        "scale": {"domain": [0, 100]},
    }
    values = [row for arm in arms for row in _rows(arm)]
    # One well per arm does not show how wells differ.
    between = "wells" if any(arm.curve.wells > 1 for arm in arms) else "neurons of one well"
    steps = {
        "data": {"values": values},
        "width": 320,
        "height": 210,
        "layer": [
            {
                # Each step is a rectangle of its own: one that stands alone is drawn as well.
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.until)"}],
                "mark": {"type": "rect", "opacity": 0.18},
                "encoding": {
                    "x": x,
                    "x2": {"field": "until"},
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": color,
                },
            },
            {
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
                "encoding": {"x": x, "y": y, "color": color, "strokeDash": _dashes(names)},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 24, "opacity": 0.9},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": color,
                    "tooltip": [
                        {"field": "arm", "title": "arm"},
                        {"field": "hours", "title": "hours"},
                        {"field": "survival", "title": "alive (%)", "format": ".1f"},
                        {"field": "interval", "title": "95 % interval"},
                    ],
                },
            },
        ],
    }
    numbers = {
        "data": {
            "values": [
                {"arm": arm.name, "hours": hour, "n": count}
                for arm in arms
                for hour, count in zip(arm.hours, arm.at_risk, strict=True)
            ]
        },
        "width": 320,
        "height": {"step": 16},
        "title": {"text": "neurons at risk", "anchor": "start", "fontSize": 11},
        "view": {"stroke": None},
        "mark": {"type": "text", "fontSize": 10, "color": "#222"},
        "encoding": {
            "x": {**x, "axis": None},
            "y": {
                "field": "arm",
                "type": "nominal",
                "sort": names,
                "title": None,
                "axis": {"labelPadding": 16, "ticks": False, "domain": False},
            },
            "text": {"field": "n"},
        },
    }
    return titled(
        "survival",
        f"{compound} on {line}, 95 % between {between}",
        vconcat=[steps, numbers],
        spacing=4,
    )


def _shown_hours(tracks: pl.DataFrame) -> list[float]:
    """Hours at which tracks ended or began: the time points, thinned to those that fit."""
    known = np.unique(np.concatenate([tracks["entry_h"], tracks["exit_h"]]))
    if len(known) <= _HOURS:
        return [float(h) for h in known]
    chosen = np.linspace(0, len(known) - 1, _HOURS).round().astype(int)
    return [float(h) for h in known[chosen]]


def _rows(arm: Arm) -> list[dict[str, Any]]:
    rows = []
    curve = arm.curve
    after = [float(hour) for hour in curve.time[1:]] + [None]
    for hour, until, alive, low, high in zip(
        curve.time, after, curve.survival, curve.low, curve.high, strict=True
    ):
        known = not np.isnan(low)
        row: dict[str, Any] = {
            "arm": arm.name,
            "hours": float(hour),
            "until": until,
            "survival": 100 * float(alive),
            "low": 100 * float(low) if known else None,
            "high": 100 * float(high) if known else None,
            "interval": f"{100 * low:.1f} … {100 * high:.1f}" if known else "none",
        }
        rows.append(row)
    return rows


def _dashes(names: Sequence[str]) -> Spec:
    """Vehicle is dashed, so that it is told from the doses without colour."""
    return {
        "field": "arm",
        "type": "nominal",
        "title": None,
        "sort": list(names),
        "scale": {
            "domain": list(names),
            "range": [[5, 3] if name == "vehicle" else [1, 0] for name in names],
        },
    }
