"""Survival of arms over time with intervals, and how many neurons they rest on.

The curve is Kaplan–Meier's with entry times. Its 95 % interval stands on the scale of log(−log S),
so it stays between 0 and 1 (Klein & Moeschberger, Survival Analysis, 2003, §4.3).

Strategy. Neurons of one well share what happened to it. Where hazards of wells differ by a factor,
log(−log S) of an arm of W wells has the variance G + σ² / W: G is Greenwood's, of neurons that are
independent, and σ² is how wells scatter. The influences of the neurons on log S, added up per well,
give an arm's own G + σ² / W with W − 1 degrees of freedom: two or three wells say little. So σ² is
taken from all arms together (wells of all arms are taken to scatter alike, as for the hazard
ratio), with Student's t of their degrees of freedom, and the interval is never narrower than
Greenwood's. Where no arm has two wells, Greenwood's stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from phenotypes.films.kaplan_meier import KaplanMeier, kaplan_meier

Real = NDArray[np.float64]


@dataclass(frozen=True)
class ArmCurve:
    """Survival of the tracks of an arm.

    Attributes
    ----------
    time
        (n,) hours: the first entry, each death, the last hour at which a track was seen.
    survival, low, high
        (n,) share alive from each on, and the ends of its 95 % interval; `low` and `high` are nan
        where nothing tells: before the first death, and once all have died.
    tracks, events, lost, wells
        Neurons, deaths among them, neurons whose end was not seen, wells.
    """

    time: Real
    survival: Real
    low: Real
    high: Real
    tracks: int
    events: int
    lost: int
    wells: int

    def median(self) -> tuple[float | None, float | None, float | None]:
        """Hours at which half have died, and the ends of the 95 % interval.

        The interval's ends are the hours at which `low` and `high` come to one half (Brookmeyer &
        Crowley, Biometrics 1982;38:29). None: not before the curve ends.
        """
        median, low, high = (
            float(self.time[reached[0]]) if len(reached := np.flatnonzero(side <= 0.5)) else None
            for side in (self.survival, self.low, self.high)
        )
        return median, low, high


def arm_curves(arms: Sequence[pl.DataFrame], lost: Sequence[str]) -> list[ArmCurve | None]:
    """The curves of arms of one plate; None where no track was followed for any time.

    Parameters
    ----------
    arms
        Included tracks of each arm: well, entry_h, exit_h, event, reason.
    lost
        Reasons of tracks whose end was not seen.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes.films.survival_curves import arm_curves
    >>> tracks = pl.DataFrame({"well": ["B02"] * 4, "entry_h": [0.0] * 4, "reason": [""] * 4,
    ...     "exit_h": [12.0, 24.0, 24.0, 24.0], "event": [True, False, False, False]})
    >>> arm_curves([tracks], ())[0].survival.tolist()
    [1.0, 0.75, 0.75]
    """
    errors = [_error_of(tracks.filter(pl.col("exit_h") > pl.col("entry_h"))) for tracks in arms]
    known = [e for e in errors if e is not None]
    return [
        None if error is None else _steps(error, _half_width(error, known), tracks, lost)
        for error, tracks in zip(errors, arms, strict=True)
    ]


def _steps(error: _Error, half: Real, tracks: pl.DataFrame, lost: Sequence[str]) -> ArmCurve:
    curve = error.curve
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (curve.survival ** np.exp(sign * half) for sign in (1.0, -1.0))
    open_end = (curve.survival <= 0) | (curve.survival >= 1)
    low[open_end], high[open_end] = np.nan, np.nan
    last = error.last_h > curve.time[-1] if len(curve.time) else True

    def steps(values: Real, first: float) -> Real:
        at_end = [values[-1] if len(values) else first] if last else []
        return np.concatenate([[first], values, at_end])

    return ArmCurve(
        np.concatenate([[error.first_h], curve.time, [error.last_h] if last else []]),
        steps(curve.survival, 1.0),
        steps(low, np.nan),
        steps(high, np.nan),
        len(tracks),
        int(tracks["event"].sum()),
        int(tracks["reason"].is_in(list(lost)).sum()),
        tracks["well"].n_unique(),
    )


def at_risk(tracks: pl.DataFrame, hours: Sequence[float]) -> list[int]:
    """Neurons alive and followed at each hour, those that end then included."""
    entry, leave = tracks["entry_h"].to_numpy(), tracks["exit_h"].to_numpy()
    return [int(((entry <= hour) & (leave >= hour)).sum()) for hour in hours]


@dataclass(frozen=True)
class _Error:
    """Error of log(−log S) of an arm at each death's time.

    `neurons` is Greenwood's variance, `wells` σ² as this arm's wells tell it, which may be
    negative; nan with one well, and where nothing tells.
    """

    curve: KaplanMeier
    first_h: float
    last_h: float
    n_wells: int
    neurons: Real
    wells: Real


def _error_of(tracks: pl.DataFrame) -> _Error | None:
    if tracks.is_empty():
        return None
    entry, leave = tracks["entry_h"].to_numpy(), tracks["exit_h"].to_numpy()
    curve = kaplan_meier(leave, tracks["event"], entry)
    d, n = curve.events, curve.at_risk
    count = tracks["well"].n_unique()
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.log(curve.survival) ** 2
        neurons = curve.variance / curve.survival**2 / scale
        # What each well adds to the error of log S: its deaths less those that it was to have.
        parts = [
            np.cumsum(-(deaths - risk * d / n) / (n - d))
            for deaths, risk in _of_wells(tracks, curve.time)
        ]
        between = np.full(len(d), np.nan)
        if count > 1:
            of_wells = count / (count - 1) * (np.array(parts) ** 2).sum(axis=0) / scale
            between = count * (of_wells - neurons)
    return _Error(curve, float(entry.min()), float(leave.max()), count, neurons, between)


def _half_width(arm: _Error, arms: Sequence[_Error]) -> Real:
    """Of the interval of log(−log S) at each death's time of an arm."""
    total, degrees = np.zeros(len(arm.neurons)), np.zeros(len(arm.neurons))
    for other in arms:
        if not len(other.wells):
            continue
        place = np.searchsorted(other.curve.time, arm.curve.time, side="right") - 1
        value = np.where(place >= 0, other.wells[place], np.nan)
        told = np.isfinite(value)
        total += np.where(told, (other.n_wells - 1) * value, 0.0)
        degrees += told * (other.n_wells - 1)
    half = stats.norm.ppf(0.975) * np.sqrt(arm.neurons)
    told = degrees > 0
    variance = arm.neurons[told] + total[told] / degrees[told] / arm.n_wells
    between = stats.t.ppf(0.975, degrees[told]) * np.sqrt(np.maximum(variance, 0.0))
    half[told] = np.fmax(half[told], between)
    return np.asarray(half, float)


def _of_wells(tracks: pl.DataFrame, time: Real) -> list[tuple[Real, Real]]:
    """(deaths, neurons at risk) of each well at each time."""
    parts = []
    for part in tracks.partition_by("well"):
        entry, leave = (np.sort(part[name].to_numpy()) for name in ("entry_h", "exit_h"))
        died = np.sort(part.filter("event")["exit_h"].to_numpy())
        deaths = np.searchsorted(died, time, "right") - np.searchsorted(died, time, "left")
        risk = np.searchsorted(entry, time, "left") - np.searchsorted(leave, time, "left")
        parts.append((deaths.astype(float), risk.astype(float)))
    return parts
