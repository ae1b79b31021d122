"""When each frame of a time-lapse was taken, in hours since the well's first.

Strategy. The instrument's times count where the scan records them; else the numbers of the time
points × the protocol's interval, so that a missing time point leaves its gap. Wells are imaged one
after another, so that their times since their own first image differ by seconds: wells that agree
with the plate's median have its hours, and deaths of one frame stay ties; others have their own.
Local times without zone that jump by exactly one hour where clocks are changed are put right.
Whatever is put right, contradicts the protocol or is assumed is a note of the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from imaging_service.ingest import PlatePlan, reader_named
from imaging_service.ingest.plan import ImageRef
from plate_maps import Well

# A contradiction with the protocol, and a well whose times are its own, as shares of a step.
_CONTRADICTS, _AGREES = 0.1, 0.02
# Files of an export carry dates seconds apart; a time-lapse over days does not.
_LEAST_STEP_H = 1 / 60
# How near to one hour a jump of the clock is.
_NEAR_H = 0.05
# One zone for each date on which clocks are changed: Europe, North America, Australia, New Zealand.
_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Sydney", "Pacific/Auckland")

Hours = tuple[float, ...]


@dataclass(frozen=True)
class Clock:
    """Hours of the time points per well, and what the run must say about them."""

    hours: Mapping[str, Hours]
    notes: tuple[str, ...] = ()


def numbered_hours(times: Sequence[int], interval_h: float) -> Hours:
    """Hours by the numbers of the time points: a missing one leaves its gap.

    Examples
    --------
    >>> from imaging_service.jobs.films.hours import numbered_hours
    >>> numbered_hours((1, 2, 4, 5, 6), 12.0)
    (0.0, 12.0, 36.0, 48.0, 60.0)
    """
    return tuple((t - times[0]) * interval_h for t in times)


def read_clock(plan: PlatePlan, times: Sequence[int], interval_h: float) -> Clock:
    """The hours of each well's frames.

    Parameters
    ----------
    times
        Numbers of the time points, in order.
    interval_h
        The protocol's hours between two numbers.
    """
    by_number = numbered_hours(times, interval_h)
    notes: list[str] = []
    absent = sorted(set(range(times[0], times[-1] + 1)) - set(times))
    measured = _measured(plan, times, by_number, notes)
    clocks = np.array(list(measured.values()))
    if len(clocks) and np.median(np.diff(np.median(clocks, axis=0))) < _LEAST_STEP_H:
        notes.append(
            "the scan's dates are not used: its time points are less than a minute apart by them"
            f" ({_words(np.median(clocks, axis=0))} h), as dates of an export are; hours follow"
            " the numbers of the time points"
        )
        measured, clocks = {}, clocks[:0]
    if not len(clocks):
        if absent and math.gcd(*(t - times[0] for t in times)) > 1:
            notes.append(
                f"time points are numbered {_numbers(times)}, and the scan records no times:"
                f" acquisition.frame_interval_h ({interval_h:g} h) was taken as the hours between"
                f" two numbers, so that hours are {_words(by_number)}"
            )
        elif absent:
            notes.append(
                f"the scan has no time point {_numbers(absent)}: hours are {_words(by_number)}"
            )
        return Clock({w.name: by_number for w in plan.wells}, tuple(notes))
    plate = tuple(float(v) for v in np.median(clocks, axis=0).round(6))
    steps = np.diff(by_number)
    if (np.abs(np.diff(plate) - steps) > _CONTRADICTS * steps).any():
        notes.append(
            f"the instrument's times of time points {_numbers(times)} are {_words(plate)} h;"
            f" acquisition.frame_interval_h = {interval_h:g} gives {_words(by_number)} h: the"
            " instrument's are used; correct the protocol if they are right"
        )
    return Clock(_per_well(plan, measured, plate, notes), tuple(notes))


def _per_well(
    plan: PlatePlan, measured: Mapping[Well, Hours], plate: Hours, notes: list[str]
) -> dict[str, Hours]:
    """The plate's hours for wells that agree with it or have no times; else a well's own."""
    reach = _AGREES * max(float(np.median(np.diff(plate))), 0.0)
    hours = {}
    for well in plan.wells:
        known = measured.get(well, plate)
        agrees = np.abs(np.subtract(known, plate)).max() <= reach
        hours[well.name] = plate if agrees else known
    apart = [w for w, known in hours.items() if known != plate]
    if apart:
        notes.append(
            f"{len(apart)} well(s) have hours of their own, more than {_AGREES:.0%} of a step from"
            f" the plate's {_words(plate)} h: "
            + ", ".join(f"{w} ({_words(hours[w])} h)" for w in apart)
        )
    without = [w.name for w in plan.wells if w not in measured]
    if without:
        notes.append(
            f"{len(without)} well(s) have no times for all time points and were given the plate's:"
            f" {', '.join(without)}"
        )
    return hours


def _measured(
    plan: PlatePlan, times: Sequence[int], expected: Hours, notes: list[str]
) -> dict[Well, Hours]:
    """Hours by the scan's time axis or by the instrument, of wells that have all of them."""
    if plan.hours:
        if set(times) <= plan.hours.keys():
            axis = tuple(round(plan.hours[t] - plan.hours[times[0]], 6) for t in times)
            return dict.fromkeys(plan.wells, axis)
        return {}
    reader = reader_named(plan.reader)
    first: dict[tuple[Well, int, int], ImageRef] = {}
    number: dict[Well, int] = {}
    for image in reversed(plan.images):
        first[image.well, image.field, image.time] = image
        number[image.well] = min(image.field, number.get(image.well, image.field))
    measured: dict[Well, Hours] = {}
    changes: dict[str, list[str]] = {}
    for well in plan.wells:
        places = [(well, number.get(well, 0), t) for t in times]
        images = [first[place] for place in places if place in first]
        seconds = [reader.exposed_s(plan, image) for image in images]
        taken = [s for s in seconds if s is not None]
        if len(taken) < len(times):
            continue
        hours = np.subtract(taken, taken[0]) / 3600
        if reader.local_clock(plan, images[0]):
            hours = _daylight(well, taken, hours, expected, changes)
        measured[well] = tuple(float(v) for v in hours.round(6))
    notes += [f"{text}: {', '.join(wells)}" for text, wells in changes.items()]
    return measured


