from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.films.tracking import TrackSettings, link


def objects(rows):
    table = pl.DataFrame(rows, ["frame", "y_um", "x_um", "soma_area_um2"], orient="row")
    return table.with_columns(pl.int_range(1, pl.len() + 1).over("frame").alias("label"))


@pytest.mark.parametrize("area", [1e9, -1e9, 0.0, None])
def test_a_soma_far_away_moves_no_track(area):
    rng = np.random.default_rng(0)
    near = [
        (f, 100.0 + rng.normal(0, 2), x + rng.normal(0, 2), 150.0)
        for f in range(1, 7)
        for x in (50.0, 100.0, 150.0)
    ]
    # One of the three is lost in frame 4, and another begins in frame 5 beside one that goes on.
    near = [r for i, r in enumerate(near) if not (r[0] >= 4 and i % 3 == 0)] + [
        (5, 110.0, 150.0, 80.0),
        (6, 110.0, 150.0, 80.0),
    ]
    near.sort(key=lambda r: r[0])

    def linked(far):
        rows = sorted(
            near + [(f, 900.0, 900.0, far if f % 2 else 150.0) for f in range(1, 7)],
            key=lambda r: (r[0], r[1]),
        )
        return link(objects(rows), TrackSettings())

    clean, spoiled = linked(150.0), linked(area)
    kept = pl.col("y_um") < 500
    assert spoiled.filter(kept).equals(clean.filter(kept))
    assert not spoiled.filter(~kept)["conflict"].any()


def test_neurons_that_crawl_keep_their_track():
    rng = np.random.default_rng(0)
    place = np.array([(y, x) for y in range(40, 400, 40) for x in range(40, 400, 40)], float)
    rows = []
    for frame in range(1, 9):
        place = place + rng.normal(0, 3, place.shape)
        rows += [(frame, y, x, 150.0) for y, x in place]
    linked = link(objects(rows), TrackSettings())
    assert linked["track"].n_unique() == 81
    assert linked.group_by("track").len()["len"].to_list() == [8] * 81
    assert not linked["conflict"].any()
    # One track is one neuron: labels were given in the same order in every frame.
    assert linked.group_by("track").agg(pl.col("label").n_unique())["label"].to_list() == [1] * 81


def test_a_missed_frame_and_an_unusable_one_are_bridged():
    rows = [(f, 100.0, 100.0, 150.0) for f in (1, 2, 4, 5, 8)] + [
        (f, 200.0, 200.0, 150.0) for f in (1, 2, 3, 4, 5, 8)
    ]
    # Frames 6 and 7 are unusable and absent for all; frame 3 was missed for one only.
    assert link(objects(rows), TrackSettings())["track"].n_unique() == 2


def test_numbers_follow_the_first_appearance():
    rows = [
        (1, 300.0, 300.0, 150.0),
        (1, 50.0, 50.0, 150.0),
        (2, 50.0, 50.0, 150.0),
        (2, 300.0, 300.0, 150.0),
        (2, 150.0, 150.0, 150.0),
    ]
    linked = link(objects(rows), TrackSettings()).sort("frame", "label")
    assert linked["track"].to_list() == [1, 2, 2, 1, 3]


def test_a_merge_and_a_split_are_conflicts_and_a_death_is_none():
    merged = [
        (1, 100.0, 100.0, 150.0),
        (1, 112.0, 100.0, 150.0),
        (2, 104.0, 100.0, 300.0),
        (3, 104.0, 100.0, 300.0),
    ]
    alone = [(f, 300.0, 300.0, 150.0) for f in (1, 2, 3)] + [(1, 320.0, 300.0, 150.0)]
    linked = link(objects(merged + alone), TrackSettings())
    flagged = linked.filter("conflict")
    assert flagged.select("frame", "y_um").rows() == [(1, 112.0)]
    split = [
        (1, 100.0, 100.0, 300.0),
        (2, 97.0, 100.0, 150.0),
        (2, 109.0, 100.0, 150.0),
        (3, 97.0, 100.0, 150.0),
        (3, 109.0, 100.0, 150.0),
    ]
    flagged = link(objects(split), TrackSettings()).filter("conflict")
    assert flagged.select("frame", "y_um").rows() == [(2, 97.0)]


def test_nothing_to_link():
    empty = pl.DataFrame(
        schema={
            "frame": pl.Int64,
            "label": pl.Int64,
            "y_um": pl.Float64,
            "x_um": pl.Float64,
            "soma_area_um2": pl.Float64,
        }
    )
    assert link(empty, TrackSettings()).columns[-2:] == ["track", "conflict"]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_objects_give_the_same_tracks(seed):
    rng = np.random.default_rng(seed)
    rows = [(f, *rng.uniform(0, 300, 2), 150.0) for f in range(1, 6) for _ in range(30)]
    assert link(objects(rows), TrackSettings()).equals(link(objects(rows), TrackSettings()))
