from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.engines.motornet.fields import (
    RANGE_IN_NOISE,
    compress,
    detail,
    detail_unit,
    intensity_range,
    normalise,
    scaled_shape,
    to_scale,
)


def test_an_empty_field_stays_dark():
    noise = np.random.default_rng(0).normal(500, 10, (400, 400)).astype(np.float32)
    background, span = intensity_range(noise)
    assert background == pytest.approx(500, abs=3)
    assert span == pytest.approx(RANGE_IN_NOISE * 10, rel=0.05)
    assert np.abs(normalise(noise)).max() < 0.6


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (37.0, 900.0), (0.01, 3.0)])
def test_gain_and_offset_of_the_camera_change_nothing(gain, offset):
    image = np.random.default_rng(1).normal(100, 2, (300, 300)).astype(np.float32)
    image[100:140, 100:200] += 400
    assert np.allclose(normalise(image * gain + offset), normalise(image), atol=2e-3)


def test_compression_keeps_order_and_brings_up_the_faint():
    assert compress(np.array([0.0, 1.0], np.float32)) == pytest.approx([0.0, 1.0])
    faint = compress(np.array([0.02], np.float32))[0]
    assert faint > 0.06
    assert (np.diff(compress(np.linspace(-1, 30, 200).astype(np.float32))) > 0).all()


def test_scaling_keeps_the_mean_and_says_its_shape():
    image = np.random.default_rng(2).random((90, 130)).astype(np.float32)
    for zoom in (0.5, 2.0, 1.7):
        scaled = to_scale(image, zoom)
        assert scaled.shape == scaled_shape(image.shape, zoom)
        assert scaled.mean() == pytest.approx(image.mean(), rel=0.02)
    assert to_scale(image, 1.001) is image


def test_the_band_forgets_the_soma_and_keeps_the_punctum():
    image = np.zeros((200, 200), np.float32)
    cv2.circle(image, (100, 100), 40, 1.0, -1)
    image = cv2.GaussianBlur(image, (0, 0), 2.0) + np.random.default_rng(3).normal(
        0, 0.02, image.shape
    ).astype(np.float32)
    yy, xx = np.mgrid[:200, :200]
    spotted = image + (0.2 * np.exp(-((yy - 105) ** 2 + (xx - 95) ** 2) / (2 * 1.7**2))).astype(
        np.float32
    )
    band = detail(spotted)
    unit = detail_unit(spotted, band)
    middle = np.s_[85:115, 85:115]
    assert band[middle].argmax() == np.ravel_multi_index((20, 10), (30, 30))
    assert band[105, 95] > 5 * unit
    assert abs(np.median(band[middle])) < unit
