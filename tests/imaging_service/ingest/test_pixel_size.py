from __future__ import annotations

import math

import pytest

from imaging_service.errors import ScanError
from imaging_service.ingest.pixel_size import SizeStatement, Trust, decide, number_of
from imaging_service.ingest.plan import FindingKind
from plate_maps import Well
from tests.messages import says, states


def stated(x, y=None, trust=Trust.FILE, well=None, place="a.tif"):
    return SizeStatement(x, x if y is None else y, "OME-XML", place, trust, well)


def test_the_strongest_source_counts_alone():
    size = decide([stated(0.5, trust=Trust.TAG), stated(0.3), stated(0.6, trust=Trust.INDEX)])
    assert (size.um, size.source, size.findings) == (0.6, "OME-XML, a.tif", ())


def test_nothing_said_is_no_size():
    assert decide([]).um is None


@pytest.mark.parametrize(("tag", "um"), [(6.4504, None), (2.4, None), (2.39, 2.39), (0.5, 0.5)])
def test_a_tag_as_large_as_a_sensor_s_pixel_is_not_believed(tag, um):
    size = decide([stated(tag, trust=Trust.TAG)])
    assert size.um == um
    kinds = [f.kind for f in size.findings]
    assert kinds == ([FindingKind.PIXEL_SIZE] if um is None else [])
    if um is None:
        assert states("pixel_size.of_a_sensor", size.findings[0].message, count=1)
    # What the instrument's software wrote is believed, however large.
    assert decide([stated(tag)]).um == tag


@pytest.mark.parametrize("value", [0.0, -6e-7, math.nan, math.inf])
def test_a_size_that_is_no_number_above_0_is_refused(value):
    for x, y in ((value, 0.5), (0.5, value)):
        with pytest.raises(ScanError, match=says("pixel_size.not_a_number")):
            decide([stated(x, y)])


@pytest.mark.parametrize(("y", "square"), [(0.5024, True), (0.5026, False), (1.0, False)])
def test_pixels_are_square(y, square):
    if square:
        assert decide([stated(0.5, y)]).um == 0.5
        return
    with pytest.raises(ScanError, match=says("pixel_size.not_square")):
        decide([stated(0.5, y)])


@pytest.mark.parametrize(("other", "same"), [(0.5024, True), (0.5026, False), (1.0, False)])
def test_sizes_that_differ_are_refused_by_well_and_file(other, same):
    both = [stated(0.5, well=Well(2, 2)), stated(other, well=Well(2, 3), place="b.tif")]
    if same:
        assert decide(both).um == 0.5
        return
    with pytest.raises(ScanError, match=says("pixel_size.differs", first="B02", second="B03")):
        decide(both)


@pytest.mark.parametrize("text", ["abc", "", "NaN", "inf", "0", "-6E-07", None, "1,5"])
def test_texts_that_are_no_size_are_refused_by_name(text):
    with pytest.raises(ScanError, match=says("pixel_size.not_a_number")):
        number_of(text, "ImageResolutionX")


def test_texts_that_are_one():
    assert number_of("2.967E-07", "ImageResolutionX") == 2.967e-7
