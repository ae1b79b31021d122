from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.filters.background import noise_level
from segmentation.filters.noise import FIXED_PATTERN, CameraNoise, camera_noise
from tests.messages import says

SHAPE = (384, 384)


def lit(level: float) -> np.ndarray:
    """Background 0 with a band of cells at rising levels up to `level`."""
    image = np.zeros(SHAPE, np.float32)
    image[:, 128:256] = np.linspace(0.2, 1.0, 128) * level
    return image


def exposed(light: np.ndarray, dark: float, shot: float, seed: int, offset: float = 100.0):
    rng = np.random.default_rng(seed)
    spread = np.sqrt(dark**2 + shot * light)
    return (offset + light + spread * rng.standard_normal(light.shape)).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.8, 1.3, 2.1])
@pytest.mark.parametrize(("dark", "shot"), [(2.0, 0.0), (30.0, 0.0), (5.0, 0.5), (3.0, 4.0)])
def test_read_and_photon_noise_are_told_apart(sigma, dark, shot):
    noise = camera_noise([exposed(lit(800), dark, shot, s) for s in range(4)], sigma)
    assert noise.dark == pytest.approx(dark, rel=0.06)
    assert noise.shot == pytest.approx(shot, rel=0.15, abs=0.002 * dark**2)


@pytest.mark.parametrize("gain", [0.1, 1.0, 40.0])
def test_a_gain_and_an_offset_change_the_unit_and_nothing_else(gain):
    one = exposed(lit(800), 5.0, 0.5, 1)
    plain, other = camera_noise([one], 1.0), camera_noise([one * np.float32(gain) + 7], 1.0)
    assert other.dark == pytest.approx(gain * plain.dark, rel=1e-3)
    assert other.shot == pytest.approx(gain * plain.shot, rel=2e-3)


def test_noise_shared_by_neighbours_is_seen_at_the_scale_of_a_spot():
    """A smoothed image: 2 × 2 differences see a tenth of what a spot is hidden in."""
    image = exposed(np.zeros(SHAPE, np.float32), 30.0, 0.0, 2)
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    sigma = 1.3
    # the Laplacian at σ of an image smoothed by s is that at √(σ² + s²), times σ²/(σ² + s²)
    expected = 30.0 * (sigma**2 / (sigma**2 + 1.0)) ** 1.5
    assert expected > 1.5 * noise_level(smooth)
    assert camera_noise([smooth], sigma).dark == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("blur", "left"), [(0.6, 0.40), (1.0, 0.114)])
def test_structure_of_a_smoothed_image_is_not_noise(blur, left):
    """Cells of 90 levels with spots, as sharp as the optics draw them: 2 × 2 differences of the
    smoothed image had eight times its noise, and a third of the spots was not counted.
    """
    light = lit(0)
    rng = np.random.default_rng(3)
    for y, x in rng.integers(20, 364, (60, 2)):
        cv2.circle(light, (int(x), int(y)), 14, 90.0, -1)
        for dy, dx in rng.integers(-9, 10, (5, 2)):
            light[y + dy, x + dx] += 800.0
    light = cv2.GaussianBlur(light, (0, 0), 0.7)
    seen = [exposed(light, 12.0, 1.5, seed) for seed in range(3)]
    sharp = camera_noise(seen, 0.8)
    smooth = camera_noise([np.rint(cv2.GaussianBlur(i, (0, 0), blur)) for i in seen], 0.8)
    assert sharp.shot == pytest.approx(1.5, rel=0.35)
    less = (smooth.dark / sharp.dark) ** 2
    assert less == pytest.approx(left, rel=0.15)
    assert smooth.shot == pytest.approx(1.5 * less, rel=0.5)


def test_dense_bright_spots_add_little():
    light = lit(400)
    rng = np.random.default_rng(3)
    spots = np.zeros(SHAPE, np.float32)
    # 60 spots in the area of a soma, at 0.325 µm
    places = rng.integers((0, 130), (384, 254), (980, 2))
    spots[tuple(places.T)] = 1.0
    spots = cv2.GaussianBlur(spots, (0, 0), 1.3) * np.float32(2 * np.pi * 1.3**2)
    plain, dotted = (
        camera_noise([exposed(light + more, 10.0, 0.3, 4)], 1.3) for more in (0 * spots, 50 * spots)
    )
    assert dotted.dark == pytest.approx(plain.dark, rel=0.03)
    assert plain.at(np.float32([400.0])) == pytest.approx(dotted.at(np.float32([400.0])), rel=0.12)


