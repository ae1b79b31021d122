from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field
from segmentation.filters.background import (
    Illumination,
    background_level,
    dark_level,
    estimate_illumination,
    no_illumination,
    noise_level,
)
from segmentation.phantoms.render import Culture, Optics, render
from segmentation.valid_area import ValidArea
from tests.messages import says, states

OPTICS = Optics()


def test_background_and_noise_of_a_known_image():
    rng = np.random.default_rng(0)
    image = (300 + rng.normal(0, 7, (512, 512))).astype(np.float32)
    image[100:140, 100:140] += 5000
    assert background_level(image) == pytest.approx(300, abs=2)
    assert noise_level(image) == pytest.approx(7, rel=0.05)


def test_few_fields_give_no_illumination():
    found = estimate_illumination([render(Culture(), OPTICS, 1).field])
    assert not any(found.applied)
    assert states("illumination.few_fields", found.reasons[0], least=8)


def test_the_background_is_the_tenth_percentile_of_the_blocks():
    blocks = np.arange(11, dtype=np.float32)
    assert background_level(np.kron(blocks[None], np.ones((16, 16), np.float32))) == pytest.approx(
        1.0
    )
    assert background_level(np.full((3, 3), 7, np.float32)) == 7


def test_noise_within_a_mask_is_that_of_its_pixels():
    rng = np.random.default_rng(1)
    image = rng.normal(0, 2, (300, 300)).astype(np.float32)
    image[:, 150:] *= 5
    right = np.zeros((300, 300), bool)
    right[:, 152:] = True
    assert noise_level(image, right) == pytest.approx(10, rel=0.05)
    assert noise_level(image, np.zeros((300, 300), bool)) == 0


CURVED = Illumination(
    ((0.0, 0.2, 0.0, -0.3, 0.0, -0.3), (0.0,) * 6), (True, False), ("", "too dark")
)


def test_a_profile_has_mean_one_and_the_shape_of_its_polynomial():
    profile = CURVED.profile(0, (101, 201))
    assert profile.mean() == pytest.approx(1, abs=1e-5)
    # y = 0 over y = -1
    assert profile[50, 100] / profile[0, 100] == pytest.approx(np.exp(0.2 + 0.3), rel=1e-4)
    assert profile[100, 100] / profile[0, 100] == pytest.approx(np.exp(0.4), rel=1e-4)
    assert profile[50, 200] / profile[50, 100] == pytest.approx(np.exp(-0.3), rel=1e-4)
    assert (CURVED.profile(1, (5, 6)) == 1).all()


def test_correction_takes_the_background_off_and_divides_where_a_profile_applies():
    shape = (160, 160)
    light = 1000 * CURVED.profile(0, shape)
    light[:, :80] = 0
    planes = np.stack([light + 200, np.full(shape, 9, np.float32)])
    field = Field(planes, ("dna", "neurite"), 0.5, ValidArea())
    corrected = CURVED.correct(field)
    assert corrected.channel("dna")[:, 80:] == pytest.approx(np.full((160, 80), 1000), rel=1e-4)
    assert corrected.channel("dna")[:, :80] == pytest.approx(np.zeros((160, 80)), abs=0.01)
    assert (corrected.channel("neurite") == 9).all()
    assert (corrected.roles, corrected.pixel_size_um) == (field.roles, 0.5)
    flat = no_illumination(2, "why")
    assert flat.correct(field) is field
    assert flat.reasons == ("why", "why")
    with pytest.raises(ValueError, match=says("background.channels_differ")):
        CURVED.correct(Field(field.pixels[:1], ("dna",), 0.5))


def drawn(profile, seed):
    """A field of random lit squares under a profile."""
    rng = np.random.default_rng(seed)
    light = np.zeros((256, 256))
    for y, x in rng.integers(0, 240, (120, 2)):
        light[y : y + 12, x : x + 12] = 1000
    return Field(
        (light * profile + rng.normal(100, 3, light.shape))[None].astype(np.float32), ("dna",), 0.5
    )


Y, X = np.meshgrid(*[np.linspace(-1, 1, 256)] * 2, indexing="ij")


def test_a_profile_is_found_to_its_coefficients():
    profile = np.exp(0.15 * Y - 0.3 * X * X)
    fitted = estimate_illumination([drawn(profile, s) for s in range(10)])
    assert fitted.applied == (True,)
    _, y, x, yy, yx, xx = fitted.coefficients[0]
    # Blocks count where their centres are: at their outer edges -0.3 would be -0.26.
    assert (y, x, yy, yx, xx) == pytest.approx((0.15, 0, 0, 0, -0.3), abs=0.025)


