from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segmentation.phantoms.scenery import (
    Clutter,
    add_debris,
    add_flat_cell,
    add_haze,
    add_lint,
    add_spindle,
)

UM = 2.0


def rng(seed=0):
    return np.random.default_rng(seed)


def planes(count=1):
    return [np.zeros((200, 200), np.float32) for _ in range(count)]


def test_the_textbook_has_no_clutter():
    assert set(dataclasses.asdict(Clutter()).values()) == {0.0}


@pytest.mark.parametrize("seed", range(4))
def test_a_spindle_is_bright_in_both_channels_and_returns_its_nucleus(seed):
    tubulin, dna = planes(2)
    nucleus = add_spindle(rng(seed), tubulin, dna, UM)
    assert nucleus.shape == (64, 2)
    extent = np.ptp(nucleus, axis=0) / UM
    assert 6 < extent.max() < 19  # semi-axes of 3.5 to 9 µm
    assert tubulin.max() > 50
    y, x = np.nonzero(dna)
    if len(y):
        assert y.min() >= np.floor(nucleus[:, 0].min())
        assert x.max() <= np.ceil(nucleus[:, 1].max())


def test_a_flat_cell_is_dim():
    (plane,) = planes()
    add_flat_cell(rng(1), plane, UM)
    assert 5 < plane.max() < 1200
    assert plane.min() >= 0


def test_debris_is_in_one_channel_or_in_all():
    touched = []
    for seed in range(12):
        drawn = planes(3)
        add_debris(rng(seed), drawn, UM)
        touched.append(sum(bool(plane.any()) for plane in drawn))
    assert set(touched) - {0} == {1, 3}


def test_lint_glares_in_every_channel():
    drawn = planes(3)
    add_lint(rng(2), drawn, UM)
    assert all(plane.max() > 100 for plane in drawn)


def test_without_clutter_haze_changes_nothing():
    plane = rng().random((200, 200)).astype(np.float32)
    assert np.array_equal(add_haze(rng(), plane, UM, 60.0, Clutter()), plane)


@pytest.mark.parametrize("part", ["haze_texture", "speckle", "defocus"])
def test_haze_only_adds_light(part):
    plane = np.full((200, 200), 100, np.float32)
    hazy = add_haze(rng(3), plane, UM, 60.0, Clutter(**{part: 0.5}))
    assert hazy.shape == plane.shape
    assert (hazy >= plane - 1e-3).all()
    assert hazy.mean() > plane.mean() + 0.4
