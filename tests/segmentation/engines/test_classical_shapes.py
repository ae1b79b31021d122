"""The classical engine on shapes whose answer is known in advance: discs of one brightness, and
nothing else.
"""

from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field
from segmentation.engines.classical import (
    Thresholds,
    calibrate_thresholds,
    nuclei_threshold,
    segment_bodies,
    segment_nuclei,
    segment_somas,
    smoothed,
    spot_noise,
    spot_noise_of,
)
from segmentation.engines.registry import load
from segmentation.sizes import Sizes
from tests.messages import says

PX = 0.5
SIZES = Sizes()
Y, X = np.mgrid[:200, :200].astype(np.float32)


def disc(y, x, radius_um, height=1000.0):
    return (np.hypot(Y - y, X - x) <= radius_um / PX).astype(np.float32) * height


def area_um2(labels, label):
    return (labels == label).sum() * PX**2


def test_a_disc_is_a_nucleus_of_its_own_area():
    labels = segment_nuclei(disc(60, 60, 5.5) + disc(140, 140, 5.5, 400), PX, 1.0, SIZES)
    assert labels.max() == 2
    for label in (1, 2):
        assert area_um2(labels, label) == pytest.approx(np.pi * 5.5**2, rel=0.05)


def test_touching_nuclei_are_parted_and_ripples_are_not():
    assert (
        segment_nuclei(np.maximum(disc(100, 90, 5.5), disc(100, 110, 4.8)), PX, 1.0, SIZES).max()
        == 2
    )
    wavy = (
        np.hypot(Y - 100, X - 100) <= 11 + 0.7 * np.cos(9 * np.arctan2(Y - 100, X - 100))
    ).astype(np.float32) * 1000
    assert segment_nuclei(wavy, PX, 1.0, SIZES).max() == 1


def test_a_nucleus_ends_at_half_of_its_own_brightness():
    """A halo at 0.4 of the brightness belongs to no nucleus, one at 0.7 does."""
    dim = segment_nuclei(
        np.maximum(disc(100, 100, 5.5), disc(100, 100, 7.5, 330)),
        PX,
        200.0,
        SIZES,
        own_threshold=False,
    )
    assert area_um2(dim, 1) == pytest.approx(np.pi * 5.5**2, rel=0.05)
    bright = segment_nuclei(
        np.maximum(disc(100, 100, 5.5), disc(100, 100, 7.5, 700)),
        PX,
        200.0,
        SIZES,
        own_threshold=False,
    )
    assert area_um2(bright, 1) == pytest.approx(np.pi * 7.5**2, rel=0.05)


@pytest.mark.parametrize(("radius_um", "count"), [(2.3, 0), (2.9, 1)])
def test_under_20_um2_there_is_no_nucleus(radius_um, count):
    assert segment_nuclei(disc(100, 100, radius_um), PX, 1.0, SIZES).max() == count


def test_holes_are_filled():
    ring = disc(100, 100, 5.5) - disc(100, 100, 1.5, 400)
    assert area_um2(segment_nuclei(ring, PX, 1.0, SIZES), 1) == pytest.approx(
        np.pi * 5.5**2, rel=0.05
    )


def test_the_field_s_own_threshold_is_never_under_the_floor():
    image = disc(60, 60, 5.5, 300)
    assert segment_nuclei(image, PX, 1.0, SIZES).max() == 1
    assert segment_nuclei(image, PX, 301.0, SIZES).max() == 0
    assert segment_nuclei(image, PX, 1.0, SIZES, own_threshold=False).max() == 1
    assert nuclei_threshold(np.zeros((20, 20), np.float32)) == 0


def somas_field(body):
    return Field(np.stack([np.zeros_like(body), body + 100]), ("dna", "neurite"), PX)


def test_a_soma_carries_its_nucleus_s_number_and_holds_it():
    nuclei = np.zeros((200, 200), np.int32)
    nuclei[disc(60, 60, 4) > 0], nuclei[disc(140, 140, 4) > 0] = 1, 2
    # a nucleus is a dark hole in a soma; the second has no soma
    body = disc(60, 60, 9) - disc(60, 60, 4, 700)
    somas = segment_somas(somas_field(body), nuclei, 500.0, SIZES)
    assert set(np.unique(somas)) == {0, 1}
    assert (somas[nuclei == 1] == 1).all()
    assert area_um2(somas, 1) == pytest.approx(np.pi * 9**2, rel=0.08)


