"""A field that was never exposed is told from one without cells, and neither is calibrated on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation import Field, load
from segmentation.filters.exposure import (
    plate_light,
    shows_cells,
    unexposed,
    with_cells,
    without_cells,
)
from segmentation.phantoms.render import Optics, empty, render
from segmentation.phantoms.scenes import scene
from tests import drawn
from tests.messages import says, states

SHAPE = (320, 320)


@pytest.fixture(scope="module")
def vehicles() -> list[Field]:
    return [drawn.culture(SHAPE, seed=s).photograph(s) for s in range(3)]


def blank(value: int = 7) -> Field:
    return Field(np.full((3, *SHAPE), value, np.uint16), drawn.ROLES, 0.65)


def no_cells(seed: int, haze: float = 60.0, px: float = 0.65) -> Field:
    return drawn.culture(SHAPE, px, per_mm2=0, seed=seed).photograph(seed, haze)


def smoothed(field: Field, sigma: float) -> Field:
    planes = [cv2.GaussianBlur(p.astype(np.float32), (0, 0), sigma) for p in field.pixels]
    return Field(np.stack(planes), field.roles, field.pixel_size_um)


@pytest.mark.parametrize("px", [0.2, 0.65, 1.3])
@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_noise_has_no_cells(px, sigma):
    for field in (no_cells(1, px=px), drawn.dark(SHAPE, 2, px)):
        field = smoothed(field, sigma) if sigma else field
        assert not any(shows_cells(field.channel(r), px) for r in drawn.ROLES)
        assert states("exposure.no_cells", without_cells(field), roles="dna and neurite")


def test_haze_a_lamp_s_profile_and_bright_pixels_are_no_cells():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    haze = 400 * np.exp(-((y - 100) ** 2 + (x - 200) ** 2) / 2 / 90**2)
    rng = np.random.default_rng(0)
    image = drawn.camera(rng, haze + 60).astype(np.float32)
    image[rng.integers(0, 320, 30), rng.integers(0, 320, 30)] = 60000
    assert not shows_cells(image, 0.65)
    assert without_cells(empty(Optics(vignetting=0.7), 0).field) != ""


def test_the_edge_of_an_empty_culture_is_no_cell():
    inside = drawn.round_well((512, 512), 0.15)
    field = drawn.culture((512, 512), per_mm2=0, seed=1).photograph(1)
    reason = without_cells(drawn.outside_dark(field, inside, 0))
    assert states("exposure.no_cells", reason, roles="dna and neurite")


@pytest.mark.parametrize("px", [0.325, 0.65, 1.3])
@pytest.mark.parametrize("density", [60.0, 900.0, 2000.0])
def test_cells_are_seen_at_any_density(px, density):
    side = round(330 / px)
    field = drawn.culture((side, side), px, per_mm2=density, seed=1).photograph(1)
    assert without_cells(field) == ""
    # Far out of focus too.
    assert without_cells(smoothed(field, 3 / px)) == ""


@pytest.mark.parametrize("level", ["easy", "medium", "hard", "wild"])
def test_phantoms_show_cells(level):
    culture, optics = scene(level, 0)
    assert without_cells(render(culture, optics, 0).field) == ""


def test_dark_and_blank_fields_are_named(vehicles):
    light = plate_light(vehicles)
    assert states("exposure.never", unexposed(drawn.dark(SHAPE, 3), light))
    assert states("exposure.single_value", unexposed(blank(), light), role="dna", value=7)
    assert [unexposed(f, light) for f in vehicles] == ["", "", ""]
    level, noise = light["dna"]
    assert level == pytest.approx(290, abs=4)
    assert noise == pytest.approx(np.hypot(1.5 * np.sqrt(60), 4), rel=0.08)


@pytest.mark.parametrize("haze", [20.0, 60.0])
def test_a_field_without_cells_was_exposed(vehicles, haze):
    light = plate_light([drawn.culture(SHAPE, seed=s).photograph(s, haze) for s in range(3)])
    assert unexposed(no_cells(5, haze), light) == ""
    # Cells scatter light: without them the medium is a little darker.
    assert unexposed(no_cells(5, 0.8 * haze), light) == ""
    assert unexposed(empty(Optics(shape=SHAPE), 0).field, light) == ""


def test_a_closed_shutter_of_one_channel_is_named(vehicles):
    light = plate_light(vehicles)
    for c, role in enumerate(drawn.ROLES):
        pixels = vehicles[0].pixels.copy()
        pixels[c] = drawn.dark(SHAPE, 9).pixels[c]
        assert unexposed(Field(pixels, drawn.ROLES, 0.65), light).startswith(f"channel {role} ")


def test_a_channel_without_signal_is_legitimate(vehicles):
    pixels = vehicles[0].pixels.copy()
    pixels[2] = no_cells(4).pixels[2]
    silent = Field(pixels, drawn.ROLES, 0.65)
    assert without_cells(silent) == ""
    assert unexposed(silent, plate_light(vehicles)) == ""


@pytest.mark.parametrize("name", ["classical", "motornet"])
def test_fields_without_cells_are_no_part_of_a_calibration(vehicles, name):
    engine = load(name, device="cpu")
    mixed = [blank(), vehicles[0], drawn.dark(SHAPE), *vehicles[1:], no_cells(3)]
    with pytest.warns(UserWarning, match=says("calibration.fields_left_out")):
        calibrated = engine.calibrate(mixed)
    assert calibrated.thresholds == engine.calibrate(vehicles).thresholds
    with pytest.raises(ValueError, match=says("calibration.no_field_shows_cells")):
        engine.calibrate([blank(), drawn.dark(SHAPE)])
    with pytest.raises(ValueError, match=says("classical.no_field")):
        with_cells([])
