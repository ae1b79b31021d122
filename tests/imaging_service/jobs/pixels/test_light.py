"""What corrects the light of a plate, and what of it is left."""

from __future__ import annotations

import numpy as np
import pytest

from imaging_service.jobs.pixels.light import correction
from segmentation.filters.light_profile import LightProfile
from tests.messages import states
from tests.segmentation.filters.test_flat_field import BOWL, SHAPE, STATED, lit

CHANNELS = ("DAPI", "Cy5")


@pytest.fixture(scope="module")
def fields():
    return [lit(seed, BOWL) for seed in range(16)]


def test_the_instrument_s_profile_comes_first_then_the_estimated_one(fields):
    given = correction(fields, CHANNELS, {"DAPI": STATED}, "auto")
    assert (given.sources, given.notes) == (("instrument", "none"), ())
    stated = STATED.evaluate(SHAPE)
    assert given.depths == (pytest.approx(float(stated.max() / stated.min())), 1.0)
    assert 1 <= given.left[0] <= 1.15
    estimated = correction(fields, CHANNELS, {}, "auto")
    assert estimated.sources == ("estimated", "none")
    assert estimated.depths[0] == pytest.approx(BOWL.max() / BOWL.min(), rel=0.1)
    assert 1 <= estimated.left[0] <= 1.1
    assert estimated.left[1] is None
    assert correction(fields, CHANNELS, {"DAPI": STATED}, "estimated") == estimated


def test_nothing_is_corrected_where_the_protocol_says_so(fields):
    off = correction(fields, CHANNELS, {"DAPI": STATED}, "none")
    assert (off.sources, off.depths, off.left) == (("none",) * 2, (1.0, 1.0), (None, None))
    assert off.illumination.correct(fields[0]) is fields[0]
    assert "acquisition.flat_field" in off.illumination.reasons[0]


def test_a_profile_that_is_not_used_is_a_note(fields):
    wrong = LightProfile(((-1.0,),))
    noted = correction(fields, CHANNELS, {"DAPI": wrong}, "auto")
    assert noted.sources == ("estimated", "none")
    (note,) = noted.notes
    assert states("light.not_used", note, channel="DAPI")


def test_without_a_field_nothing_is_corrected():
    assert correction([], CHANNELS, {"DAPI": STATED}, "auto").sources == ("none", "none")


def test_a_channel_is_found_by_its_name(fields):
    swapped = [f.pixels[::-1] for f in fields]
    from segmentation import Field

    turned = [Field(np.ascontiguousarray(p), (None, "dna"), 0.65) for p in swapped]
    given = correction(turned, ("Cy5", "DAPI"), {"DAPI": STATED}, "auto")
    assert given.sources == ("none", "instrument")