def hazy(profile, seed, haze, cells=600.0, dark=100.0):
    """Round cells of equal light in haze, both lit by the profile, and the camera's dark level."""
    rng = np.random.default_rng(seed)
    light = np.full((256, 256), haze * rng.uniform(0.8, 1.2))
    for y, x in rng.integers(10, 246, (25, 2)):
        light[np.hypot(*np.ogrid[-y : 256 - y, -x : 256 - x]) < 6] += cells
    return Field((light * profile + rng.normal(dark, 3, light.shape))[None], ("dna",), 0.5)


@pytest.mark.parametrize(("deep", "haze"), [(0.3, 50.0), (0.3, 300.0), (0.6, 50.0), (1.0, 50.0)])
def test_haze_is_lit_as_the_cells_are(deep, haze):
    """Before, the corners' haze was missing from their cells, and the middle's was left on its."""
    profile = np.exp(-deep * (Y * Y + X * X) / 2)
    fields = [hazy(profile, s, haze) for s in range(16)]
    found = estimate_illumination(fields)
    middle, corner = (Y**2 + X**2) / 2 < 0.1, (Y**2 + X**2) / 2 > 0.6
    levels = []
    for field in fields:
        even = found.correct(field).channel("dna")
        cells = even > 300
        levels.append(
            [
                np.median(even[part & where])
                for where in (middle, corner)
                for part in (cells, ~cells)
            ]
        )
    in_middle, beside_middle, in_corner, beside_corner = np.mean(levels, axis=0)
    assert in_corner / in_middle == pytest.approx(1, abs=0.05)
    assert (beside_middle, beside_corner) == pytest.approx((0, 0), abs=0.02 * haze + 2)


def test_a_background_that_does_not_follow_the_profile_is_the_camera_s():
    profile = np.exp(-0.6 * (Y * Y + X * X) / 2)
    fields = [hazy(profile, s, 0.0) for s in range(16)]
    found = estimate_illumination(fields)
    assert found.applied == (True,)
    assert found.dark[0] is None or found.dark[0] == pytest.approx(100, abs=1)
    even = estimate_illumination([hazy(np.ones_like(Y), s, 100.0) for s in range(16)])
    assert (even.applied, even.dark) == ((False,), (None,))


def test_the_dark_level_is_told_by_a_known_profile():
    profile = np.exp(-0.6 * (Y * Y + X * X) / 2)
    fields = [hazy(profile, s, 50.0) for s in range(16)]
    relative = (profile / profile.mean()).astype(np.float32)
    assert dark_level(fields, 0, relative) == pytest.approx(100, abs=2)
    assert dark_level(fields[:7], 0, relative) is None
    assert dark_level(fields, 0, np.ones_like(relative)) is None


def test_what_no_optics_does_is_not_corrected():
    deep = estimate_illumination([drawn(np.exp(1.6 * Y), s) for s in range(8)])
    assert deep.applied == (False,)
    assert states("illumination.of_cells", deep.reasons[0])
    even = estimate_illumination([drawn(np.ones_like(Y), s) for s in range(8)])
    assert even.applied == (False,)
    assert states("illumination.no_profile", even.reasons[0])
    dark = Field(np.random.default_rng(0).normal(100, 3, (1, 256, 256)), ("dna",), 0.5)
    assert states("illumination.dark", estimate_illumination([dark] * 8).reasons[0])
    with pytest.raises(ValueError, match=says("background.no_field")):
        estimate_illumination([])


def test_illumination_of_phantoms_is_recovered():
    fields = [render(Culture(neurons_per_mm2=400), OPTICS, 100 + s).field for s in range(16)]
    found = estimate_illumination(fields)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in OPTICS.shape), indexing="ij")
    true = 1 - OPTICS.vignetting * (y**2 + x**2) / 2
    for c in range(3):
        assert found.applied[c]
        left = found.profile(c, OPTICS.shape) / (true / true.mean())
        # What is left over the inner nine tenths is less than half of what was there.
        inner = np.s_[26:-26, 26:-26]
        assert np.ptp(left[inner]) < 0.5 * np.ptp(true[inner] / true.mean())


def test_the_background_within_a_mask_is_that_of_its_blocks():
    image = np.full((160, 160), 290, np.float32)
    image[:, :48] = 200
    assert background_level(image) == 200
    inside = np.ones((160, 160), bool)
    # A block that the mask cuts is left out whole.
    inside[:, :50] = False
    assert background_level(image, inside) == 290
    assert background_level(image, np.zeros((160, 160), bool)) == 0
