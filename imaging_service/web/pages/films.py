"""What a film's pages show: its hours, and where the neurons that died or were lost lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from imaging_service.web.templating import number
from phenotypes.columns.status_words import remark_words, status_words
from phenotypes.columns.statuses import CheckStatus, HazardStatus
from phenotypes.films.arms import LOST
from phenotypes.films.views import VIEW, from_first, to_first
from plate_maps.conditions import format_dose


@dataclass(frozen=True)
class Ended:
    """A neuron that died, or whose end was not seen.

    `frame` and `hours` are of its death, or the last at which it was known to live; `places` has
    (y, x) in pixels per time point, counted from 1. `left_out` is why it takes no part; "" where it
    does.
    """

    track: int
    died: bool
    reason: str
    frame: int
    hours: float
    left_out: str
    places: Mapping[int, tuple[float, float]]


def ended_tracks(
    tracks: pl.DataFrame, cells: pl.DataFrame, frames: pl.DataFrame, pixel_size_um: float
) -> list[Ended]:
    """Deaths and losses of one field, the earliest first.

    Parameters
    ----------
    tracks, cells
        Rows of the field in the track and cell tables.
    frames
        Its rows in the field table, one per time point: frame, time_h, height_um, width_um, and
        drift and turn.
    """
    ended = tracks.filter(pl.col("event") | pl.col("reason").is_in(LOST))
    if ended.is_empty() or frames.is_empty():
        return []
    field_um = (float(frames["height_um"][0]), float(frames["width_um"][0]))
    views = frames.select("frame", "time_h", *(pl.col(c).fill_null(0.0) for c in VIEW))
    seen = cells.filter(pl.col("track").is_in(ended["track"].to_list())).select(
        "track", "frame", "y_um", "x_um"
    )
    # Where it is not in the labels it is shown where it was seen last, or first.
    at_rest = to_first(seen.join(views, on="frame"), field_um).select(
        "track", "frame", "y_um", "x_um"
    )
    every = ended.select("track").join(views, how="cross").sort("frame")
    placed = every.join_asof(
        at_rest.sort("frame"), on="frame", by="track", strategy="nearest", check_sortedness=False
    )
    known = from_first(placed.drop_nulls(["y_um", "x_um"]), field_um)
    places: dict[int, dict[int, tuple[float, float]]] = {}
    for track, frame, y, x in known.select("track", "frame", "y_um", "x_um").iter_rows():
        places.setdefault(track, {})[frame] = (y / pixel_size_um, x / pixel_size_um)
    hours = dict(views.select("frame", "time_h").drop_nulls().iter_rows())
    return [
        Ended(
            row["track"],
            bool(row["event"]),
            row["reason"],
            min(hours, key=lambda frame: abs(hours[frame] - row["exit_h"])),
            float(row["exit_h"]),
            "" if row["included"] else row["excluded_reason"],
            places[row["track"]],
        )
        for row in ended.sort("exit_h", "track").iter_rows(named=True)
        if row["track"] in places
    ]


def no_survival(tracks: pl.DataFrame, drawn: int, checks: Iterable[Mapping[str, Any]]) -> str:
    """Why a film has no survival curve, and what to do; empty where curves were drawn.

    `checks` has the plate's check of how deaths are known, whose reason comes first.

    >>> tracks = pl.DataFrame({"included": [False], "excluded_reason": ["dead at first"]})
    >>> no_survival(tracks, 0, [])
    'No survival curve: none of the 1 neurons that were tracked takes part (dead at first: 1).'
    """
    if drawn:
        return ""
    for check in checks:
        if check["check"] == "death" and check["status"] != CheckStatus.OK:
            return f"No survival curve: {remark_words(check['reason'])}."
    if tracks.is_empty():
        return (
            "No survival curve: no neuron was tracked. Wells that failed have their reason; where"
            " none failed, look at the outlines of the first time point: a neuron is tracked by its"
            " soma."
        )
    included = int(tracks["included"].sum())
    if not included:
        counts = tracks["excluded_reason"].value_counts(sort=True).head(3)
        reasons = ", ".join(f"{reason}: {n}" for reason, n in counts.iter_rows())
        return (
            f"No survival curve: none of the {len(tracks)} neurons that were tracked takes part"
            f" ({reasons})."
        )
    return (
        f"No survival curve: {included} neurons were followed, none of them through two time points"
        " under a compound. The plate map names no compound beside vehicle, or its wells failed."
    )


def survival_sentences(hazards: Iterable[Mapping[str, Any]]) -> list[str]:
    """What became of each compound's neurons beside vehicle, in a sentence per row.

    >>> row = dict(line="L1", compound="x", dose_molar=1e-6, status="one_batch", reason="")
    >>> row |= dict(hazard_ratio=2.68, hr_low=0.74, hr_high=11.8)
    >>> row |= dict(n_events_treated=40, n_tracks_treated=76, n_events_vehicle=15)
    >>> survival_sentences([row | {"n_tracks_vehicle": 49}])[0].split("; ")[1]
    'hazard ratio 2.68 (0.74 … 11.8), one batch'
    """
    said = []
    for row in hazards:
        counts = (
            f"{row['n_events_treated']} of {row['n_tracks_treated']} neurons died,"
            f" {row['n_events_vehicle']} of {row['n_tracks_vehicle']} of vehicle"
        )
        if row["hazard_ratio"] is None:
            ratio = f"no hazard ratio: {remark_words(row['reason'])}"
        else:
            ends = (row["hr_low"], row["hr_high"])
            between = "no interval" if None in ends else " … ".join(number(e) for e in ends)
            remark = "" if row["status"] == HazardStatus.OK else f", {status_words(row['status'])}"
            ratio = f"hazard ratio {number(row['hazard_ratio'])} ({between}){remark}"
        place = f"{row['compound']} at {format_dose(row['dose_molar'])} on {row['line']}"
        said.append(f"{place}: {counts}; {ratio}")
    return said
