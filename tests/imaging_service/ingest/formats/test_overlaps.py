from __future__ import annotations

import pytest

from imaging_service.ingest.formats.overlaps import overlaps
from imaging_service.ingest.images.tiff_image import Header
from imaging_service.ingest.plan import FindingKind, ImageRef
from plate_maps import Well
from tests.messages import states


def found(*places, um=0.5, shape=(200, 400)):
    """Findings of fields of 100 × 200 µm at (x, y)."""
    images = [
        ImageRef(Well(2, 2), n, 1, "1", 1, f"{n}.tif", position_um=place)
        for n, place in enumerate(places, start=1)
    ]
    headers = {i.path: Header(i.path, shape=shape) for i in images}
    return overlaps(images, headers, um)


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