@pytest.mark.parametrize(("side", "expected"), [(15, 0.0), (60, 0.5)])
def test_few_cells_are_enough_to_see_photon_noise(side, expected):
    """A channel in which little is lit: taken for one without photon noise, it was full of spots."""
    light = np.zeros(SHAPE, np.float32)
    light[100 : 100 + side, 128 : 128 + side] = 400.0
    noise = camera_noise([exposed(light, 5.0, 0.5, s) for s in range(4)], 1.0)
    assert noise.shot == pytest.approx(expected, rel=0.15, abs=1e-9)


@pytest.mark.parametrize("haze", [0.0, 100.0, 1000.0])
def test_light_over_a_whole_field_is_told_from_the_cameras_offset(haze):
    plate = camera_noise([exposed(lit(800) + 50, 5.0, 0.5, s) for s in range(4)], 1.0)
    field = camera_noise([exposed(lit(800) + 50 + haze, 5.0, 0.5, 9)], 1.0)
    over = plate.haze_of(field.background)
    assert over == pytest.approx(haze, abs=3)
    assert plate.haze_of(plate.background - 40) == 0
    # The plate's noise at that light is what the field itself shows without any more.
    assert plate.at(np.float32([over]))[0] == pytest.approx(field.dark, rel=0.08)


def test_where_the_plates_background_is_not_known_no_haze_is_assumed():
    assert CameraNoise(3.0, 0.5).haze_of(1e4) == 0


def test_an_image_without_noise_keeps_the_share_of_its_light():
    noise = camera_noise([lit(500) + 100], 1.0)
    assert 0 < noise.dark < 0.01
    assert noise.at(np.float32([500.0]))[0] == pytest.approx(500 * FIXED_PATTERN, rel=0.2)


def test_whole_numbers_are_no_quieter_than_a_grey_level():
    image = np.full(SHAPE, 100, np.uint16)
    image[:, 128:256] = 300
    assert camera_noise([image.astype(np.float32)], 1.0).dark == 1.0


def test_one_odd_field_of_five_does_not_move_the_plate():
    fields = [exposed(lit(800), 5.0, 0.5, s) for s in range(4)]
    noise = camera_noise([*fields, exposed(lit(800), 90.0, 0.5, 9)], 1.0)
    assert noise.dark == pytest.approx(5.0, rel=0.06)


@pytest.mark.parametrize("share", [0.1, 0.35])
def test_what_lies_outside_of_the_culture_has_no_part(share):
    """A margin at the camera's offset: without the photons of the medium it has less noise."""
    image = exposed(lit(800) + 500, 3.0, 0.5, 6)
    plain = camera_noise([image], 1.0)
    inside = np.ones(SHAPE, bool)
    inside[: round(share * SHAPE[0])] = False
    margin = exposed(np.zeros(SHAPE, np.float32), 3.0, 0.5, 7)
    noise = camera_noise([np.where(inside, image, margin)], 1.0, [inside])
    assert noise.dark == pytest.approx(plain.dark, rel=0.05)
    assert noise.shot == pytest.approx(plain.shot, rel=0.15)
    assert plain.dark == pytest.approx(np.sqrt(3.0**2 + 0.5 * 500), rel=0.05)


def test_no_field_is_refused():
    with pytest.raises(ValueError, match=says("noise.no_field")):
        camera_noise([], 1.0)


def test_level_under_the_background_has_the_dark_noise():
    noise = CameraNoise(4.0, 2.0)
    assert noise.at(np.float32([-50.0, 0.0])).tolist() == [4.0, 4.0]


def test_noise_at_a_level_has_a_part_of_photons_and_a_part_of_the_flat_field():
    """√(3² + 0.16 × 100 + (0.01 × 100)²) = √26."""
    spread = CameraNoise(dark=3.0, shot=0.16).at(np.array([-5.0, 0.0, 100.0], np.float32))
    assert spread == pytest.approx([3.0, 3.0, np.sqrt(26.0)], rel=1e-5)
