"""From when to when neurons were followed, and survival over those hours.

A field enters at its first usable frame. Its neurons are at risk from then on: the hours before are
not known to them, and a neuron that had died by then was never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from phenotypes.films.kaplan_meier import KaplanMeier, kaplan_meier

MIN_TRACKS = 20
# The most that may be unknown of a survival, and of the part of the hours that were lived.
UNKNOWN_SHARE = 0.10


def study_end(tracks: pl.DataFrame) -> float:
    """The earliest study end of any field that was followed at all."""
    followed = tracks.filter(pl.col("study_end_h") > pl.col("entry_h"))
    ends = (tracks if followed.is_empty() else followed)["study_end_h"]
    return float(ends.to_numpy().min())


def first_hour(entries: pl.Series) -> float:
    """Hour at which enough tracks are under observation: MIN_TRACKS, or half of them if fewer.

    A curve that began with the first of them would rest on the few neurons of one field.
    """
    hours = np.sort(entries.to_numpy())
    return float(hours[min(MIN_TRACKS, -(-len(hours) // 2)) - 1])


def observed(tracks: pl.DataFrame, start_h: float) -> pl.DataFrame:
    """Tracks alive and followed after `start_h`, with `entry` and `exit` counted from it."""
    return tracks.with_columns(
        (pl.col("entry_h") - start_h).clip(lower_bound=0.0).alias("entry"),
        (pl.col("exit_h") - start_h).alias("exit"),
    ).filter(pl.col("exit") > pl.col("entry"))


def curve_of(tracks: pl.DataFrame, length_h: float) -> KaplanMeier | None:
    """Curve of observed tracks; None where it is not known up to `length_h`.

    That is where all under observation had died before others entered, and where nothing was
    followed to the end and over UNKNOWN_SHARE of the neurons or of their hours is open.
    """
    if tracks.is_empty():
        return None
    curve = kaplan_meier(tracks["exit"], tracks["event"], tracks["entry"])
    gone = curve.time[curve.survival <= 0]
    ended = float(tracks["exit"].to_numpy().max())
    if len(gone) and gone[0] < ended and gone[0] < length_h:
        return None
    left = curve.at(ended)
    if ended < length_h and max(left, left * (length_h - ended) / length_h) > UNKNOWN_SHARE:
        return None
    return curve


class Window(NamedTuple):
    """The hours over which the wells of a plate are compared."""

    start_h: float
    end_h: float


def survival_window(tracks: pl.DataFrame) -> Window | None:
    """Hours common to the wells of a plate: those that keep most wells for the longest time.

    The end is the earliest study end. A well that is first followed later than the start has no
    survival over these hours, and one that begins earlier is followed from the start on.
    """
    end = study_end(tracks)
    firsts = [
        first_hour(part["entry_h"])
        for part in tracks.partition_by("well", maintain_order=True)
        if len(part) >= MIN_TRACKS
    ]
    start = shared_start(firsts, np.ones(len(firsts)), end)
    return None if start is None else Window(start, end)


def shared_start(firsts: Sequence[float], weights: ArrayLike, end: float) -> float | None:
    """The hour from which most weight is followed for the longest time; None without such hours.

    `firsts`: the hour from which each of several groups is followed.
    """
    w, first = np.asarray(weights, float), np.asarray(firsts, float)
    starts = np.unique(first[first < end])
    if not len(starts):
        return None
    kept = np.array([w[first <= s].sum() for s in starts])
    return float(starts[np.argmax(kept * (end - starts))])
