from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segmentation.phantoms.render import Culture, Optics, render
from segmentation.phantoms.scenery import Clutter

SMALL = Optics(shape=(256, 256), pixel_size_um=0.325)
BUSY = Clutter(
    clumping=0.3,
    irregularity=0.1,
    texture=0.3,
    stain_spread=0.3,
    mitotic_per_mm2=200,
    spindles_per_mm2=300,
    flat_cells_per_mm2=200,
    passing_per_mm2=800,
    thin=0.5,
    branches_per_100um=1.0,
    bundles=0.5,
    beading=0.5,
    fragmentation=0.5,
    growth_cones=0.5,
    neurite_spread=0.5,
    wander=0.1,
    debris_per_mm2=500,
    lint_per_mm2=100,
    speckle=0.5,
    haze_texture=0.5,
    defocus=0.1,
)


def test_what_surrounds_the_neurons_moves_none_of_them():
    """Debris and haze draw from a stream of their own: truth differs by the clutter alone."""
    plain = render(Culture(neurons_per_mm2=600), SMALL, 3)
    dirty = render(
        Culture(
            neurons_per_mm2=600,
            clutter=Clutter(debris_per_mm2=800, haze_texture=0.5, spindles_per_mm2=200),
        ),
        SMALL,
        3,
    )
    assert np.array_equal(plain.truth.somas, dirty.truth.somas)
    assert not np.array_equal(plain.field.pixels, dirty.field.pixels)


def test_spindle_cells_bring_nuclei_but_neither_somas_nor_neurites():
    nobody = Culture(neurons_per_mm2=0, glia_per_mm2=0, pyknotic_per_mm2=0)
    phantom = render(
        replace(
            nobody,
            clutter=Clutter(spindles_per_mm2=600, flat_cells_per_mm2=300, debris_per_mm2=300),
        ),
        SMALL,
        1,
    )
    assert phantom.truth.nuclei.max() > 0
    assert len(phantom.truth.neuron) == phantom.truth.nuclei.max()
    assert not phantom.truth.neuron.any()
    assert not phantom.truth.somas.any()
    assert not phantom.truth.centre_lines().any()
    # They are nevertheless bright where neurites are looked for.
    assert np.ptp(phantom.field.channel("neurite")) > 300


def test_truth_agrees_with_itself_in_a_busy_scene():
    truth = render(Culture(neurons_per_mm2=500, clutter=BUSY), SMALL, 5).truth
    assert (
        len(truth.neurites_yx)
        == len(truth.neurite_width_um)
        == len(truth.neurite_nucleus)
        == len(truth.neurite_length_um)
    )
    assert {"thin", "wide"} == {"thin" if w < 0.8 else "wide" for w in truth.neurite_width_um}
    lines, mask = truth.centre_lines(), truth.neurite_mask(0.325)
    assert lines.any()
    assert not (lines & (truth.somas > 0)).any()
    assert mask.sum() > 1.5 * lines.sum()
    assert (mask | ~lines).mean() > 0.999  # a mask holds its own centre line
    finer = truth.neurite_mask(0.325, zoom=2.0)
    assert finer.shape == (512, 512)
    assert finer.sum() == pytest.approx(4 * mask.sum(), rel=0.2)


def test_neurites_brighten_the_pixels_that_truth_gives_them():
    phantom = render(Culture(neurons_per_mm2=200, clutter=Clutter(thin=1.0, wander=0.05)), SMALL, 2)
    image = phantom.field.channel("neurite")
    assert np.median(image[phantom.truth.centre_lines()]) > np.percentile(image, 80)


@pytest.mark.parametrize("bits", [8, 12])
def test_a_camera_saturates_at_its_depth(bits):
    pixels = render(
        Culture(neurons_per_mm2=600), replace(SMALL, bits=bits, gain=3.0, exposure=3.0), 1
    ).field.pixels
    assert pixels.max() == 2**bits - 1


def test_bleed_through_shows_nuclei_in_the_next_channel():
    nuclei = Culture(neurons_per_mm2=0, glia_per_mm2=500, pyknotic_per_mm2=0)
    clean, bled = (render(nuclei, replace(SMALL, bleed_through=share), 4) for share in (0.0, 0.2))
    inside = clean.truth.nuclei > 0
    assert clean.field.channel("neurite")[inside].mean() == pytest.approx(
        clean.field.channel("neurite")[~inside].mean(), rel=0.03
    )
    assert (
        bled.field.channel("neurite")[inside].mean()
        > 1.3 * bled.field.channel("neurite")[~inside].mean()
    )


def test_the_same_seed_draws_the_same_phantom():
    first, second = render(Culture(), SMALL, 3), render(Culture(), SMALL, 3)
    assert np.array_equal(first.field.pixels, second.field.pixels)
    assert not np.array_equal(first.field.pixels, render(Culture(), SMALL, 4).field.pixels)