def _daylight(
    well: Well,
    taken: Sequence[float],
    hours: np.ndarray[tuple[int], np.dtype[np.float64]],
    expected: Hours,
    changes: dict[str, list[str]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Take the hour by which local clocks were changed off the later frames."""
    dates = [datetime.fromtimestamp(s, UTC).replace(tzinfo=None) for s in taken]
    hours = hours.copy()
    for k, (before, after) in enumerate(pairwise(dates), start=1):
        off = (after - before).total_seconds() / 3600 - (expected[k] - expected[k - 1])
        jumps = {_jump(before, after, zone) for zone in _ZONES} - {0.0}
        step = next((j for j in jumps if abs(off - j) <= _NEAR_H), None)
        days = f"{before:%Y-%m-%d} and {after:%Y-%m-%d}"
        if step is not None:
            hours[k:] -= step
            text = (
                f"local times without zone jump by {step:+g} h between {days}, where clocks are"
                " changed: the hour was taken off"
            )
        elif jumps and abs(off) > _NEAR_H:
            text = (
                f"local times without zone between {days}, where clocks are changed, may be an hour"
                " off"
            )
        else:
            continue
        changes.setdefault(text, []).append(well.name)
    return hours


def _jump(before: datetime, after: datetime, zone: str) -> float:
    """Hours by which a zone's clocks were put forward between two local times."""
    # The hour that is shown twice in autumn: the later time is the second one.
    places = (before.replace(fold=0), after.replace(fold=1))
    offsets = [place.replace(tzinfo=ZoneInfo(zone)).utcoffset() for place in places]
    first, last = (0.0 if o is None else o.total_seconds() / 3600 for o in offsets)
    return last - first


def _words(hours: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return ", ".join(f"{h:.4g}" for h in hours)


def _numbers(times: Sequence[int]) -> str:
    return ", ".join(map(str, times))
