from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segmentation.phantoms.films import Film, film_truth, render_film
from segmentation.phantoms.render import Optics

OPTICS = Optics(shape=(200, 200), pixel_size_um=1.3)
FILM = Film(frames=4, hazard_per_h=0.0, debris_per_frame=0.0)


def frames(film, seed=1):
    return [f.pixels.astype(float) for f in render_film(film, OPTICS, seed)]


def around(image, truth, frame, reach=4):
    """Mean brightness about each neuron's place."""
    found = []
    for y, x in ((truth.start_um + truth.drift_um[frame]) / OPTICS.pixel_size_um).astype(int):
        if reach < y < 199 - reach and reach < x < 199 - reach:
            found.append(image[y - reach : y + reach + 1, x - reach : x + reach + 1].mean())
    return np.array(found)


def test_truth_is_the_same_twice_and_starts_without_drift():
    one, again = (film_truth(Film(), OPTICS, 3) for _ in range(2))
    assert np.array_equal(one.start_um, again.start_um)
    assert np.array_equal(one.drift_um[0], [0, 0])
    assert one.drift_um.shape == (10, 2)
    assert len(one.death_h) == len(one.start_um) > 2
    apart = np.hypot(
        *(one.start_um[:, None] - one.start_um[None]).transpose(2, 0, 1)
    ) + 100 * np.eye(len(one.start_um))
    assert apart.min() > 28


def test_hours_of_death_are_exponential_with_the_hazard():
    many = np.concatenate(
        [
            film_truth(Film(hazard_per_h=0.01), Optics(shape=(1000, 1000)), s).death_h
            for s in range(12)
        ]
    )
    assert many.mean() == pytest.approx(100, rel=4 / np.sqrt(len(many)))
    assert np.isinf(film_truth(FILM, OPTICS, 1).death_h).all()


def test_a_film_has_its_frames_and_repeats():
    film = list(render_film(FILM, OPTICS, 1))
    assert len(film) == 4
    assert {f.roles for f in film} == {("neurite", "death")}
    assert {f.pixel_size_um for f in film} == {1.3}
    assert np.array_equal(film[2].pixels, list(render_film(FILM, OPTICS, 1))[2].pixels)


def test_the_living_stay_green_where_the_drift_puts_them():
    truth, film = film_truth(FILM, OPTICS, 1), frames(FILM)
    dark = np.median(film[0][0])
    for t in range(4):
        assert (around(film[t][0], truth, t) > dark + 200).all()


def test_the_dead_vanish_or_turn_red():
    dying = replace(FILM, hazard_per_h=10.0)
    truth = film_truth(dying, OPTICS, 1)
    gone, red = frames(dying)[2], frames(replace(dying, vanish=False))[2]
    dark = np.median(gone[0])
    assert (around(gone[0], truth, 2) < dark + 30).all()
    assert (around(red[1], truth, 2) > dark + 200).all()
    alive = frames(FILM)[2]
    assert around(red[1], truth, 2).mean() > 2 * around(alive[1], truth, 2).mean() - dark


def test_the_lost_leave_after_the_first_frame():
    film = frames(replace(FILM, lost_per_frame=1.0))
    assert film[0][0].std() > 3 * film[1][0].std()


def test_a_blurred_frame_has_no_edges():
    steps = [np.abs(np.diff(f[0], axis=1)).max() for f in frames(replace(FILM, blurred=(2,)))]
    assert steps[1] < 0.5 * min(steps[0], steps[2], steps[3])


def test_debris_settles_and_stays():
    counts = [
        (f[0] > 600).sum()
        for f in frames(replace(FILM, neurons_per_mm2=0.0, debris_per_frame=30.0))
    ]
    assert counts[0] == 0
    assert counts[1] < counts[2] < counts[3]


def test_a_plate_that_was_put_back_lies_where_the_truth_says():
    moved = replace(FILM, drift_um=2.0, reseated=3, reseat_um=(40.0, -25.0), reseat_deg=3.0)
    truth, film = film_truth(moved, OPTICS, 1), frames(moved)
    assert truth.turn_deg.tolist() == [0, 0, 3, 3]
    assert truth.drift_um[2] - truth.drift_um[1] == pytest.approx([40, -25], abs=8)
    # Counter-clockwise about the centre: what lay to the right of it lies higher.
    right = truth.centre_um + np.array([0.0, 100.0])
    assert truth.seen_um(right, 2) - truth.drift_um[2] == pytest.approx(
        truth.centre_um + 100 * np.array([-np.sin(np.deg2rad(3)), np.cos(np.deg2rad(3))])
    )
    dark = np.median(film[0][0])
    for t in range(4):
        places = truth.seen_um(truth.start_um, t) / OPTICS.pixel_size_um
        inside = places[((places > 6) & (places < 193)).all(axis=1)].astype(int)
        assert len(inside) > 2
        for y, x in inside:
            assert film[t][0][y - 4 : y + 5, x - 4 : x + 5].mean() > dark + 200
    outside = ((truth.start_um < 0) | (truth.start_um > 260)).any(axis=1)
    assert outside.sum() > 2
