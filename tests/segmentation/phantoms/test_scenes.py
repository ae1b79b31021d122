from __future__ import annotations

import numpy as np
import pytest

from segmentation.phantoms.render import Culture, Optics, render
from segmentation.phantoms.scenes import LEVELS, scene
from tests.messages import says


@pytest.mark.parametrize("level", LEVELS)
def test_every_scene_renders_the_same_twice_and_differs_by_seed(level):
    def once(seed):
        return render(*scene(level, seed, shape=(200, 200)), seed)

    first, again, other = once(1), once(1), once(2)
    assert np.array_equal(first.field.pixels, again.field.pixels)
    assert np.array_equal(first.truth.nuclei, again.truth.nuclei)
    assert not np.array_equal(first.field.pixels, other.field.pixels)


def test_an_unknown_scene_is_refused():
    with pytest.raises(ValueError, match=says("scenes.unknown_difficulty")):
        scene("brutal", 1)


def test_the_easy_scene_is_the_textbook():
    assert scene("easy", 5, shape=(100, 120), pixel_size_um=0.5) == (
        Culture(),
        Optics(shape=(100, 120), pixel_size_um=0.5),
    )


@pytest.mark.parametrize(
    ("level", "low", "high"), [("medium", 120, 280), ("hard", 200, 450), ("wild", 0, 700)]
)
def test_densities_stay_in_their_range_and_the_camera_in_view(level, low, high):
    for seed in range(30):
        culture, optics = scene(level, seed, shape=(200, 200), pixel_size_um=0.4)
        assert low <= culture.neurons_per_mm2 <= high
        assert (optics.shape, optics.pixel_size_um) == ((200, 200), 0.4)
        assert optics.psf_sigma_um >= 0.18
        assert optics.bits in (12, 14, 16)


def test_clutter_grows_with_the_level():
    medium, hard = (scene(level, 1)[0].clutter for level in ("medium", "hard"))
    assert (medium.clumping, hard.clumping) == (0.2, 0.5)
    assert medium.debris_per_mm2 < hard.debris_per_mm2
