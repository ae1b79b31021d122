"""Each way in which a track can end."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.films.deaths import (
    DEFINITIONS,
    DeathSettings,
    plate_tracks,
    sensor_threshold,
    tracks_table,
    with_sensor,
)
from tests.messages import says, states

FRAMES = 8
FIELD = (600.0, 600.0)


def frames(unusable=()):
    return pl.DataFrame(
        {
            "frame": list(range(1, FRAMES + 1)),
            "time_h": [12.0 * f for f in range(FRAMES)],
            "usable": [f not in unusable for f in range(1, FRAMES + 1)],
            "drift_y_um": [0.0] * FRAMES,
            "drift_x_um": [0.0] * FRAMES,
            "turn_deg": [0.0] * FRAMES,
        }
    )


def track(seen, place=(300.0, 300.0), conflict=(), **columns):
    n = len(seen)
    base = {
        "frame": list(seen),
        "y_um": [place[0]] * n,
        "x_um": [place[1]] * n,
        "track": [1] * n,
        "conflict": [f in conflict for f in seen],
        "soma_area_um2": [200.0] * n,
        "soma_form_factor": [0.6] * n,
        "sensor": [None] * n,
    }
    return pl.DataFrame(base | columns, schema_overrides={"sensor": pl.Float64})


def ended(objects, definition="reporter_loss", unusable=(), threshold=None):
    row = tracks_table(
        objects, frames(unusable), FIELD, DeathSettings(definition), threshold
    ).to_dicts()[0]
    return row["event"], row["reason"], row["exit_h"]


def test_reporter_loss_needs_two_absent_frames():
    assert ended(track([1, 2, 3])) == (True, "", 36.0)
    assert ended(track(range(1, 9))) == (False, "end_of_study", 72.0)
    assert ended(track(range(1, 7))) == (True, "", 72.0)
    assert ended(track(range(1, 8))) == (False, "end_of_study", 72.0)
    assert ended(track(range(1, 7))) == (True, "", 72.0)


def test_who_was_last_seen_at_the_edge_left_the_field():
    assert ended(track([1, 2, 3], place=(5.0, 300.0))) == (False, "left_field", 24.0)


def reseated(start, drift=(0.0, 0.0), turn=0.0):
    """The frames of a plate that was put back otherwise before the frame `start`."""
    later = pl.col("frame") >= start
    names = {"drift_y_um": drift[0], "drift_x_um": drift[1], "turn_deg": turn}
    return frames().with_columns(
        pl.when(later).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in names.items()
    )


def end_of(objects, view, definition="reporter_loss", threshold=None):
    settings = DeathSettings(definition)
    row = tracks_table(objects, view, FIELD, settings, threshold).to_dicts()[0]
    return row["event"], row["reason"], row["exit_h"]


@pytest.mark.parametrize(
    ("place", "view", "end"),
    [
        # Where the shifted view ends, and inside it: at 80 um, half of it or more is margin.
        ((550.0, 300.0), reseated(4, (80.0, 0.0)), (False, "left_field", 24.0)),
        ((500.0, 300.0), reseated(4, (80.0, 0.0)), (True, "", 36.0)),
        ((510.0, 300.0), reseated(4, (80.0, 0.0)), (False, "left_field", 24.0)),
        ((50.0, 300.0), reseated(4, (80.0, 0.0)), (True, "", 36.0)),
        ((300.0, 50.0), reseated(4, (0.0, -60.0)), (False, "left_field", 24.0)),
        # Turned counter-clockwise by 3 degrees, the left edge goes down by 14 um.
        ((575.0, 30.0), reseated(4, turn=3.0), (False, "left_field", 24.0)),
        ((575.0, 30.0), reseated(4, turn=-3.0), (True, "", 36.0)),
        ((575.0, 570.0), reseated(4, turn=3.0), (True, "", 36.0)),
        ((575.0, 570.0), reseated(4, turn=-3.0), (False, "left_field", 24.0)),
        # Absent in one frame that saw its place; the next did not.
        ((550.0, 300.0), reseated(5, (80.0, 0.0)), (False, "left_field", 24.0)),
        # Absent in two, before the plate was moved.
        ((550.0, 300.0), reseated(6, (80.0, 0.0)), (True, "", 36.0)),
    ],
)
def test_an_absence_counts_where_the_place_was_seen(place, view, end):
    assert end_of(track([1, 2, 3], place=place), view) == end


def test_a_sensor_s_track_that_leaves_the_view_left_the_field():
    red = [0.2] * 3
    seen = track([1, 2, 3], place=(550.0, 300.0), sensor=red)
    view = reseated(4, (80.0, 0.0))
    assert end_of(seen, view, "gedi", 0.4) == (False, "left_field", 24.0)
    inside = track([1, 2, 3], place=(400.0, 300.0), sensor=red)
    assert end_of(inside, view, "gedi", 0.4) == (False, "lost", 24.0)


def test_a_large_soma_needs_its_radius_inside_the_view():
    large = track([1, 2, 3], place=(500.0, 300.0), soma_area_um2=[np.pi * 25**2] * 3)
    assert end_of(large, reseated(4, (80.0, 0.0))) == (False, "left_field", 24.0)


def test_a_cell_that_comes_in_with_the_view_was_not_there_at_the_start():
    late = track([4, 5, 6, 7, 8], place=(-40.0, 300.0))
    row = tracks_table(late, reseated(4, (80.0, 0.0)), FIELD, DeathSettings(), None).to_dicts()[0]
    assert (row["included"], row["event"]) == (False, False)
    assert states("deaths.not_present", row["excluded_reason"])


def test_a_copy_of_a_frame_hides_no_death():
    """Frame 4 is frame 3 again, with its date: between the two nothing was missed."""
    copied = frames((4,)).with_columns(
        pl.when(pl.col("frame") >= 4)
        .then(pl.col("time_h") - 12)
        .otherwise("time_h")
        .alias("time_h")
    )
    assert end_of(track([1, 2, 3]), copied) == (True, "", 36.0)


def test_hours_of_a_death_are_the_frames_own():
    uneven = frames().with_columns(time_h=pl.Series([0.0, 10, 30, 60, 96, 100, 130, 170]))
    assert end_of(track([1, 2, 3]), uneven) == (True, "", 60.0)
    assert end_of(track(range(1, 9)), uneven) == (False, "end_of_study", 130.0)
    assert end_of(track(range(1, 9)), uneven, "death_dye", 0.4) == (False, "end_of_study", 170.0)


def test_who_vanishes_with_the_focus_is_dead_once_two_sharp_frames_miss_it():
    """Else the interval with an unusable frame would have survivors and no deaths."""
    assert ended(track([1, 2, 3]), unusable=(4,)) == (True, "", 48.0)
    assert ended(track([1, 2, 3]), unusable=(4, 5)) == (True, "", 60.0)
    assert ended(track([1, 2, 3]), unusable=(2,)) == (True, "", 36.0)
    assert ended(track([1, 2, 3]), unusable=(4, 5, 6, 7)) == (False, "end_of_study", 24.0)
    assert ended(track([1, 2, 3], sensor=[0.2] * 3), "gedi", unusable=(4,), threshold=0.4) == (
        False,
        "focus_failure",
        24.0,
    )
    assert ended(track([1, 2, 3]), unusable=(4, 5, 6, 7, 8)) == (False, "end_of_study", 12.0)


@pytest.mark.parametrize("unusable", [(), (4,), (3, 5)])
def test_an_unusable_frame_keeps_the_deaths_of_its_hours(unusable):
    """400 neurons with a constant hazard: survival at 72 h is what was drawn, deaths a frame late."""
    rng = np.random.default_rng(2)
    view = frames(unusable)
    death_h = rng.exponential(80.0, 400)
    rows = pl.concat(
        track([f for f in range(1, 9) if 12.0 * (f - 1) < end and f not in unusable]).with_columns(
            track=pl.lit(n, pl.Int64)
        )
        for n, end in enumerate(death_h, start=1)
    )
    table = tracks_table(rows, view, FIELD, DeathSettings(), None)
    assert table["event"].sum() == (death_h <= 72).sum()
    assert set(table.filter(~pl.col("event"))["reason"]) == {"end_of_study"}
    assert set(table["study_end_h"]) == {72.0}
    assert (table["exit_h"].max(), table["event"].mean()) == (72.0, (death_h <= 72).mean())


@pytest.mark.parametrize(
    ("definition", "last_h"),
    [("reporter_loss", 72.0), ("rounding", 72.0), ("death_dye", 84.0), ("gedi", 84.0)],
)
def test_no_hour_in_which_a_death_cannot_be_told_yet_is_followed(definition, last_h):
    """Eight frames of 12 hours. Who is gone from the last alone may be dead or may not."""
    threshold = 0.4 if definition in ("death_dye", "gedi") else None
    for seen in (range(1, 9), range(1, 8)):
        end = ended(track(seen, sensor=[0.2] * len(seen)), definition, threshold=threshold)
        assert end == (
            (False, "end_of_study", last_h)
            if last_h == 72.0 or len(seen) == 8
            else (False, "lost", 72.0)
        )


def test_who_merged_or_split_is_censored_there():
    assert ended(track([1, 2, 3], conflict=(3,))) == (False, "identity_conflict", 24.0)
    assert ended(track(range(1, 9), conflict=(4,))) == (False, "identity_conflict", 36.0)


@pytest.mark.parametrize("definition", ["gedi", "death_dye"])
def test_a_sensor_dates_the_death_and_a_lost_track_is_never_one(definition):
    red = [0.2, 0.2, 0.9, 0.9]
    assert ended(track([1, 2, 3, 4], sensor=red), definition, threshold=0.4) == (True, "", 24.0)
    assert ended(track([1, 2, 3], sensor=[0.2] * 3), definition, threshold=0.4) == (
        False,
        "lost",
        24.0,
    )
    with pytest.raises(ValueError, match=says("deaths.threshold_missing")):
        ended(track([1]), definition)


def test_a_conflict_before_death_censors_and_after_it_does_not():
    red = [0.2, 0.2, 0.2, 0.9, 0.9]
    assert ended(track([1, 2, 3, 4, 5], conflict=(2,), sensor=red), "gedi", threshold=0.4) == (
        False,
        "identity_conflict",
        12.0,
    )
    assert ended(track([1, 2, 3, 4, 5], conflict=(5,), sensor=red), "gedi", threshold=0.4) == (
        True,
        "",
        36.0,
    )


def test_a_track_that_jumps_to_a_dead_cell_is_censored_not_dead():
    """The neuron floated off and the track slipped to a neighbour that had died before."""
    red, place = [0.2, 0.2, 0.9, 0.9], [300.0, 300.0, 311.0, 311.0]
    assert ended(track([1, 2, 3, 4], sensor=red, y_um=place), "gedi", threshold=0.4) == (
        False,
        "identity_conflict",
        24.0,
    )
    assert (
        ended(
            track([1, 2, 3, 4], sensor=red, y_um=[300.0, 301.0, 303.0, 303.0]),
            "gedi",
            threshold=0.4,
        )[0]
        is True
    )


def test_rounding_must_last():
    form, area = [0.6, 0.9, 0.6, 0.9, 0.9], [200.0, 100.0, 200.0, 100.0, 100.0]
    assert ended(track([1, 2, 3, 4, 5], soma_form_factor=form, soma_area_um2=area), "rounding") == (
        True,
        "",
        36.0,
    )
    assert ended(track([1, 2, 3, 4, 5], soma_form_factor=form), "rounding")[0] is False


def test_only_those_alive_in_the_first_usable_frame_are_included():
    late = tracks_table(track([3, 4, 5]), frames(), FIELD, DeathSettings(), None).to_dicts()[0]
    assert late["included"] is False
    assert states("deaths.not_present", late["excluded_reason"])
    dead = tracks_table(
        track([1, 2], sensor=[0.9, 0.9]), frames(), FIELD, DeathSettings("gedi"), 0.4
    ).to_dicts()[0]
    assert dead["included"] is False
    assert states("deaths.dead_at_once", dead["excluded_reason"])
    assert tracks_table(track([2, 3]), frames(unusable=(1,)), FIELD, DeathSettings(), None)[
        "included"
    ][0]


def test_the_threshold_is_a_quarter_of_the_way_to_dead():
    rng = np.random.default_rng(0)
    live, dead = rng.normal(0.2, 0.03, 100), rng.normal(1.0, 0.1, 60)
    found = sensor_threshold(live, dead)
    assert found.threshold == pytest.approx(0.25 * (dead.mean() - live.mean()) + live.mean())
    assert sensor_threshold(live, dead[:5]).threshold is None
    assert states("deaths.few_killed", sensor_threshold(live, dead[:5]).reason, cells=5)
    assert states("deaths.sensor_blind", sensor_threshold(live, live + 0.01).reason)


def test_the_sensor_of_each_definition():
    cells = pl.DataFrame(
        {"soma_mean_death": [10.0, 30.0, 5.0], "soma_mean_neurite": [100.0, 50.0, -1.0]}
    )
    assert with_sensor(cells, "gedi")["sensor"].to_list() == [0.1, 0.6, None]
    assert with_sensor(cells, "death_dye")["sensor"].to_list() == [10.0, 30.0, 5.0]
    for definition in set(DEFINITIONS) - {"gedi", "death_dye"}:
        assert with_sensor(cells, definition)["sensor"].null_count() == 3


def sensed_film(shift=(0.0, 0.0), place=(300.0, 300.0), red=(0.2, 0.2, 0.9, 0.9)):
    """(cells, fields, conditions) of one well whose stage drifts by `shift` µm per frame.

    The neuron stands still in the specimen, so that it moves by the drift in the images. Two
    further wells hold the vehicle and killed cells that the threshold is taken from.
    """
    n = len(red)
    drift = [(shift[0] * (f + 1), shift[1] * (f + 1)) for f in range(n)]
    fields = [
        {
            "well": w,
            "field": 1,
            "frame": f + 1,
            "time_h": 12.0 * f,
            "usable": True,
            "drift_y_um": drift[f][0],
            "drift_x_um": drift[f][1],
            "turn_deg": 0.0,
            "height_um": 600.0,
            "width_um": 600.0,
        }
        for w in ("A01", "A02", "A03")
        for f in range(n)
    ]

    def cell(well, track, frame, value):
        y, x = (p + d for p, d in zip(place, drift[frame], strict=True))
        return {
            "well": well,
            "field": 1,
            "frame": frame + 1,
            "track": track,
            "conflict": False,
            "y_um": y,
            "x_um": x,
            "soma_area_um2": 200.0,
            "soma_form_factor": 0.6,
            "soma_mean_death": value,
            "soma_mean_neurite": 1.0,
        }

    cells = [cell("A01", 1, f, value) for f, value in enumerate(red)]
    for well, level in (("A02", 0.2), ("A03", 1.0)):
        values = level + np.random.default_rng(0).normal(0, 0.01, 25)
        cells += [cell(well, i + 1, f, v) for i, v in enumerate(values) for f in (0, n - 1)]
    conditions = pl.DataFrame(
        {
            "well": ["A01", "A02", "A03"],
            "control": ["none", "vehicle", "positive"],
            "line": "L",
            "genotype": "",
            "compound": ["x", "DMSO", "kill"],
            "dose_molar": [1e-6, 0.0, 1e-6],
            "batch": "b",
        }
    )
    return pl.DataFrame(cells), pl.DataFrame(fields), conditions


def of_well(film, well="A01", definition="gedi"):
    table, _ = plate_tracks(*film, DeathSettings(definition))
    return table.filter(pl.col("well") == well).to_dicts()[0]


def test_the_drift_of_the_stage_is_removed():
    """A still neuron under a stage that drifts by 5 µm per frame: added instead, it would jump."""
    row = of_well(sensed_film(shift=(5.0, -5.0)))
    assert (row["y_um"], row["x_um"]) == (pytest.approx(300.0), pytest.approx(300.0))
    assert (row["event"], row["reason"], row["exit_h"]) == (True, "", 24.0)


@pytest.mark.parametrize(
    ("shift", "reason"),
    [
        ((-30.0, 0.0), "left_field"),
        ((30.0, 0.0), "lost"),
        ((0.0, -30.0), "left_field"),
        ((0.0, 30.0), "lost"),
    ],
)
def test_the_edge_is_that_of_the_image_the_neuron_was_seen_in(shift, reason):
    """At 100 µm of the first image, 90 µm nearer to one edge or the other in the third."""
    film = sensed_film(shift=shift, place=(100.0, 100.0), red=(0.2, 0.2, 0.2, 0.2))
    cells = film[0].filter((pl.col("well") != "A01") | (pl.col("frame") <= 3))
    assert of_well((cells, *film[1:]))["reason"] == reason


@pytest.mark.parametrize("place", [(5.0, 300.0), (595.0, 300.0), (300.0, 5.0), (300.0, 595.0)])
def test_each_of_the_four_edges_is_one(place):
    assert ended(track([1, 2, 3], place=place)) == (False, "left_field", 24.0)


def test_cells_that_do_not_count_change_no_track():
    """Cells without a track, unusable frames, other wells: with a sensor of 1e9 in each."""
    cells, fields, conditions = sensed_film()
    plain, threshold = plate_tracks(cells, fields, conditions, DeathSettings("gedi"))
    absurd = pl.lit(1e9).alias("soma_mean_death")
    untracked = cells.with_columns(absurd, pl.lit(None, pl.Int64).alias("track"))
    blind = fields.filter(pl.col("frame") == 4).with_columns(
        frame=pl.lit(5, pl.Int64), usable=pl.lit(value=False)
    )
    unseen = cells.filter(pl.col("frame") == 4).with_columns(
        absurd, frame=pl.lit(5, pl.Int64), y_um=pl.lit(-1e9)
    )
    treated = cells.filter(pl.col("well") == "A01").with_columns(absurd, well=pl.lit("B01"))
    other = fields.filter(pl.col("well") == "A01").with_columns(well=pl.lit("B01"))
    named = conditions.filter(pl.col("well") == "A01").with_columns(well=pl.lit("B01"))
    table, again = plate_tracks(
        pl.concat([cells, untracked, unseen, treated]),
        pl.concat([fields, blind, other]).sort("well", "field", "frame"),
        pl.concat([conditions, named]),
        DeathSettings("gedi"),
    )
    assert again == threshold
    assert (
        table.filter(pl.col("well") != "B01")
        .sort("well", "track")
        .equals(plain.sort("well", "track"))
    )
