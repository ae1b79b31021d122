"""What is recognised as outside of the culture or as a clump, and what is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation import Field
from segmentation.phantoms.render import Culture, Optics, empty, render
from segmentation.phantoms.scenes import scene
from segmentation.valid_area import ValidArea, recognise
from tests import drawn
from tests.messages import says, states

SHAPE = (512, 512)


def area_of(field: Field) -> ValidArea:
    return recognise(field.pixels, field.roles, field.pixel_size_um)


@pytest.fixture(scope="module")
def cultured() -> Field:
    return drawn.culture(SHAPE, seed=5).photograph(5)


@pytest.mark.parametrize("fill", [0.0, 200.0, 65535.0, None])
@pytest.mark.parametrize(
    ("share", "side"), [(0.05, "left"), (0.15, "top"), (0.25, "right"), (0.1, "bottom")]
)
def test_a_margin_is_outside_to_its_edge(cultured, share, side, fill):
    inside = drawn.margin(SHAPE, share, side)
    area = area_of(drawn.outside_dark(cultured, inside, fill))
    assert area.inside is not None
    # The rim of the optics' blur, 1 µm and a pixel, is left out too.
    assert 0 <= area.outside - (~inside).mean() < 0.008
    assert (area.inside & ~inside).mean() < 2e-4
    assert area.clumps_um2 == ()


@pytest.mark.parametrize("fill", [0.0, None])
@pytest.mark.parametrize("kind", ["round", "turned", "two sides"])
def test_walls_of_other_shapes(cultured, kind, fill):
    if kind == "round":
        inside = drawn.round_well(SHAPE, 0.15)
    elif kind == "turned":
        turn = cv2.getRotationMatrix2D((256, 256), 8, 1)
        inside = cv2.warpAffine(np.ones(SHAPE, np.uint8), turn, SHAPE) > 0
    else:
        inside = drawn.margin(SHAPE, 0.12, "left") & drawn.margin(SHAPE, 0.1, "bottom")
    area = area_of(drawn.outside_dark(cultured, inside, fill))
    assert 0 <= area.outside - (~inside).mean() < 0.012


@pytest.mark.parametrize("haze", [0.0, 5.0, 60.0])
@pytest.mark.parametrize("kind", ["sparse", "half", "lawn on one half", "never exposed"])
def test_dark_culture_is_not_outside(kind, haze):
    half = drawn.margin(SHAPE, 0.5, "left")
    field = {
        "sparse": lambda: drawn.culture(SHAPE, per_mm2=20, seed=1).photograph(1, haze),
        "half": lambda: drawn.culture(SHAPE, within=half, keep_off=0, seed=2).photograph(2, haze),
        "lawn on one half": lambda: drawn.culture(
            SHAPE, within=half, keep_off=0, per_mm2=2500, seed=3
        ).photograph(3, haze),
        "never exposed": lambda: drawn.dark(SHAPE, 4),
    }[kind]()
    assert area_of(field) == ValidArea()


def test_a_ragged_lawn_that_reaches_far_is_not_a_culture_behind_a_wall():
    rng = np.random.default_rng(0)
    light = np.zeros(SHAPE)
    for y in range(0, 512, 12):
        for x in range(0, 300 + int(rng.integers(0, 40)), 12):
            cv2.circle(light, (x, y), 14, 300.0, cv2.FILLED)
    planes = np.stack([drawn.camera(rng, drawn.blurred(light, 1.0) + 20)] * 2)
    assert area_of(Field(planes, ("dna", "neurite"), 0.65)).outside == 0


@pytest.mark.parametrize("level", ["easy", "medium", "hard", "wild"])
def test_phantoms_are_culture_all_over(level):
    for seed in range(3):
        culture, optics = scene(level, seed)
        assert area_of(render(culture, optics, seed).field) == ValidArea()


def test_vignetting_and_an_emptied_field_are_culture():
    assert area_of(empty(Optics(vignetting=0.7), 0).field) == ValidArea()
    assert area_of(render(Culture(neurons_per_mm2=10), Optics(vignetting=0.7), 1).field) == (
        ValidArea()
    )


def test_a_clipped_medium_is_culture(cultured):
    dark = np.clip(cultured.pixels.astype(int) - 330, 0, 255).astype(np.uint8)
    assert area_of(Field(dark, cultured.roles, 0.65)) == ValidArea()


@pytest.mark.parametrize("level", [200.0, 400.0, 900.0, 4000.0])
@pytest.mark.parametrize("density", [50.0, 1500.0])
def test_a_sphere_is_a_clump_of_its_area_however_dim(level, density):
    culture = drawn.culture(SHAPE, seed=7, per_mm2=density)
    area = area_of(drawn.with_sphere(culture, (150, 170), 150, level).photograph(7))
    assert area.outside == 0
    assert len(area.clumps_um2) == 1
    # 6 µm around it are left out too.
    assert area.clumps_um2[0] == pytest.approx(np.pi * 78**2, rel=0.1)
    (note,) = area.notes()
    assert states("valid_area.clump", note, bodies=1, width=40, area=f"{area.clumps_um2[0]:.0f}")


def test_spheres_at_the_edge_and_of_other_sizes():
    culture = drawn.culture(SHAPE, seed=7, per_mm2=450)
    areas = [
        area_of(drawn.with_sphere(culture, centre, diameter, 600).photograph(7)).clumps_um2
        for centre, diameter in (((0, 170), 150), ((150, 170), 60), ((150, 170), 250))
    ]
    assert [len(a) for a in areas] == [1, 1, 1]
    expected = [np.pi * 78**2 / 2, np.pi * 33**2, np.pi * 128**2]
    assert [a for (a,) in areas] == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("width_um", [60.0, 90.0])
@pytest.mark.parametrize("level", [300.0, 2000.0])
@pytest.mark.parametrize("density", [0.0, 450.0])
def test_haze_is_no_clump(width_um, level, density):
    culture = drawn.culture(SHAPE, seed=7, per_mm2=density)
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    away = np.hypot(y * 0.65 - 150, x * 0.65 - 170)
    haze = level * np.exp(-((away / width_um) ** 2) / 2)
    assert area_of(drawn.Scene(culture.light + haze, culture.centres, 0.65).photograph(7)) == (
        ValidArea()
    )


@pytest.mark.parametrize("density", [0.0, 20.0, 2000.0, 4000.0])
def test_neither_the_lamp_nor_a_lawn_is_a_clump(density):
    culture = drawn.culture(SHAPE, seed=3, per_mm2=density)
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    lamp = 1 - 0.3 * (y**2 + x**2)
    rng = np.random.default_rng(0)
    planes = [drawn.camera(rng, (drawn.blurred(p, 0.6) + 200) * lamp) for p in culture.light]
    assert area_of(Field(np.stack(planes), drawn.ROLES, 0.65)) == ValidArea()


def test_light_between_the_cells_of_an_8_bit_image_is_no_clump():
    """Its medium is clipped to 0 and has no noise: faint light is then all that is not 0."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :512]
    image = np.zeros(x.shape)
    for place in rng.uniform(0, 512, (120, 2)):
        image += 80 * (np.hypot(y - place[0], x - place[1]) < 7)
    for place in rng.uniform(0, 512, (700, 2)):
        image += 4 * (np.hypot(y - place[0], x - place[1]) < 4)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    between = 3 * np.exp(-((np.hypot(y - 250, x - 250) / 60) ** 8))
    pixels = np.clip(image + between, 0, 255).astype(np.uint8)[None]
    assert area_of(Field(pixels, ("dna",), 0.65)).inside is None


def test_the_field_carries_its_area(cultured):
    inside = drawn.margin(SHAPE, 0.25, "left")
    field = drawn.outside_dark(cultured, inside, 0)
    assert field.valid_area is field.valid_area
    assert field.valid_area_um2 == pytest.approx(0.75 * field.area_um2, rel=0.01)
    given = Field(field.pixels, field.roles, 0.65, ValidArea())
    assert given.valid_area_um2 == field.area_um2
    with pytest.raises(ValueError, match=says("field.valid_area_shape")):
        Field(field.pixels, field.roles, 0.65, ValidArea(np.ones((4, 4), bool)))
