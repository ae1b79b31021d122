from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging_service.ingest import plan_scan
from imaging_service.ingest.optics.flat_field import read_flat_field
from imaging_service.protocol import Acquisition
from segmentation.filters.light_profile import LightProfile
from tests.messages import says
from tests.vendor_scans import harmony


def profiles(reference, place):
    text = (reference / "vendor" / place).read_text("utf-8-sig")
    return re.findall(r"<FlatfieldProfile>(.*?)</FlatfieldProfile>", text, re.DOTALL)


@pytest.mark.parametrize(
    ("place", "side"),
    [
        ("harmony_v5_phenix/Index.idx.xml", 1080),
        ("harmony_v7_phenix/Index.xml", 2160),
        ("operetta_v5/Images/Index.idx.xml", 1080),
    ],
)
def test_real_profiles_are_bright_in_the_centre_and_dark_in_the_corners(reference, place, side):
    texts = profiles(reference, place)
    assert texts
    curved = [p for t in texts if (p := read_flat_field(t)).coefficients]
    assert len(curved) + sum("Identity" in t for t in texts) == len(texts)
    for profile in curved:
        light = profile.evaluate((side, side))
        assert 1.1 < light[side // 2, side // 2] < 1.4
        for corner in (light[0, 0], light[0, -1], light[-1, 0], light[-1, -1]):
            assert 0.2 < corner < 0.8
        assert light.mean() == pytest.approx(1, abs=1e-3)


def test_x_is_the_column_and_comes_first():
    light = LightProfile(((1.0,), (0.1, 0.02)), (1.0, 0.0), (1.0, 1.0)).evaluate((2, 3))
    assert light == pytest.approx(np.array([[0.9, 1.0, 1.1], [0.92, 1.02, 1.12]]))


def test_a_profile_without_coefficients_is_flat():
    assert (LightProfile().evaluate((2, 3)) == 1).all()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{Background: {Profile: {Type: Spline}}}",
        "{Background: {Profile: {Coefficients: [[1], [2]], Origin: [0, 0], Scale: [1, 1], Type: Polynomial}}}",
        "{Background: {Profile: {Coefficients: [[NaN]], Origin: [0, 0], Scale: [1, 1], Type: Polynomial}}}",
        "{Background: {Profile: {Coefficients: [[1]], Origin: [0], Scale: [1, 1], Type: Polynomial}}}",
        "[" * 1000,
    ],
)
def test_what_is_no_profile_is_refused(text):
    with pytest.raises(ValueError, match=says("flat_field.unreadable")):
        read_flat_field(text)


@given(st.text(st.sampled_from('{}[]:,"a1 .-'), max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        read_flat_field(text)
    except ValueError:
        return


def test_the_plan_of_a_harmony_scan_has_its_profiles(tmp_path):
    plan = plan_scan(harmony(7, tmp_path), Acquisition())
    assert set(plan.flat_fields) == set(plan.channels)
    assert plan.flat_fields["Alexa 568"] == LightProfile()
    assert plan.flat_fields["Alexa 488"].coefficients[0] == (1.2132,)
