"""Scenes of known difficulty: which culture under which microscope the phantoms draw.

"easy" is the textbook; "medium" is a good plate; "hard" is a dense, dim, dirty one; "wild" spans
all of them and beyond and is what `motornet` is trained on. Every scene is drawn from a generator,
so that no two are alike.
"""

from __future__ import annotations

import numpy as np

from segmentation.phantoms.render import Culture, Optics
from segmentation.phantoms.scenery import Clutter

LEVELS = ("easy", "medium", "hard", "wild")


def scene(
    level: str,
    seed: int | np.random.SeedSequence,
    *,
    shape: tuple[int, int] = (512, 512),
    pixel_size_um: float = 0.325,
) -> tuple[Culture, Optics]:
    """A culture and the optics it is seen with. Raises ValueError for an unknown level."""
    rng = np.random.default_rng(seed)
    if level == "easy":
        return Culture(), Optics(shape=shape, pixel_size_um=pixel_size_um)
    if level == "medium":
        return _medium(rng, shape, pixel_size_um)
    if level == "hard":
        return _hard(rng, shape, pixel_size_um)
    if level == "wild":
        return _wild(rng, shape, pixel_size_um)
    raise ValueError(f"unknown difficulty {level!r}; known: {', '.join(LEVELS)}")


def _psf(rng: np.random.Generator, pixel_size_um: float) -> float:
    """σ of the point spread function: objectives resolve about what the camera samples."""
    return float(max(0.2, rng.uniform(0.45, 1.0) * pixel_size_um))


def _medium(
    rng: np.random.Generator, shape: tuple[int, int], pixel_size_um: float
) -> tuple[Culture, Optics]:
    clutter = Clutter(
        clumping=0.2,
        irregularity=0.06,
        texture=0.2,
        stain_spread=0.2,
        mitotic_per_mm2=5,
        spindles_per_mm2=12,
        flat_cells_per_mm2=12,
        passing_per_mm2=60,
        thin=0.2,
        branches_per_100um=0.5,
        bundles=0.05,
        beading=0.15,
        growth_cones=0.3,
        neurite_spread=0.3,
        wander=0.06,
        debris_per_mm2=50,
        speckle=0.1,
        haze_texture=0.2,
        defocus=0.03,
    )
    culture = Culture(
        neurons_per_mm2=rng.uniform(120, 280),
        glia_per_mm2=rng.uniform(20, 120),
        puncta_per_neuron=2.0,
        puncta_snr=8.0,
        clutter=clutter,
    )
    return culture, Optics(
        shape,
        pixel_size_um,
        psf_sigma_um=_psf(rng, pixel_size_um),
        vignetting=0.25,
        exposure=rng.uniform(0.6, 1.2),
        bleed_through=0.02,
    )


def _hard(
    rng: np.random.Generator, shape: tuple[int, int], pixel_size_um: float
) -> tuple[Culture, Optics]:
    clutter = Clutter(
        clumping=0.5,
        irregularity=0.12,
        texture=0.35,
        stain_spread=0.45,
        mitotic_per_mm2=10,
        spindles_per_mm2=50,
        flat_cells_per_mm2=50,
        passing_per_mm2=150,
        thin=0.5,
        branches_per_100um=0.8,
        bundles=0.2,
        beading=0.5,
        fragmentation=0.12,
        growth_cones=0.5,
        neurite_spread=0.6,
        wander=0.1,
        debris_per_mm2=250,
        lint_per_mm2=0.5,
        speckle=0.5,
        haze_texture=0.6,
        defocus=0.12,
    )
    culture = Culture(
        neurons_per_mm2=rng.uniform(200, 450),
        glia_per_mm2=rng.uniform(80, 300),
        pyknotic_per_mm2=80,
        puncta_per_neuron=3.0,
        puncta_snr=5.0,
        clutter=clutter,
    )
    optics = Optics(
        shape,
        pixel_size_um,
        psf_sigma_um=_psf(rng, pixel_size_um),
        vignetting=0.45,
        exposure=rng.uniform(0.15, 0.6),
        haze=90.0,
        bleed_through=0.08,
        bits=int(rng.choice([12, 14, 16])),
    )
    return culture, optics


def _wild(
    rng: np.random.Generator, shape: tuple[int, int], pixel_size_um: float
) -> tuple[Culture, Optics]:
    def upto(most: float) -> float:
        """Often little, sometimes much."""
        return float(most * rng.random() ** 2)

    field_mm2 = shape[0] * shape[1] * pixel_size_um**2 / 1e6
    clutter = Clutter(
        clumping=upto(0.9),
        irregularity=rng.uniform(0.02, 0.16),
        texture=upto(0.6),
        stain_spread=upto(0.7),
        mitotic_per_mm2=upto(60),
        spindles_per_mm2=upto(8 / field_mm2),
        flat_cells_per_mm2=upto(8 / field_mm2),
        passing_per_mm2=upto(22 / field_mm2),
        thin=rng.random(),
        branches_per_100um=upto(1.2),
        bundles=upto(0.5),
        beading=upto(1.0),
        fragmentation=upto(0.3),
        growth_cones=upto(0.9),
        neurite_spread=rng.uniform(0, 1.0),
        wander=float(np.exp(rng.uniform(np.log(0.008), np.log(0.12)))),
        debris_per_mm2=upto(50 / field_mm2),
        lint_per_mm2=upto(0.4 / field_mm2),
        speckle=upto(1.5),
        haze_texture=upto(1.2),
        defocus=upto(0.4),
        blurred_per_mm2=upto(12 / field_mm2),
    )
    culture = Culture(
        neurons_per_mm2=min(700.0, upto(14 / field_mm2)),
        glia_per_mm2=upto(400),
        pyknotic_per_mm2=upto(200),
        neurite_length_um=rng.uniform(40, 300),
        neurites_per_neuron=int(rng.integers(1, 7)),
        nc_log2=rng.uniform(-2, 2.5),
        puncta_per_neuron=upto(12.0),
        puncta_snr=float(np.exp(rng.uniform(np.log(2.0), np.log(14)))),
        clutter=clutter,
    )
    exposure = float(np.exp(rng.uniform(np.log(0.08), np.log(4.0))))
    optics = Optics(
        shape,
        pixel_size_um,
        psf_sigma_um=_psf(rng, pixel_size_um) * float(rng.choice([1, 1, 1, 1.8])),
        vignetting=upto(0.7),
        exposure=exposure,
        haze=float(np.exp(rng.uniform(np.log(15), np.log(300)))),
        read_noise=rng.uniform(1, 12),
        bleed_through=upto(0.2),
        bits=int(rng.choice([12, 12, 14, 16])),
        gain=rng.uniform(0.5, 3.0),
    )
    return culture, optics
