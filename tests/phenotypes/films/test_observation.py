"""From when to when neurons were followed."""

from __future__ import annotations

import polars as pl
import pytest

from phenotypes.films.observation import (
    Window,
    curve_of,
    first_hour,
    observed,
    shared_start,
    study_end,
    survival_window,
)


def tracks(entry, leave, event, well="A01", study_end_h=96.0):
    return pl.DataFrame({"entry_h": entry, "exit_h": leave, "event": event}).with_columns(
        pl.col("entry_h", "exit_h").cast(pl.Float64),
        well=pl.lit(well),
        study_end_h=pl.lit(study_end_h),
    )


def alive(entry, n=40, well="A01", study_end_h=96.0):
    return tracks([entry] * n, [96.0] * n, [False] * n, well, study_end_h)


@pytest.mark.parametrize(
    ("early", "late", "hour"), [(20, 400, 0.0), (19, 400, 24.0), (5, 5, 0.0), (4, 6, 24.0)]
)
def test_a_curve_begins_with_twenty_neurons_or_with_half_of_them(early, late, hour):
    assert first_hour(pl.Series([0.0] * early + [24.0] * late)) == hour


def test_observed_counts_from_the_start_and_drops_who_left_before():
    table = tracks([0, 24, 0, 36], [12, 48, 60, 36], [True, True, False, False])
    seen = observed(table, 24.0)
    assert seen.select("entry", "exit").rows() == [(0.0, 24.0), (0.0, 36.0)]


def test_a_curve_that_is_not_known_is_not_given():
    assert curve_of(observed(alive(0.0), 96.0), 10.0) is None
    known = observed(alive(0.0), 0.0)
    assert curve_of(known, 96.0).at(96.0) == 1.0
    # All the first ones die before the others enter: the product is 0 from then on.
    dead = observed(tracks([0] * 3 + [24] * 30, [12] * 3 + [96] * 30, [True] * 3 + [False] * 30), 0)
    assert curve_of(dead, 96.0) is None
    # All die, the last of them: 0 is what is known.
    gone = observed(tracks([0] * 4, [12, 24, 36, 48], [True] * 4), 0.0)
    assert curve_of(gone, 96.0).at(96.0) == 0.0
    # None was followed to the end: little is open where few are left, much where all are.
    few = observed(tracks([0] * 20, [12] * 19 + [24], [True] * 19 + [False]), 0.0)
    assert curve_of(few, 96.0).at(96.0) == pytest.approx(0.05)
    many = observed(tracks([0] * 20, [12] * 10 + [24] * 10, [True] * 10 + [False] * 10), 0.0)
    assert curve_of(many, 96.0) is None


def test_wells_are_compared_over_the_hours_that_keep_most_of_them():
    wells = pl.concat([alive(0.0, well=f"A{i:02d}") for i in range(9)])
    assert survival_window(wells) == Window(0.0, 96.0)
    # One well that is late is left out; where most are late, all are compared from then on.
    one = pl.concat([wells, alive(48.0, well="B01")])
    assert survival_window(one) == Window(0.0, 96.0)
    most = pl.concat([wells.head(40), *(alive(24.0, well=f"B{i:02d}") for i in range(9))])
    assert survival_window(most) == Window(24.0, 96.0)
    few_tracks = pl.concat([wells, *(alive(24.0, 19, f"B{i:02d}") for i in range(40))])
    assert survival_window(few_tracks) == Window(0.0, 96.0)
    assert survival_window(alive(0.0, n=5)) is None
    assert survival_window(alive(96.0)) is None


@pytest.mark.parametrize(
    ("firsts", "weights", "start"),
    [
        ([0, 24], [1, 1], 24.0),
        ([0, 24], [4, 1], 0.0),
        ([0, 60], [1, 1], 0.0),
        ([96, 120], [1, 1], None),
        ([], [], None),
    ],
)
def test_the_start_keeps_most_for_longest(firsts, weights, start):
    assert shared_start(firsts, weights, 96.0) == start


def test_the_earliest_end_is_the_end():
    table = pl.concat([alive(0.0), alive(0.0, well="A02", study_end_h=60.0)])
    assert study_end(table) == 60.0
    # A field with one usable frame was not followed, and ends no study.
    once = tracks([0.0] * 5, [0.0] * 5, [False] * 5, "A03", 0.0)
    assert study_end(pl.concat([table, once])) == 60.0
    assert study_end(once) == 0.0
    assert survival_window(table) == Window(0.0, 60.0)
