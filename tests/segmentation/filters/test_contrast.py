from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.filters.contrast import (
    drawn_neurites,
    kept_length,
    line_contrast,
    standing_out,
    stretches,
    typical_contrast,
    typical_extent,
    typical_own_light,
)

PX = 0.5


def lines(levels, shape=(240, 400), background=100.0):
    """Horizontal lines, 4 px wide and 240 px long, of these levels above the background."""
    image = np.full(shape, background, np.float32)
    mask = np.zeros(shape, bool)
    for n, level in enumerate(levels):
        rows = slice(30 + 40 * n, 34 + 40 * n)
        image[rows, 40:280] += level
        mask[rows, 40:280] = True
    return cv2.GaussianBlur(image, (0, 0), 0.8), mask


def test_a_line_keeps_its_light_and_a_broad_body_loses_it():
    image = np.zeros((100, 200), np.float32)
    image[20:24] = 300
    image[50:90] = 300
    contrast = line_contrast(image, PX)
    assert 200 < contrast[22, 100] <= 300
    assert contrast[70, 100] == 0
    # The edge of a body is no line.
    assert contrast[50, 100] < 30


def test_coarse_pixels_do_not_take_a_line_for_a_body():
    image = np.zeros((60, 60), np.float32)
    image[30:33] = 300
    assert line_contrast(image, 1.3)[31, 30] > 200


def test_a_mask_is_cut_into_its_stretches():
    image, mask = lines([200, 80])
    found = stretches(mask, image - 100, PX)
    assert len(found.length_px) == 2
    assert found.length_px == pytest.approx([237, 237], abs=4)
    assert found.contrast[0] / found.contrast[1] == pytest.approx(2.5, rel=0.02)
    assert found.light == pytest.approx([187, 75], rel=0.05)
    assert (found.of > 0).sum() == mask.sum()


def test_a_crossing_makes_four_stretches():
    mask = np.zeros((200, 200), bool)
    mask[98:101, 20:180] = True
    mask[20:180, 98:101] = True
    assert len(stretches(mask, mask.astype(np.float32), PX).length_px) == 4


def test_nothing_has_no_stretches():
    none = np.zeros((40, 40), bool)
    found = stretches(none, np.zeros((40, 40), np.float32), PX)
    assert len(found.length_px) == 0
    assert typical_contrast([found]) is None
    assert not standing_out(found, None, 0.3).any()


@pytest.mark.parametrize(("dim", "stays"), [(0.25, False), (0.35, True)])
def test_the_floor_is_a_share_of_the_plates_median(dim, stays):
    plate = [stretches(*reversed(lines([200, 200, 200])), PX)]
    typical = typical_contrast(plate)
    image, mask = lines([200, 200 * dim])
    kept = standing_out(stretches(mask, image, PX), typical, 0.3)
    assert kept[32, 100]
    assert kept[72, 100] == stays


def test_the_median_is_over_length_and_not_over_pieces():
    image, mask = lines([200, 50, 50])
    mask[:, 100:] &= np.arange(240)[:, None] < 60
    found = stretches(mask, image, PX)
    assert len(found.length_px) == 3
    assert typical_contrast([found]) == pytest.approx(found.contrast.max())


def test_too_little_length_has_no_typical_contrast():
    image, mask = lines([200])
    mask[:, 150:] = False
    assert typical_contrast([stretches(mask, image, PX)]) is None


def test_what_stands_on_a_cell_has_little_light_of_its_own():
    image, mask = lines([60, 60])
    image -= 100
    image[60:90] += 400
    kept = standing_out(stretches(mask, image, PX), None, 0.0, light=0.25)
    assert kept[32, 100]
    assert not kept[72, 100]


def test_a_line_along_a_nucleus_is_the_rim_of_its_cell():
    """An arc around a nucleus goes, and the process that leads away from the same nucleus stays."""
    y, x = np.mgrid[:120, :240]
    away = np.hypot(y - 60, x - 40)
    nuclei = (away < 12).astype(np.int32)
    mask = (away >= 13) & (away < 16) & (x < 40)
    mask[58:62, 54:200] = True
    image = np.where(mask, 200, 0).astype(np.float32)
    kept = standing_out(stretches(mask, image, PX, nuclei), None, 0.0)
    assert kept[60, 150]
    assert not kept[60, 26]
    assert standing_out(stretches(mask, image, PX), None, 0.0)[60, 26]


def pieces_of(*lengths_px):
    """One field per piece, each a straight line."""
    masks = []
    for length in lengths_px:
        mask = np.zeros((40, 400), bool)
        mask[20:23, 10 : 10 + length] = True
        masks.append(mask)
    return masks


def test_the_typical_extent_is_over_the_area_of_a_plate():
    """One long line outweighs many granules."""
    masks = pieces_of(300, *[20] * 10)
    assert typical_extent(masks, PX) == pytest.approx(np.hypot(300, 3) * PX)
    assert typical_extent(pieces_of(300, *[20] * 20), PX) == pytest.approx(np.hypot(20, 3) * PX)


def test_hardly_any_lines_have_no_typical_extent():
    assert typical_extent(pieces_of(60), PX) is None
    assert typical_extent(pieces_of(70), PX) == pytest.approx(np.hypot(70, 3) * PX)
    assert typical_extent([np.zeros((40, 40), bool)], PX) is None


def test_the_typical_own_light_is_over_the_length_of_what_stands_out():
    """Two lines stand alone, one on a cell; a dim one alone is not looked at."""
    image, mask = lines([200, 200, 200, 20], shape=(240, 400))
    image -= 100
    image[90:140] += 600
    pieces = stretches(mask, image, PX)
    assert typical_own_light([pieces], 50.0) == pytest.approx(0.92, abs=0.03)
    mask[:100] = False
    assert typical_own_light([stretches(mask, image, PX)], 50.0) == pytest.approx(0.25, abs=0.05)
    assert typical_own_light([stretches(mask, image, PX)], 500.0) is None
    # A threshold is above 0, and a line without any contrast has one as well.
    flat = stretches(mask, np.full_like(image, 100), PX)
    assert 0 < typical_own_light([flat], 0.0) < 1e-5


def test_the_figures_tell_what_other_floors_would_keep():
    image, mask = lines([200, 200, 80])
    found = stretches(mask, image, PX)
    typical = typical_contrast([found])
    assert kept_length(found, typical, 0.3) == pytest.approx(3 * 237, abs=9)
    labels, figures = drawn_neurites(mask, image, PX, None, typical=typical, floor=0.3)
    assert labels.max() == 1
    assert figures["length_ratio_floor_0"] == pytest.approx(1.0)
    assert figures["length_ratio_floor_30"] == pytest.approx(1.0)
    assert figures["length_ratio_floor_70"] == pytest.approx(2 / 3, rel=0.02)
    dropped, higher = drawn_neurites(mask, image, PX, None, typical=typical, floor=0.7)
    assert not dropped[112, 100]
    assert higher["length_ratio_floor_30"] == pytest.approx(1.5, rel=0.02)


def test_a_loose_piece_must_be_longer_than_one_at_a_soma():
    image = np.zeros((120, 120), np.float32)
    mask = np.zeros((120, 120), bool)
    mask[20:23, 20:42] = True
    mask[80:83, 20:42] = True
    somas = np.zeros((120, 120), np.int32)
    somas[70:92, 0:19] = 1
    labels, _ = drawn_neurites(mask, image, PX, somas, typical=None, floor=0.3)
    assert labels[81, 30] == 1
    assert not labels[21].any()
