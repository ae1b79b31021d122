"""What a correction of the illumination leaves over is told by fields that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field
from segmentation.filters.background import Illumination, no_illumination
from segmentation.filters.flat_field import depth, residual_depths

SHAPE = (128, 128)
Y, X = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
BOWL = np.exp(-0.3 * (X**2 + Y**2))
TILT = np.exp(0.3 * X)


def lit(seed, profile):
    """Two channels of spots all over the field, the first under the lamp, the second even."""
    rng = np.random.default_rng(seed)
    spots = 400 * (rng.random(SHAPE) < 0.3).repeat(4, 0).repeat(4, 1)[: SHAPE[0], : SHAPE[1]]
    planes = [rng.normal(100 + spots * p, 3) for p in (profile, np.ones(SHAPE))]
    return Field(np.stack(planes).astype(np.float32), ("dna", None), 0.65)


def test_nothing_is_left_of_a_lamp_that_all_fields_share():
    left, even = residual_depths([lit(seed, BOWL) for seed in range(16)])
    # Of 1.82; the rest is the error of two estimates from eight fields of 128² pixels each.
    assert 1 <= left <= 1.1
    assert even is None


def test_a_lamp_that_changes_between_fields_is_left_over():
    fields = [lit(seed, BOWL if seed % 2 == 0 else TILT) for seed in range(16)]
    left, _ = residual_depths(fields)
    # Corrected by the bowl, the tilted fields keep the tilt over the bowl.
    both = TILT / BOWL
    assert left == pytest.approx(both.max() / both.min(), rel=0.1)


def test_too_few_fields_tell_nothing():
    assert residual_depths([lit(seed, BOWL) for seed in range(15)]) == (None, None)
    with pytest.raises(ValueError, match="^no field"):
        residual_depths([])


def test_the_depth_of_a_profile_is_its_brightest_over_its_darkest_place():
    profile = Illumination(((0.0, 0.0, 0.25, 0.0, 0.0, 0.0),), (True,), ("",))
    assert depth(profile, 0, SHAPE) == pytest.approx(np.exp(0.5))
    assert depth(no_illumination(1, "none"), 0, SHAPE) == 1.0
