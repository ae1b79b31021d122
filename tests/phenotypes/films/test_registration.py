"""Where a plate that drifts, or was taken out and put back, lies in each frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from phenotypes.films.registration import register, sharp_frames
from phenotypes.films.tracking import TrackSettings
from segmentation.phantoms.films import Film, film_truth, render_film
from segmentation.phantoms.render import Optics

OPTICS = Optics(shape=(400, 400), pixel_size_um=0.9)
WIDER = Optics(shape=(560, 560), pixel_size_um=0.9)
NO_CELLS = [np.zeros((0, 2))]


def drawn(film, optics, seed, missed=0.1):
    """(frames, cells, truth): the cells as segmentation gives them, some missed, moved as drawn."""
    rng = np.random.default_rng(seed)
    truth = film_truth(film, optics, seed)
    side = np.array(optics.shape) * optics.pixel_size_um
    crawled = np.zeros_like(truth.start_um)
    cells = []
    for frame in range(film.frames):
        crawled += rng.normal(0, film.crawl_um, crawled.shape) * (frame > 0)
        alive = truth.death_h > frame * film.interval_h
        places = truth.seen_um(truth.start_um + crawled, frame)
        seen = ((places > 5) & (places < side - 5)).all(axis=1)
        cells.append(places[alive & seen & (rng.random(len(places)) > missed)])
    return [f.channel("neurite") for f in render_film(film, optics, seed)], cells, truth


@pytest.mark.parametrize(
    ("shift", "turn", "crawl", "hazard"),
    [
        ((20.0, 0.0), 0.0, 1.0, 0.01),
        ((80.0, 0.0), 0.0, 1.0, 0.0),
        ((-56.0, 56.0), 0.0, 3.0, 0.01),
        ((0.0, 0.0), 0.5, 1.0, 0.0),
        ((0.0, 0.0), 2.5, 1.0, 0.01),
        ((0.0, 0.0), -3.0, 5.0, 0.01),
        ((150.0, -100.0), 3.0, 2.5, 0.01),
        ((-220.0, 30.0), -1.0, 2.0, 0.01),
    ],
)
def test_a_plate_that_was_put_back_is_placed_by_its_cells(shift, turn, crawl, hazard):
    film = Film(
        frames=5,
        neurons_per_mm2=170,
        hazard_per_h=hazard,
        crawl_um=crawl,
        reseated=4,
        reseat_um=shift,
        reseat_deg=turn,
    )
    frames, cells, truth = drawn(film, WIDER, 3)
    placed = register(frames, cells, [True] * 5, 0.9)
    assert placed.ok.all()
    # 0.7 degrees are 3 um at the middle of an edge, less than a cell crawls.
    assert np.abs(placed.turn_deg - truth.turn_deg).max() < (0.2 if crawl < 2 else 0.7)
    assert np.abs(placed.shift_um - truth.drift_um).max() < 2 + crawl
    assert np.isnan(placed.quality[0])
    assert placed.quality[1:].min() > 0.6
    assert placed.quality.max(initial=0, where=np.isfinite(placed.quality)) <= 1


def test_a_stage_that_only_drifts_is_not_turned():
    film = Film(frames=6, neurons_per_mm2=170, hazard_per_h=0.005, crawl_um=2)
    for seed in range(4):
        frames, cells, truth = drawn(film, WIDER, seed)
        placed = register(frames, cells, [True] * 6, 0.9)
        assert np.abs(placed.turn_deg).max() < 0.5
        assert (placed.turn_deg == 0).mean() > 0.6
        assert np.abs(placed.shift_um - truth.drift_um).max() < 4


def test_cells_that_lie_otherwise_place_no_frame():
    """Another well's cells, and another well's image."""
    one, other = (drawn(Film(frames=2, neurons_per_mm2=170), WIDER, seed) for seed in (1, 2))
    placed = register([one[0][0], other[0][0]], [one[1][0], other[1][0]], [True, True], 0.9)
    assert placed.ok.tolist() == [True, False]


def test_an_image_places_a_frame_with_too_few_cells():
    film = Film(frames=3, neurons_per_mm2=170, hazard_per_h=0, drift_um=8)
    frames, _, truth = drawn(film, WIDER, 1)
    placed = register(frames, NO_CELLS * 3, [True] * 3, 0.9)
    assert placed.ok.all()
    assert np.abs(placed.shift_um - truth.drift_um).max() < 2
    assert np.isnan(placed.quality).all()


def test_a_frame_farther_than_the_limit_is_not_placed():
    film = Film(frames=3, neurons_per_mm2=170, hazard_per_h=0, reseated=2, reseat_um=(150.0, 0.0))
    frames, cells, _ = drawn(film, WIDER, 1)
    limits = [TrackSettings(max_drift=share) for share in (0.2, 0.4)]
    assert [register(frames, cells, [True] * 3, 0.9, s).ok[1] for s in limits] == [False, True]


def test_turns_add_up_about_the_centre():
    """A plate turned twice: the second frame's shift is turned with it."""
    rng = np.random.default_rng(0)
    centre, side = np.array([250.0, 250.0]), 500.0
    whole = rng.uniform(-100, 600, (400, 2))
    angles = np.deg2rad([0.0, 2.0, 4.0])
    moves = np.array([[0.0, 0.0], [40.0, 10.0], [60.0, -30.0]])
    cells = []
    for angle, move in zip(angles, moves, strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        places = (whole - centre) @ turn.T + centre + move
        cells.append(places[((places > 0) & (places < side)).all(axis=1)])
    blank = [rng.normal(0, 1, (500, 500)).astype(np.float32) for _ in angles]
    placed = register(blank, cells, [True] * 3, 1.0)
    assert np.rad2deg(angles) == pytest.approx(placed.turn_deg, abs=0.01)
    assert placed.shift_um == pytest.approx(moves, abs=0.05)
    assert all(after > before for before, after in pairwise(placed.turn_deg))


def test_drift_is_found_and_a_blurred_frame_is_no_reference():
    film = Film(frames=6, neurons_per_mm2=150, hazard_per_h=0.002, drift_um=8, blurred=(3,))
    frames = [f.channel("neurite") for f in render_film(film, OPTICS, 1)]
    found = register(frames, NO_CELLS * 6, [True, True, False, True, True, True], 0.9)
    assert found.ok.tolist() == [True, True, False, True, True, True]
    error = found.shift_um - film_truth(film, OPTICS, 1).drift_um
    assert np.abs(error[found.ok]).max() < 4


@pytest.mark.parametrize("value", [1e9, -1e9, float("nan")])
def test_pixels_of_a_frame_that_is_not_sharp_move_no_other(value):
    film = Film(frames=4, neurons_per_mm2=150, drift_um=8)
    frames = [f.channel("neurite") for f in render_film(film, OPTICS, 1)]
    sharp = [True, False, True, True]
    clean = register(frames, NO_CELLS * 4, sharp, 0.9)
    other = [frames[0], np.full(OPTICS.shape, value, np.float32), *frames[2:]]
    spoiled = register(other, NO_CELLS * 4, sharp, 0.9)
    assert spoiled.ok.tolist() == clean.ok.tolist() == sharp
    assert (spoiled.shift_um == clean.shift_um).all()


def test_a_frame_of_another_place_is_not_placed():
    here = [
        f.channel("neurite")
        for f in render_film(Film(frames=2, neurons_per_mm2=150, drift_um=0), OPTICS, 1)
    ]
    rng = np.random.default_rng(0)
    noise = rng.normal(300, 8, OPTICS.shape).astype(np.float32)
    found = register([here[0], noise, here[1]], NO_CELLS * 3, [True] * 3, 0.9)
    assert found.ok.tolist() == [True, False, True]


def test_focus_is_judged_beside_its_neighbours_in_time():
    assert sharp_frames([-2.0, -2.1, -4.0, -2.0, -2.2]) == [True, True, False, True, True]
    assert sharp_frames([-2.0, -2.2, -2.5, -2.8, -3.1, -3.4]) == [True] * 6
    assert sharp_frames([-2.0, -2.0, None, None, None]) == [True] * 5


def test_a_spectrum_that_jumps_for_good_makes_no_frame_before_it_blurred():
    """Of a well that keeps a handful of neurons; a frame called blurred hides its deaths."""
    assert sharp_frames([-2.77, -2.79, -2.78, -2.79, -1.16, -1.21]) == [True] * 6
    assert sharp_frames([-1.2, -1.2, -2.8, -2.8]) == [True] * 4


def test_a_frame_out_of_focus_is_seen_at_either_end_and_beside_another():
    assert sharp_frames([-4.0, -2.0, -2.1]) == [False, True, True]
    assert sharp_frames([-2.0, -2.1, -4.0]) == [True, True, False]
    assert sharp_frames([-2.0, -2.0, -4.0, -4.0, -2.0, -2.0]) == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert sharp_frames([-4.0, -2.0]) == [True, True]
