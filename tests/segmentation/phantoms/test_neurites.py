from __future__ import annotations

import numpy as np
import pytest

from segmentation.phantoms.neurites import Neurites, add_growth_cone, draw_neurite
from segmentation.phantoms.scenery import Clutter

UM = 2.0
TEXTBOOK = Clutter()


def grower(clutter=TEXTBOOK, seed=0, per_neuron=3):
    canvas = np.zeros((600, 600), np.float32)
    return Neurites(
        np.random.default_rng(seed),
        np.random.default_rng(seed + 1),
        180.0,
        per_neuron,
        clutter,
        UM,
        0.9,
        8.0,
        canvas,
    )


def length_um(line):
    return np.hypot(*np.diff(line, axis=0).T).sum() / UM


def test_a_textbook_neuron_grows_its_neurites_and_they_are_drawn():
    neurites = grower()
    neurites.grow_from(7, np.array([300.0, 300.0]))
    assert neurites.owners == [7, 7, 7]
    assert all(1.0 <= width <= 1.8 for width in neurites.widths)
    assert all(np.array_equal(line[0], [300, 300]) for line in neurites.lines)
    assert neurites.tubulin.max() >= 300
    assert neurites.tubulin[300, 300] == 0  # the nucleus stays free


def test_neurites_have_the_mean_length_asked_for_beyond_the_soma():
    totals = []
    for seed in range(150):
        neurites = grower(seed=seed)
        neurites.grow_from(1, np.array([300.0, 300.0]))
        totals.append(sum(length_um(line) - 8.5 for line in neurites.lines))
    # A gamma of shape 6: its spread is 180 / √6.
    assert np.mean(totals) == pytest.approx(180, abs=4 * 180 / np.sqrt(6 * 150))


def test_branches_bundles_and_pieces_belong_to_their_neuron():
    neurites = grower(Clutter(branches_per_100um=3.0, bundles=1.0, fragmentation=1.0, wander=0.05))
    neurites.grow_from(4, np.array([300.0, 300.0]))
    assert len(neurites.lines) == len(neurites.owners) == len(neurites.widths) > 6
    assert set(neurites.owners) == {4}


def test_what_passes_through_belongs_to_nobody_in_view():
    neurites = grower()
    for _ in range(5):
        neurites.pass_through()
    assert set(neurites.owners) == {0}
    assert neurites.tubulin.any()


LINE = np.stack([np.full(41, 30.0), np.linspace(10, 90, 41)], axis=1)


def test_a_drawn_neurite_lies_on_its_line():
    canvas = np.zeros((60, 100), np.float32)
    draw_neurite(np.random.default_rng(0), canvas, LINE, 3.0, 400.0)
    assert 200 < np.median(canvas[30, 15:80]) < 900
    assert not canvas[:20].any()
    draw_neurite(np.random.default_rng(0), canvas, LINE[:1], 3.0, 400.0)  # a point is no line


def test_beads_stand_out_of_a_fainter_line():
    plain, beaded = np.zeros((2, 60, 100), np.float32)
    draw_neurite(np.random.default_rng(0), plain, LINE, 2.0, 400.0)
    draw_neurite(np.random.default_rng(0), beaded, LINE, 2.0, 400.0, beads=15.0)
    along = beaded[30, 15:80]
    assert np.percentile(along, 20) < 0.7 * np.percentile(plain[30, 15:80], 20)
    assert along.max() > 2 * np.median(along)


def test_a_growth_cone_fans_out_ahead_of_the_tip():
    canvas = np.zeros((60, 100), np.float32)
    add_growth_cone(np.random.default_rng(0), canvas, LINE[:21], UM, 400.0)
    _, x = np.nonzero(canvas)
    assert x.min() >= 48
    assert canvas.max() > 100
