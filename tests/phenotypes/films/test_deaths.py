"""Each way in which a track can end."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.films.deaths import DEFINITIONS, DeathSettings, sensor_threshold, tracks_table, with_sensor

FRAMES = 8
FIELD = (600.0, 600.0)


def frames(unusable=()):
    return pl.DataFrame(
        {
            "frame": list(range(1, FRAMES + 1)), "time_h": [12.0 * f for f in range(FRAMES)],
            "usable": [f not in unusable for f in range(1, FRAMES + 1)], "y_um": [0.0] * FRAMES, "x_um": [0.0] * FRAMES,
        }
    )  # fmt: skip


def track(seen, place=(300.0, 300.0), conflict=(), **columns):
    n = len(seen)
    base = {
        "frame": list(seen), "y_um": [place[0]] * n, "x_um": [place[1]] * n, "track": [1] * n, "conflict": [f in conflict for f in seen],
        "soma_area_um2": [200.0] * n, "soma_form_factor": [0.6] * n, "sensor": [None] * n,
    }  # fmt: skip
    return pl.DataFrame(base | columns, schema_overrides={"sensor": pl.Float64})


def ended(objects, definition="reporter_loss", unusable=(), threshold=None):
    row = tracks_table(objects, frames(unusable), FIELD, DeathSettings(definition), threshold).to_dicts()[0]
    return row["event"], row["reason"], row["exit_h"]


def test_reporter_loss_needs_two_absent_frames():
    assert ended(track([1, 2, 3])) == (True, "", 36.0)
    assert ended(track(range(1, 9))) == (False, "end_of_study", 84.0)
    assert ended(track(range(1, 7))) == (True, "", 72.0)
    assert ended(track(range(1, 8))) == (False, "lost", 72.0)


def test_who_was_last_seen_at_the_edge_left_the_field():
    assert ended(track([1, 2, 3], place=(5.0, 300.0))) == (False, "left_field", 24.0)


def test_who_vanishes_with_the_focus_is_not_dead():
    assert ended(track([1, 2, 3]), unusable=(4,)) == (False, "focus_failure", 24.0)
    assert ended(track([1, 2, 3]), unusable=(2,))[0] is True


def test_who_merged_or_split_is_censored_there():
    assert ended(track([1, 2, 3], conflict=(3,))) == (False, "identity_conflict", 24.0)
    assert ended(track(range(1, 9), conflict=(4,))) == (False, "identity_conflict", 36.0)


@pytest.mark.parametrize("definition", ["gedi", "death_dye"])
def test_a_sensor_dates_the_death_and_a_lost_track_is_never_one(definition):
    red = [0.2, 0.2, 0.9, 0.9]
    assert ended(track([1, 2, 3, 4], sensor=red), definition, threshold=0.4) == (True, "", 24.0)
    assert ended(track([1, 2, 3], sensor=[0.2] * 3), definition, threshold=0.4) == (False, "lost", 24.0)
    with pytest.raises(ValueError, match="needs a threshold"):
        ended(track([1]), definition)


def test_a_conflict_before_death_censors_and_after_it_does_not():
    red = [0.2, 0.2, 0.2, 0.9, 0.9]
    assert ended(track([1, 2, 3, 4, 5], conflict=(2,), sensor=red), "gedi", threshold=0.4) == (False, "identity_conflict", 12.0)
    assert ended(track([1, 2, 3, 4, 5], conflict=(5,), sensor=red), "gedi", threshold=0.4) == (True, "", 36.0)


def test_a_track_that_jumps_to_a_dead_cell_is_censored_not_dead():
    """The neuron floated off and the track slipped to a neighbour that had died before."""
    red, place = [0.2, 0.2, 0.9, 0.9], [300.0, 300.0, 311.0, 311.0]
    assert ended(track([1, 2, 3, 4], sensor=red, y_um=place), "gedi", threshold=0.4) == (False, "identity_conflict", 24.0)
    assert ended(track([1, 2, 3, 4], sensor=red, y_um=[300.0, 301.0, 303.0, 303.0]), "gedi", threshold=0.4)[0] is True


def test_rounding_must_last():
    form, area = [0.6, 0.9, 0.6, 0.9, 0.9], [200.0, 100.0, 200.0, 100.0, 100.0]
    assert ended(track([1, 2, 3, 4, 5], soma_form_factor=form, soma_area_um2=area), "rounding") == (True, "", 36.0)
    assert ended(track([1, 2, 3, 4, 5], soma_form_factor=form), "rounding")[0] is False


def test_only_those_alive_in_the_first_usable_frame_are_included():
    late = tracks_table(track([3, 4, 5]), frames(), FIELD, DeathSettings(), None).to_dicts()[0]
    assert (late["included"], late["excluded_reason"]) == (False, "not present in the first usable frame")
    dead = tracks_table(track([1, 2], sensor=[0.9, 0.9]), frames(), FIELD, DeathSettings("gedi"), 0.4).to_dicts()[0]
    assert (dead["included"], dead["excluded_reason"]) == (False, "dead in the first usable frame")
    assert tracks_table(track([2, 3]), frames(unusable=(1,)), FIELD, DeathSettings(), None)["included"][0]


def test_the_threshold_is_a_quarter_of_the_way_to_dead():
    rng = np.random.default_rng(0)
    live, dead = rng.normal(0.2, 0.03, 100), rng.normal(1.0, 0.1, 60)
    found = sensor_threshold(live, dead)
    assert found.threshold == pytest.approx(0.25 * (dead.mean() - live.mean()) + live.mean())
    assert sensor_threshold(live, dead[:5]).threshold is None
    assert "5 in killed" in sensor_threshold(live, dead[:5]).reason
    assert "does not tell them apart" in sensor_threshold(live, live + 0.01).reason


def test_the_sensor_of_each_definition():
    cells = pl.DataFrame({"soma_mean_death": [10.0, 30.0, 5.0], "soma_mean_neurite": [100.0, 50.0, -1.0]})
    assert with_sensor(cells, "gedi")["sensor"].to_list() == [0.1, 0.6, None]
    assert with_sensor(cells, "death_dye")["sensor"].to_list() == [10.0, 30.0, 5.0]
    for definition in set(DEFINITIONS) - {"gedi", "death_dye"}:
        assert with_sensor(cells, definition)["sensor"].null_count() == 3