def test_a_soma_reaches_no_further_than_14_um_from_its_nucleus():
    nuclei = np.zeros((200, 200), np.int32)
    nuclei[disc(100, 100, 4) > 0] = 1
    # a broad band over the whole field
    wide = (np.abs(Y - 100) <= 8 / PX).astype(np.float32) * 1000
    somas = segment_somas(somas_field(wide), nuclei, 500.0, SIZES)
    _, x = np.nonzero(somas)
    assert (x.max() - 100) * PX == pytest.approx(4 + 14, abs=0.8)
    assert (100 - x.min()) * PX == pytest.approx(4 + 14, abs=0.8)


@pytest.mark.parametrize(("share", "neuron"), [(0.7, True), (0.3, False)])
def test_half_of_the_ring_around_a_nucleus_must_be_soma(share, neuron):
    nuclei = np.zeros((200, 200), np.int32)
    nuclei[disc(100, 100, 4) > 0] = 1
    angle = (np.arctan2(Y - 100, X - 100) + np.pi) / (2 * np.pi)
    body = disc(100, 100, 12) * (angle < share)
    body[nuclei > 0] = 0
    assert segment_somas(somas_field(body), nuclei, 500.0, SIZES).any() == neuron


def test_a_neurite_is_no_body():
    line = (np.abs(Y - 100) <= 1 / PX).astype(np.float32) * 1000
    labels = segment_bodies(somas_field(line + disc(50, 50, 8)), 500.0, SIZES)
    assert labels.max() == 1
    assert labels[50, 50] == 1


def test_smoothing_takes_the_background_off_and_leaves_the_field_alone():
    field = somas_field(disc(100, 100, 9))
    before = field.pixels.copy()
    assert np.median(smoothed(field, "neurite")) == 0
    assert smoothed(field, "neurite", 0.0)[100, 100] == 1000
    assert np.array_equal(field.pixels, before)


def noisy(seed, sigma=10.0):
    rng = np.random.default_rng(seed)
    return Field(
        rng.normal(200, sigma, (3, 200, 200)).astype(np.float32),
        ("dna", "neurite", "aggregate"),
        PX,
    )


def test_thresholds_of_empty_fields_are_those_of_their_noise():
    thresholds = calibrate_thresholds([noisy(s) for s in range(4)])
    assert thresholds.nuclei_floor >= 2 * 10 * 0.95
    assert thresholds.soma >= 2 * 10 * 0.95
    assert thresholds.neurite_high == pytest.approx(2 * thresholds.neurite_low, rel=0.01)
    assert thresholds.aggregate_dark == pytest.approx(10, rel=0.05)
    assert thresholds.granule_dark is None
    assert thresholds.granule_shot is None
    with pytest.raises(ValueError, match=says("classical.no_field")):
        calibrate_thresholds([])


def test_the_noise_of_a_spots_channel_is_kept_with_the_thresholds():
    noise = spot_noise([noisy(s) for s in range(4)], "aggregate")
    assert noise.dark == pytest.approx(10, rel=0.03)
    assert noise.shot == 0
    assert noise.background == pytest.approx(200, abs=3)
    assert spot_noise([noisy(0)], "granule") is None
    thresholds = calibrate_thresholds([noisy(s) for s in range(4)])
    assert spot_noise_of(thresholds, "aggregate") == noise
    assert spot_noise_of(thresholds, "granule") is None


def test_given_thresholds_decide_and_are_described():
    engine = load("classical").with_thresholds({"nuclei_floor": 300.0})
    assert engine.describe()["thresholds"] == {"nuclei_floor": 300.0} | dict.fromkeys(
        (
            "soma",
            "neurite_low",
            "neurite_high",
            "aggregate_dark",
            "aggregate_shot",
            "aggregate_background",
            "granule_dark",
            "granule_shot",
            "granule_background",
            "neurite_contrast",
            "neurite_extent",
            "neurite_own_light",
        )
    )
    assert engine.thresholds == Thresholds(nuclei_floor=300.0)
    field = Field(disc(60, 60, 5.5, 200)[None] + 100, ("dna",), PX)
    assert engine.segment(field).labels["nuclei"].max() == 0
    assert (
        engine.with_thresholds({"nuclei_floor": 100.0}).segment(field).labels["nuclei"].max() == 1
    )
