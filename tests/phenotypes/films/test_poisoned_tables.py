"""Cells and frames of a film that must not count are given absurd values; the tracks of all others
must be exactly the same.
"""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenotypes.films.deaths import DeathSettings, plate_tracks
from phenotypes.films.hazard import hazard_table, well_survival
from tests.messages import states
from tests.phenotypes.drawn_films import CONDITIONS, FRAMES, film

NUMBERS = [1e9, -1e9]
# A death dye is read as GEDI is.
DEFINITIONS = ["reporter_loss", "rounding", "gedi"]
PLACES = ["y_um", "x_um"]
SENSOR = ["soma_mean_death", "soma_mean_neurite"]
SHAPE = ["soma_area_um2", "soma_form_factor"]
CONTROL = pl.col("well").replace_strict(dict(CONDITIONS.select("well", "control").rows()))
OTHER_LINE = pl.col("well").replace_strict(dict(CONDITIONS.select("well", "line").rows())) == "TDP"


@cache
def drawn():
    return film(unusable=(3,))


def poisoned(table, where, value, names):
    return table.with_columns(
        pl.when(where).then(pl.lit(value, pl.Float64)).otherwise(pl.col(n)).alias(n) for n in names
    )


def tracked(cells, fields, definition="gedi"):
    table, threshold = plate_tracks(cells, fields, CONDITIONS, DeathSettings(definition))
    assert len(table)
    return table, threshold


@cache
def clean_tracks(definition="gedi"):
    return tracked(*drawn(), definition)


def same(clean, spoiled, where=None):
    if where is not None:
        clean, spoiled = clean.filter(where), spoiled.filter(where)
    assert len(clean)
    assert_frame_equal(clean, spoiled, check_exact=True)


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_cells_of_no_track_and_of_unusable_frames_end_no_track(definition, value):
    cells, fields = drawn()
    blurred, stray = pl.col("frame") == 3, pl.col("track").is_null()
    lost = cells.head(40).with_columns(pl.lit(None, pl.Int64).alias("track"))
    spoiled = poisoned(pl.concat([cells, lost]), stray, value, [*PLACES, *SENSOR, *SHAPE])
    clean = clean_tracks(definition)
    moved = poisoned(fields, blurred, value, ["drift_y_um", "drift_x_um", "turn_deg"])
    for answer in (tracked(spoiled, fields, definition), tracked(cells, moved, definition)):
        same(clean[0], answer[0])
        assert clean[1] == answer[1]
    # A track that goes through a blurred frame is not read there.
    through = cells.with_columns(pl.col("label").alias("track"))
    read = tracked(
        poisoned(through, blurred, value, [*PLACES, *SENSOR, *SHAPE]), fields, definition
    )
    same(clean[0], read[0])


@pytest.mark.parametrize("value", [*NUMBERS, float("nan")])
def test_the_threshold_is_of_live_cells_at_the_start_and_killed_ones_at_the_end(value):
    cells, fields = drawn()
    ends = ((CONTROL == "vehicle") & (pl.col("frame") == 1)) | (
        (CONTROL == "positive") & (pl.col("frame") == FRAMES)
    )
    clean = clean_tracks()[1]
    # One cell in twenty is dead at the start.
    assert clean.threshold == pytest.approx(0.24 + 0.25 * 0.76, abs=0.02)
    assert tracked(poisoned(cells, ~ends, value, SENSOR), fields)[1] == clean


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_track_is_of_its_own_well_and_field(definition, value):
    """But for the sensor's threshold, which is the plate's."""
    cells, fields = drawn()
    others = (pl.col("well") != "B07") | (pl.col("field") == 2)
    spoiled = poisoned(cells, others, value, [*PLACES, *SHAPE])
    moved = poisoned(fields, others, value, ["drift_y_um", "turn_deg", "height_um"])
    same(clean_tracks(definition)[0], tracked(spoiled, moved, definition)[0], ~others)


@pytest.mark.parametrize("value", [0.5, 1e9])
def test_hazards_and_survival_are_of_included_tracks_and_the_own_line(value):
    table = clean_tracks()[0]
    late = ~pl.col("included")
    (reason,) = table.filter(late)["excluded_reason"].unique()
    assert states("deaths.dead_at_once", reason)
    names = ["exit_h", "entry_h", "study_end_h"]
    for function in (hazard_table, well_survival):
        same(function(table), function(poisoned(table, late, value, names)))
    other = poisoned(table, OTHER_LINE, value, ["exit_h"])
    clean, spoiled = (hazard_table(t).drop("q_value") for t in (table, other))
    same(clean, spoiled, pl.col("line") == "HC")
    same(well_survival(table), well_survival(other), ~OTHER_LINE)
