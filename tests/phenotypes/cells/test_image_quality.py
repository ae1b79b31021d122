from __future__ import annotations

import cv2
import numpy as np
import pytest

from phenotypes.cells.image_quality import (
    clump_fraction,
    covered,
    debris_fraction,
    focus_slope,
    saturated,
    unevenness,
)
from segmentation.field import Pixels
from segmentation.phantoms.render import Culture, Optics, empty, render

PHANTOM = render(Culture(), Optics(), 1)
DNA = PHANTOM.field.channel("dna")


def test_the_slope_is_that_of_a_spectrum_made_to_it():
    """Noise with power f^-b has slope -b."""
    rng = np.random.default_rng(0)
    f = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None])
    f[0, 0] = 1
    for b in (1.5, 2.0, 3.0):
        image = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((512, 512))) * f ** (-b / 2)).astype(
            np.float32
        )
        assert focus_slope(1000 * image) == pytest.approx(-b, abs=0.25)


def test_blur_is_steeper_and_dimness_is_not_focus():
    sharp = focus_slope(DNA)
    rng = np.random.default_rng(0)
    light = cv2.GaussianBlur(np.maximum(DNA - 290, 0), (0, 0), 4.0) + 90
    blurred = rng.poisson(light).astype(np.float32)
    dim = rng.poisson(np.maximum(DNA - 290, 0) / 5 + 90).astype(np.float32)
    assert sharp is not None
    assert focus_slope(blurred) < sharp - 1
    assert focus_slope(dim) == pytest.approx(sharp, abs=0.8)


def test_noise_has_no_focus():
    assert (
        focus_slope(np.random.default_rng(0).normal(200, 5, (512, 512)).astype(np.float32)) is None
    )
    assert focus_slope(empty(Optics(vignetting=0.0), 1).field.channel("dna")) is None
    assert focus_slope(np.zeros((20, 20), np.float32)) is None


def test_saturation_is_many_pixels_at_one_value():
    assert saturated(np.minimum(DNA, 1000)) > 0.01
    assert saturated(DNA) == 0.0


def test_unevenness():
    ramp = np.linspace(0, 400, 512, dtype=np.float32)[None]
    assert unevenness(DNA + ramp, 5.0) > unevenness(DNA, 5.0) + 0.1
    assert unevenness(np.zeros((64, 64), np.float32), 0.0) == 0.0
    noise = np.random.default_rng(0).normal(200, 10, (512, 512)).astype(np.float32)
    assert unevenness(noise, 10.0) < 0.1


def test_clumps_are_nuclei_that_touch():
    labels = np.zeros((40, 40), np.int32)
    labels[5:15, 5:15], labels[5:15, 15:25], labels[30:35, 30:35] = 1, 2, 3
    assert clump_fraction(labels, Pixels(labels)) == pytest.approx(2 / 3)
    assert clump_fraction(np.zeros((4, 4), np.int32), Pixels(np.zeros((4, 4), np.int32))) is None


def test_debris_is_bright_and_no_nucleus():
    dna, nuclei = np.zeros((100, 100), np.float32), np.zeros((100, 100), np.int32)
    nuclei[10:30, 10:30] = 1
    dna[nuclei > 0] = 100
    assert debris_fraction(dna, Pixels(nuclei), 1.0, 0.5) == 0.0
    dna[60:70, 60:70] = 80
    assert debris_fraction(dna, Pixels(nuclei), 1.0, 0.5) == pytest.approx(100 / 400)
    assert debris_fraction(dna, Pixels(np.zeros_like(nuclei)), 1.0, 0.5) is None


def test_confluence():
    half = np.zeros((10, 10), np.int32)
    half[:5] = 1
    assert covered(half, None) == 0.5
    assert covered(half, np.roll(half, 2, axis=0)) == 0.7
    assert covered(None, None) is None


def test_saturation_is_that_of_nuclei_and_somas():
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, (400, 400)).astype(np.float32)
    nuclei, somas = np.zeros((400, 400), np.int32), np.zeros((400, 400), np.int32)
    nuclei[100:120, 100:120], somas[90:130, 90:130] = 1, 1
    image[100:110, 100:110] = 4095  # 100 of 160,000 pixels: 0.06 % of the field
    assert saturated(image) == pytest.approx(100 / 160000)
    assert saturated(image, [nuclei, somas]) == pytest.approx(100 / 400)
    assert saturated(image, [somas]) == pytest.approx(100 / 1600)
    assert saturated(image, [np.zeros_like(nuclei)]) == pytest.approx(100 / 160000)
    image[100:110, 100:110] += rng.normal(0, 5, (10, 10)).astype(np.float32)
    assert saturated(image, [nuclei]) == 0


def test_a_dim_image_of_few_grey_levels_is_not_clipped():
    """Its highest value is held by many, and the next ones by more."""
    rng = np.random.default_rng(1)
    dim = rng.poisson(3.0, (400, 400)).astype(np.float32)
    dim = np.minimum(dim, np.quantile(dim, 1 - 3e-4))
    assert (dim == dim.max()).mean() > 1e-4
    assert saturated(dim) == 0.0
    clipped = np.minimum(rng.poisson(100.0, (400, 400)), 115).astype(np.float32)
    assert saturated(clipped) == pytest.approx((clipped == 115).mean())
    assert saturated(clipped) == pytest.approx(0.076, abs=0.003)
