"""Where the neurons of a film ended, and what became of a compound's in sentences."""

from __future__ import annotations

import polars as pl
import pytest

from imaging_service.web.pages.films import ended_tracks, no_survival, survival_sentences
from tests.messages import states

FIELD_UM, PIXEL_UM = 400.0, 0.5


def frames_of(drift=(0.0, 10.0, 20.0)):
    return pl.DataFrame(
        {
            "frame": [1, 2, 3],
            "time_h": [0.0, 12.0, 24.0],
            "height_um": [FIELD_UM] * 3,
            "width_um": [FIELD_UM] * 3,
            "drift_y_um": list(drift),
            "drift_x_um": [0.0] * 3,
            "turn_deg": [0.0, None, 0.0],
        }
    )


def tracks_of(*rows):
    names = ("track", "event", "reason", "exit_h", "included", "excluded_reason")
    return pl.DataFrame(dict(zip(names, zip(*rows, strict=True), strict=True)))


CELLS = pl.DataFrame(
    {
        "track": [1, 1, 2],
        "frame": [1, 2, 1],
        "y_um": [100.0, 111.0, 50.0],
        "x_um": [60.0, 60.0, 70.0],
    }
)


def test_a_death_is_at_its_time_point_and_follows_the_stage_where_it_is_seen_no_more():
    died, lost = ended_tracks(
        tracks_of(
            (2, False, "lost", 24.0, False, "rejected"),
            (1, True, "", 12.0, True, ""),
            (3, False, "end_of_study", 24.0, True, ""),
        ),
        CELLS,
        frames_of(),
        PIXEL_UM,
    )
    assert (died.track, died.died, died.frame, died.hours, died.left_out) == (1, True, 2, 12.0, "")
    # In pixels; at the third it lies where it was last seen, moved with the field.
    assert died.places == {1: (200.0, 120.0), 2: (222.0, 120.0), 3: (242.0, 120.0)}
    assert (lost.track, lost.died, lost.reason, lost.frame) == (2, False, "lost", 3)
    assert lost.left_out == "rejected"
    assert lost.places[3] == (140.0, 140.0)


@pytest.mark.parametrize(
    "tracks",
    [
        tracks_of((3, False, "end_of_study", 24.0, True, "")),
        # Without a cell there is no place to show.
        tracks_of((9, True, "", 12.0, True, "")),
    ],
)
def test_what_lived_or_was_never_seen_is_not_among_them(tracks):
    assert ended_tracks(tracks, CELLS, frames_of(), PIXEL_UM) == []


def test_a_refused_ratio_gives_its_reason():
    row = {
        "line": "L1",
        "compound": "x",
        "dose_molar": 1e-6,
        "status": "too_few_events",
        "reason": "2 deaths in vehicle",
        "hazard_ratio": None,
        "hr_low": None,
        "hr_high": None,
        "n_events_treated": 4,
        "n_tracks_treated": 76,
        "n_events_vehicle": 2,
        "n_tracks_vehicle": 49,
    }
    assert states("film.no_ratio", survival_sentences([row])[0])
    no_interval = row | {"status": "too_few_wells", "hazard_ratio": 2.0}
    assert states("film.no_interval", survival_sentences([no_interval])[0])


def test_a_film_without_a_curve_says_why():
    included = tracks_of((1, False, "", 24.0, True, ""), (2, True, "", 24.0, True, ""))
    left_out = included.with_columns(included=False, excluded_reason=pl.lit("dead at first"))
    assert no_survival(included, 1, []) == ""
    assert states("films.no_track", no_survival(included.clear(), 0, []))
    assert states("films.none_takes_part", no_survival(left_out, 0, []))
    known = [{"check": "death", "status": "ok", "reason": ""}]
    assert states("films.no_arm", no_survival(included, 0, known))
    unknown = [{"check": "death", "status": "not_assessable", "reason": "no killed well"}]
    assert no_survival(included, 0, unknown) == "No survival curve: no killed well."
