from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.filters.curvature import curvatures, derivatives
from segmentation.filters.ridges import (
    LEAST_IN_NOISE,
    hysteresis,
    remove_short,
    response_noise,
    ridge_response,
    segment_neurites,
)


def test_the_larger_of_the_two_scales_wins_and_none_is_under_0_8_px():
    image = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    fine, coarse = curvatures(image, 0.5 / 0.25)[0], curvatures(image, 0.9 / 0.25)[0]
    assert np.array_equal(ridge_response(image, 0.25), np.maximum(np.maximum(fine, coarse), 0))
    assert np.array_equal(ridge_response(image, 2.0), np.maximum(curvatures(image, 0.8)[0], 0))


def test_hysteresis_keeps_faint_stretches_of_what_is_bright_elsewhere():
    response = np.zeros((6, 6), np.float32)
    response[0] = [0, 2, 2, 9, 2, 0]  # faint, and bright in one pixel
    response[1, 5] = 2  # touches it by a corner
    response[4] = [2, 2, 2, 2, 2, 2]  # faint only
    kept = hysteresis(response, 1.0, 5.0)
    assert kept[0].tolist() == [False, True, True, True, True, False]
    assert kept[1, 5]
    assert not kept[4].any()
    assert not hysteresis(response, 1.0, 9.0).any()  # above, not at


@pytest.mark.parametrize(
    ("pixels", "pixel_size_um", "kept"),
    [(8, 1.0, True), (7, 1.0, False), (16, 0.5, True), (15, 0.5, False)],
)
def test_pieces_under_8_um_are_dropped(pixels, pixel_size_um, kept):
    mask = np.zeros((30, 30), bool)
    mask[5, 2 : 2 + pixels] = True
    assert remove_short(mask, pixel_size_um).any() == kept


def line(length=60):
    image = np.zeros((64, 64), np.float32)
    image[30:33, 2 : 2 + length] = 100
    return image


def test_a_line_is_a_neurite_outside_somas_and_nuclei():
    labels = segment_neurites(line(), 0.5, low=5, high=20, somas=None)
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == {0, 1}
    assert labels[31, 10:50].all()
    assert not labels[:20].any()
    somas, nuclei = np.zeros((64, 64), np.int32), np.zeros((64, 64), bool)
    somas[:, :20], nuclei[:, 50:] = 3, True
    apart = segment_neurites(line(), 0.5, low=5, high=20, somas=somas, exclude=nuclei)
    assert np.array_equal(apart > 0, (labels > 0) & (somas == 0) & ~nuclei)


def test_the_soma_goes_before_the_length_is_measured():
    """Of a line of 20 µm all but 5 µm lie in a soma: what is left is too short."""
    somas = np.zeros((64, 64), np.int32)
    somas[:, :32] = 1
    assert segment_neurites(line(40), 0.5, low=5, high=20, somas=None).any()
    assert not segment_neurites(line(40), 0.5, low=5, high=20, somas=somas).any()


@pytest.mark.parametrize("pixel_size_um", [0.2, 0.65])
def test_the_noise_of_ridges_is_that_of_the_image_at_its_light(pixel_size_um):
    """The right half has four times the light, so that photons make its noise twice as large."""
    rng = np.random.default_rng(0)
    level = np.full((512, 512), 400.0)
    level[:, 256:] = 1600
    image = rng.poisson(level).astype(np.float32) + 100
    light = image - 500
    spread = response_noise(image, light, pixel_size_um, None)
    sigma = max(0.8, 0.5 / pixel_size_um)
    bend = derivatives(cv2.GaussianBlur(image, (0, 0), sigma))[0] * sigma**2
    for half in (np.s_[:, 20:200], np.s_[:, 300:490]):
        assert spread[half].mean() == pytest.approx(bend[half].std(), rel=0.12)


def test_a_noisier_field_needs_stronger_ridges():
    """Thresholds of a quiet plate find nets in a noisy field, and its noise takes them away."""
    rng = np.random.default_rng(1)
    image = rng.normal(0, 30, (256, 256)).astype(np.float32)
    image[120:124, 20:230] += 200
    spread = response_noise(image, image, 0.5, None)
    low, high = (share * float(spread.mean()) for share in (1.5, 3.0))
    nets = segment_neurites(image, 0.5, low=low, high=high, somas=None)
    clean = segment_neurites(image, 0.5, low=low, high=high, somas=None, spread=spread)
    assert 0.05 < (nets[:100] > 0).mean() < 0.6
    assert (clean[:100] > 0).mean() < 0.002
    assert (clean[121:123, 25:225] > 0).mean() > 0.95


def test_thresholds_above_the_noise_stay_as_they_are():
    image = line()
    spread = np.full(image.shape, 5 / LEAST_IN_NOISE, np.float32)
    plain = segment_neurites(image, 0.5, low=5, high=20, somas=None)
    assert np.array_equal(
        plain, segment_neurites(image, 0.5, low=5, high=20, somas=None, spread=spread)
    )
    # A higher noise raises both in proportion.
    above = segment_neurites(image, 0.5, low=5, high=20, somas=None, spread=1.5 * spread)
    higher = segment_neurites(image, 0.5, low=7.5, high=30, somas=None)
    assert np.array_equal(above, higher)
    assert 0.5 * plain.sum() < higher.sum() < plain.sum()
