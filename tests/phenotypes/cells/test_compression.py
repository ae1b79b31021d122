from __future__ import annotations

import cv2
import numpy as np
import pytest

from phenotypes.cells.compression import has_jpeg_blocks
from phenotypes.cells.measure import measure
from phenotypes.columns.channels import details_of, neurites_of
from segmentation import Field, segment
from segmentation.phantoms.render import Culture, Optics, render
from tests.messages import states


def compressed(plane, quality):
    """To 8 bits, through a JPEG and back."""
    eight = np.clip(plane / plane.max() * 255, 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(np.float32)


@pytest.fixture(scope="module")
def field():
    return render(Culture(), Optics(), 3).field


@pytest.mark.parametrize("quality", [60, 80, 90])
@pytest.mark.parametrize("role", ["dna", "neurite", "aggregate"])
def test_blocks_are_seen_in_every_channel_and_wherever_the_image_was_cut(field, role, quality):
    lossy = compressed(field.channel(role), quality)
    assert has_jpeg_blocks(lossy)
    assert has_jpeg_blocks(lossy[3:, 5:])


@pytest.mark.parametrize("role", ["dna", "neurite", "aggregate"])
def test_fewer_bits_blur_or_coarser_pixels_are_no_blocks(field, role):
    plane = field.channel(role)
    eight = np.floor(plane / plane.max() * 255)
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.5)
    half = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert [has_jpeg_blocks(p) for p in (plane, eight, smooth, half)] == [False] * 4


def test_a_mosaic_and_an_image_without_structure_have_no_blocks(field):
    """Tiles of 256 pixels begin at multiples of eight."""
    tiles = np.kron([[0.0, 200.0], [100.0, 300.0]], np.ones((256, 256)))
    noise = np.random.default_rng(0).normal(0, 4, (512, 512))
    assert not has_jpeg_blocks((tiles + noise).astype(np.float32))
    assert not has_jpeg_blocks(np.full((512, 512), 7, np.float32))
    assert not has_jpeg_blocks(compressed(field.channel("dna")[:60, :60], 80))


def test_a_compressed_channel_has_levels_and_neither_spots_nor_neurites(field):
    segmentation = segment(field, "classical")
    whole = measure(field, segmentation)
    assert "compressed" not in whole.field["warnings"][0]
    pixels = np.stack([compressed(field.channel(r), 80) for r in field.roles])
    seen = measure(field, segmentation, raw=Field(pixels, field.roles, field.pixel_size_um))
    assert states(
        "measure.compressed",
        seen.field["warnings"][0],
        roles=", ".join(r for r in field.roles if r),
    )
    lost = {n for r in field.roles if r for n in details_of(r)} | set(neurites_of("cell"))
    for name in seen.cells.columns:
        values = seen.cells[name]
        if name in lost:
            assert values.null_count() == len(values), name
        else:
            assert values.equals(whole.cells[name]), name
    assert seen.field.select(c for c in neurites_of("field") if c in seen.field.columns).row(0) == (
        (None,) * sum(c in seen.field.columns for c in neurites_of("field"))
    )


def test_only_the_compressed_channel_is_withheld(field):
    pixels = field.pixels.copy()
    place = field.roles.index("aggregate")
    pixels[place] = compressed(pixels[place], 80)
    seen = measure(
        field, segment(field, "classical"), raw=Field(pixels, field.roles, field.pixel_size_um)
    )
    assert seen.cells["nc_log2_aggregate"].null_count() == len(seen.cells)
    assert seen.field["neurite_length_um"][0] > 0
