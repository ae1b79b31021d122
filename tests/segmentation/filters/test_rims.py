from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.filters.rims import nuclear_light

PIXEL = 0.5
Y, X = np.mgrid[:120, :120].astype(np.float32)


def disc(y, x, radius):
    return np.hypot(Y - y, X - x) < radius


def blurred(image, sigma=1.0):
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)


def spot(y, x, height, sigma=1.2):
    return height * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / 2 / sigma**2)


def everywhere(nuclei):
    return np.ones(nuclei.shape, bool)


@pytest.mark.parametrize("level", [500.0, 100.0, 0.0])
def test_a_nucleus_brighter_or_darker_than_its_cytoplasm_is_taken_off(level):
    nuclei = disc(60, 60, 11).astype(np.int32)
    image = blurred(100 + (level - 100) * nuclei)
    got = nuclear_light(image, nuclei, everywhere(nuclei), PIXEL)
    step = abs(level - 100)
    assert got.light[60, 60] == pytest.approx(level - 100, abs=0.02 * step + 0.01)
    # The rim is of pixels, and its label too: what is left of it is less than an eighth.
    assert np.abs(image - got.light - 100).max() <= 0.12 * step + 0.01
    assert got.light[60, 60 + 11 + 6 :].tolist() == [0.0] * (120 - 77)
    assert got.doubt_px[60, 71] <= 0.3
    assert got.doubt_px[60, 90] == 0.0


def test_spots_beside_a_rim_are_not_its_light():
    nuclei = disc(60, 60, 11).astype(np.int32)
    rim = blurred(100 + 400 * nuclei)
    turns = np.arange(6) * np.pi / 3
    places = np.column_stack([60 + 13.2 * np.sin(turns), 60 + 13.2 * np.cos(turns)])
    image = rim + sum(spot(y, x, 200.0) for y, x in places)
    light = nuclear_light(image.astype(np.float32), nuclei, everywhere(nuclei), PIXEL).light
    alone = nuclear_light(rim, nuclei, everywhere(nuclei), PIXEL).light
    rows, columns = np.round(places).astype(int).T
    np.testing.assert_allclose(light[rows, columns], alone[rows, columns], atol=20)


def test_the_outline_s_doubt_grows_with_its_jags():
    smooth = disc(60, 60, 11)
    image = blurred(100 + 400 * smooth)
    rng = np.random.default_rng(0)
    edge = cv2.dilate(smooth.astype(np.uint8), np.ones((3, 3))) > 0
    edge &= ~(cv2.erode(smooth.astype(np.uint8), np.ones((3, 3))) > 0)
    jagged = np.where(edge, blurred(rng.random(smooth.shape), 0.8) > 0.5, smooth)
    doubts = [
        nuclear_light(image, own.astype(np.int32), everywhere(own), PIXEL).doubt_px[60, 74]
        for own in (smooth, jagged)
    ]
    assert 0.0 < doubts[0] < 0.3
    assert 2 * doubts[0] < doubts[1] < 1.5


def test_a_shifted_label_loses_no_light():
    """Channels are not quite in register: the stretch of rim is measured where it lies."""
    nuclei = disc(60, 60, 11).astype(np.int32)
    image = blurred(100 + 400 * nuclei)
    for shift in (1, 2):
        shifted = np.roll(nuclei, shift, axis=1)
        left = image - nuclear_light(image, shifted, everywhere(nuclei), PIXEL).light
        assert np.abs(left - 100).max() <= 60 * (1 + shift)


def test_between_two_nuclei_each_pixel_is_the_nearer_one_s():
    first, second = disc(60, 44, 10), disc(60, 72, 10)
    nuclei = (first + 2 * second).astype(np.int32)
    image = blurred(100 + 300 * first + 600 * second)
    left = image - nuclear_light(image, nuclei, everywhere(nuclei), PIXEL).light
    assert np.abs(left[60, 44:73] - 100).max() <= 60
    assert left[60, 44] == pytest.approx(100, abs=10)
    assert left[60, 72] == pytest.approx(100, abs=20)


def test_only_nuclei_inside_the_mask_are_taken():
    nuclei = (disc(60, 35, 10) + 2 * disc(60, 90, 10)).astype(np.int32)
    image = blurred(100 + 300 * (nuclei > 0))
    light = nuclear_light(image, nuclei, X > 62, PIXEL).light
    assert not light[:, :60].any()
    assert light[60, 90] == pytest.approx(300, rel=0.05)


@pytest.mark.parametrize("own", [disc(60, 60, 1.1), disc(60, 60, 0.5), disc(0, 0, 9)])
def test_a_label_of_few_pixels_and_one_at_the_corner_give_finite_light(own):
    nuclei = own.astype(np.int32)
    image = blurred(100 + 300 * own)
    got = nuclear_light(image, nuclei, everywhere(nuclei), PIXEL)
    assert np.isfinite(got.light).all()
    assert np.abs(got.light).max() <= 300
