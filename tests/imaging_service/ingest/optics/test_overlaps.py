from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imaging_service.ingest.images.tiff_image import Header
from imaging_service.ingest.optics.overlaps import (
    centres,
    field_shape,
    overlapping_centres,
    overlaps,
    positions,
)
from imaging_service.ingest.plan import FindingKind, ImageRef, PlatePlan
from plate_maps import Well
from tests.messages import states


def images_at(*places):
    return [
        ImageRef(Well(2, 2), n, 1, "1", 1, f"{n}.tif", position_um=place)
        for n, place in enumerate(places, start=1)
    ]


def found(*places, um=0.5, shape=(200, 400)):
    """Findings of fields of 100 × 200 µm at (x, y)."""
    return overlaps(images_at(*places), shape, um)


def test_an_overlap_is_named_with_its_share():
    (finding,) = found((0.0, 0.0), (180.0, 0.0), (0.0, -50.0))
    assert (finding.kind, finding.wells) == (FindingKind.OVERLAP, (Well(2, 2),))
    named = {"wells": 1, "share": "50.0%", "well": "B02", "first": 1, "second": 3}
    assert states("overlaps.found", finding.message, **named)


@pytest.mark.parametrize(
    "places",
    [
        ((0.0, 0.0), (200.0, 0.0), (0.0, 100.0), (199.9, 100.0)),
        ((0.0, 0.0), (150.0, 120.0)),
        ((0.0, 0.0),),
        ((0.0, 0.0), None),
    ],
)
def test_fields_that_touch_or_are_alone_do_not_overlap(places):
    assert found(*places) == ()


def test_without_a_pixel_size_nothing_is_known():
    assert found((0.0, 0.0), (1.0, 0.0), um=None) == ()


def test_fields_at_one_place_have_no_believable_positions():
    (finding,) = found((0.0, 0.0), (0.0, 0.0), (150.0, 0.0))
    assert states("overlaps.one_place", finding.message, wells=1, well="B02")
    assert centres({1: (3.0, 4.0), 2: (3.1, 4.1)}, 0.5) == {}
    # y points up, rows downwards.
    assert centres({1: (3.0, 4.0), 2: (13.0, -4.0)}, 0.5) == {1: (-8, 6), 2: (8, 26)}


def test_a_field_lies_where_its_first_time_point_was():
    later, first = images_at((5.0, 0.0), (1.0, 0.0))
    moved = [replace(later, field=1, time=2), replace(first, field=1, time=1)]
    assert positions(moved) == {Well(2, 2): {1: (1.0, 0.0)}}


def test_centres_are_listed_where_fields_overlap():
    def listed(*places):
        images = tuple(images_at(*places))
        plan = PlatePlan("tiff", "p", Path(), ("1",), 0.5, None, images, field_px=(200, 400))
        return overlapping_centres(plan, 0.5)

    assert listed((0.0, 0.0), (200.0, 0.0)) == ()
    assert listed((0.0, 0.0), (190.0, 0.0), None) == (("B02", 1, (0, 0)), ("B02", 2, (0, 380)))


def test_the_shape_of_a_field_is_that_of_images_that_can_be_read():
    images = images_at(None, None, None)
    headers = {
        "1.tif": Header("1.tif", shape=(8, 9)),
        "2.tif": Header("2.tif", fault="cut", shape=(99, 99)),
        "3.tif": Header("3.tif"),
    }
    assert field_shape(images, headers) == (8, 9)
    assert field_shape([], {}) == (0, 0)
