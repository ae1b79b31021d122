"""Survival of an arm over time with its interval, and how many neurons it rests on.

The curve is Kaplan–Meier's with entry times. Its 95 % interval stands on the scale of log(−log S),
so it stays between 0 and 1 (Klein & Moeschberger, Survival Analysis, 2003, §4.3). Neurons of one
well share what happened to it: the error is that between wells (the influences of the neurons on
log S are added up per well, wells − 1 degrees of freedom), and never under Greenwood's, which takes
neurons as independent. With one well Greenwood's stands alone.
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


def arm_curve(tracks: pl.DataFrame, lost: Sequence[str]) -> ArmCurve | None:
    """The curve of an arm; None where no track was followed for any time.

    Parameters
    ----------
    tracks
        Included tracks of one plate: well, entry_h, exit_h, event, reason.
    lost
        Reasons of tracks whose end was not seen.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes.films.survival_curves import arm_curve
    >>> tracks = pl.DataFrame({"well": ["B02"] * 4, "entry_h": [0.0] * 4, "reason": [""] * 4,
    ...     "exit_h": [12.0, 24.0, 24.0, 24.0], "event": [True, False, False, False]})
    >>> arm_curve(tracks, ()).survival.tolist()
    [1.0, 0.75, 0.75]
    """
    followed = tracks.filter(pl.col("exit_h") > pl.col("entry_h"))
    if followed.is_empty():
        return None
    entry, leave = followed["entry_h"].to_numpy(), followed["exit_h"].to_numpy()
    curve = kaplan_meier(leave, followed["event"], entry)
    half = _half_width(curve, followed)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (curve.survival ** np.exp(sign * half) for sign in (1.0, -1.0))
    open_end = (curve.survival <= 0) | (curve.survival >= 1)
    low[open_end], high[open_end] = np.nan, np.nan
    last = leave.max() > curve.time[-1] if len(curve.time) else True

    def steps(values: Real, first: float) -> Real:
        at_end = [values[-1] if len(values) else first] if last else []
        return np.concatenate([[first], values, at_end])

    time = np.concatenate([[entry.min()], curve.time, [leave.max()] if last else []])
    return ArmCurve(
        time,
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


def _half_width(curve: KaplanMeier, tracks: pl.DataFrame) -> Real:
    """Of the interval of log(−log S) at each death's time."""
    d, n = curve.events, curve.at_risk
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.sqrt(curve.variance) / curve.survival
        half = stats.norm.ppf(0.975) * greenwood
        # What each well adds to the error of log S: its deaths less those that it was to have.
        parts = [
            np.cumsum(-(deaths - risk * d / n) / (n - d))
            for deaths, risk in _of_wells(tracks, curve.time)
        ]
        if len(parts) > 1:
            count = len(parts)
            wells = np.sqrt(count / (count - 1) * (np.array(parts) ** 2).sum(axis=0))
            half = np.fmax(half, stats.t.ppf(0.975, count - 1) * wells)
        return np.asarray(half / np.abs(np.log(curve.survival)), float)


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
