"""What a correction of the illumination leaves over is told by fields that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field
from segmentation.filters.background import (
    Illumination,
    estimate_illumination,
    no_illumination,
)
from segmentation.filters.flat_field import depth, residual_depths, with_given
from segmentation.filters.light_profile import LightProfile
from tests.messages import says

SHAPE = (128, 128)
Y, X = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
BOWL = np.exp(-0.3 * (X**2 + Y**2))
TILT = np.exp(0.3 * X)


def lit(seed, profile):
    """Two channels of spots all over the field, the first under the lamp, the second even."""
    rng = np.random.default_rng(seed)
    spots = 400 * (rng.random(SHAPE) < 0.1).repeat(4, 0).repeat(4, 1)[: SHAPE[0], : SHAPE[1]]
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
    with pytest.raises(ValueError, match=says("light.no_field")):
        residual_depths([])


def test_the_depth_of_a_profile_is_its_brightest_over_its_darkest_place():
    profile = Illumination(((0.0, 0.0, 0.25, 0.0, 0.0, 0.0),), (True,), ("",))
    assert depth(profile, 0, SHAPE) == pytest.approx(np.exp(0.5))
    assert depth(no_illumination(1, "none"), 0, SHAPE) == 1.0


# The bowl to the fourth order, as an instrument states it: in pixels from the centre.
CENTRE, PER_PIXEL = (63.5, 63.5), (1 / 63.5, 1 / 63.5)
STATED = LightProfile(
    (
        (1.0,),
        (0.0, 0.0),
        (-0.3, 0.0, -0.3),
        (0.0,) * 4,
        (0.045, 0.0, 0.09, 0.0, 0.045),
    ),
    CENTRE,
    PER_PIXEL,
)


def test_the_instrument_s_profile_stands_in_place_of_the_estimated_one():
    assert np.abs(STATED.evaluate(SHAPE) / BOWL - 1).max() < 0.07
    fields = [lit(seed, BOWL) for seed in range(12)]
    estimated = estimate_illumination(fields)
    light, reasons = with_given(estimated, [STATED, None], fields)
    assert reasons == ("", "")
    assert (light.given, light.applied) == ((STATED, None), (True, False))
    assert np.allclose(light.profile(0, SHAPE), STATED.relative(SHAPE))
    parts = {"centre": (slice(48, 80),) * 2, "corner": (slice(0, 24),) * 2}
    rise = {name: [] for name in parts}
    for seed, field in enumerate(fields):
        plane = light.correct(field).pixels[0]
        spots = lit(seed, np.ones(SHAPE)).pixels[0] > 300
        for name, part in parts.items():
            rise[name].append(plane[part][spots[part]].mean() - plane[part][~spots[part]].mean())
    bright, dark = (np.mean(rise[name]) for name in parts)
    assert bright / dark == pytest.approx(1, abs=0.07)
    assert light.profile(1, SHAPE).tolist() == np.ones(SHAPE).tolist()


def test_few_fields_are_corrected_by_the_instrument_s_profile():
    fields = [lit(seed, BOWL) for seed in range(3)]
    light, reasons = with_given(estimate_illumination(fields), [STATED, None], fields)
    assert (light.applied, light.reasons[0], reasons) == ((True, False), "", ("", ""))


@pytest.mark.parametrize(
    ("profile", "part"),
    [
        (LightProfile(((1.0,), (0.0, 1.0)), CENTRE, PER_PIXEL), "above 0"),
        (LightProfile(((1.0,), (0.7, 0.0)), CENTRE, PER_PIXEL), "5.7-fold"),
        (LightProfile(((float("nan"),),)), "above 0"),
    ],
)
def test_a_profile_that_is_not_one_of_light_is_not_used(profile, part):
    fields = [lit(seed, BOWL) for seed in range(12)]
    estimated = estimate_illumination(fields)
    light, reasons = with_given(estimated, [profile, None], fields)
    assert light == estimated
    assert part in reasons[0]


def test_an_export_that_is_corrected_already_is_not_corrected_again():
    fields = [lit(seed, np.ones(SHAPE)) for seed in range(12)]
    estimated = estimate_illumination(fields)
    light, reasons = with_given(estimated, [STATED, None], fields)
    assert light == estimated
    assert [bool(why) for why in reasons] == [True, False]
