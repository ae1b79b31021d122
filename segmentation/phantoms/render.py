"""Fields with exact ground truth: neurons of known geometry, imaged by known optics.

Strategy. A neuron is a soma with a nucleus and neurites that walk away from it; each is drawn at
twice the resolution as a fluorophore map, the maps are blurred by the point spread function, lit by
an uneven lamp and read by a noisy camera. What was drawn is kept as truth: label images, neurite
centre lines and their length outside somas, puncta positions. `Culture()` and `Optics()` draw
textbook cells; their `Clutter` and `phantom_scenes` bring in what real plates have. These are
cartoons with the right arithmetic, not photographs: they show that numbers are right, not that real
plates segment well.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Field, Image, Labels, Mask
from segmentation.phantoms.drawing import SHIFT, Points, add_spot, blob, draw_polygon, smooth_noise
from segmentation.phantoms.neurites import Neurites
from segmentation.phantoms.scenery import (
    Clutter,
    add_blurred_fibre,
    add_debris,
    add_flat_cell,
    add_haze,
    add_lint,
    add_spindle,
)

_SUPER = 2  # drawing resolution over camera resolution


@dataclass(frozen=True)
class Optics:
    """Microscope and camera. Grey levels are photo-electrons × `gain` + `offset`."""

    shape: tuple[int, int] = (512, 512)
    pixel_size_um: float = 0.65
    psf_sigma_um: float = 0.45
    vignetting: float = 0.25  # the corner's loss of light
    offset: float = 200.0
    gain: float = 1.5
    read_noise: float = 4.0
    haze: float = 60.0  # out-of-focus and autofluorescent light, photo-electrons
    exposure: float = 1.0  # scales all light
    bleed_through: float = 0.0  # share of each channel's light that the next one sees
    bits: int = 16  # of the camera; brighter pixels saturate


_TEXTBOOK = Clutter()


@dataclass(frozen=True)
class Culture:
    """Expected values of one well's biology.

    `neurons_per_mm2` is the live density; counts are Poisson.
    """

    neurons_per_mm2: float = 300.0
    glia_per_mm2: float = 40.0
    pyknotic_per_mm2: float = 20.0
    neurite_length_um: float = 180.0  # per neuron, mean of a gamma distribution
    neurites_per_neuron: int = 3
    nc_log2: float = 1.0  # log2 of nuclear over cytoplasmic concentration in the aggregate channel
    nc_log2_sd: float = 0.25
    puncta_per_neuron: float = 0.5
    puncta_snr: float = 12.0
    clutter: Clutter = _TEXTBOOK


@dataclass(frozen=True)
class Truth:
    """What was drawn. Positions are (y, x) in pixels of the field; lengths in µm."""

    nuclei: Labels
    somas: Labels
    neuron: NDArray[np.bool_]  # per nucleus: has a soma
    pyknotic: NDArray[np.bool_]  # per nucleus
    nc_log2: NDArray[np.float64]  # per nucleus, NaN where it is not a neuron
    puncta_yx: NDArray[np.float64]  # (m, 2)
    puncta_nucleus: NDArray[np.int64]  # (m,)
    neurites_yx: list[NDArray[np.float64]] = field(default_factory=list)
    neurite_nucleus: list[int] = field(default_factory=list)
    # outside somas and inside the field
    neurite_length_um: list[float] = field(default_factory=list)
    neurite_width_um: list[float] = field(default_factory=list)

    def neurite_mask(
        self, pixel_size_um: float, *, zoom: float = 1.0, min_width_px: float = 1.0
    ) -> Mask:
        """Neurites outside somas at their true width, on a grid `zoom` times finer.

        They are at least `min_width_px` wide. `min_width_px=1` with the widths of hairs gives the
        centre lines; (Y · zoom, X · zoom) bool.
        """
        shape = tuple(round(n * zoom) for n in self.somas.shape)
        mask = np.zeros(shape, np.uint8)
        for line, width in zip(self.neurites_yx, self.neurite_width_um, strict=True):
            thickness = max(1, round(max(width / pixel_size_um * zoom, min_width_px)))
            points = np.round(((line + 0.5) * zoom - 0.5)[:, ::-1] * (1 << SHIFT)).astype(np.int32)
            cv2.polylines(mask, [points], False, 1, thickness, cv2.LINE_8, SHIFT)
        somas = cv2.resize(
            (self.somas > 0).astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST
        )
        return np.asarray((mask > 0) & (somas == 0), bool)

    def centre_lines(self) -> Mask:
        """One-pixel centre lines (Y, X) bool of the neurites outside somas.

        They are what a careful tracer would draw.
        """
        return Truth.neurite_mask(
            replace(self, neurite_width_um=[0.0] * len(self.neurites_yx)), 1.0
        )


@dataclass(frozen=True)
class Phantom:
    """A rendered field (channels dna, neurite, aggregate; uint16) and its truth."""

    field: Field
    truth: Truth


def render(culture: Culture, optics: Optics, seed: int | np.random.SeedSequence) -> Phantom:
    """Draw one field. The same arguments give the same pixels."""
    rng = np.random.default_rng(seed)
    # Clutter draws from its own stream, so that switching it on moves no cell.
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    wild = np.random.default_rng(
        np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, 1))
    )
    clutter = culture.clutter
    height, width = (n * _SUPER for n in optics.shape)
    um = _SUPER / optics.pixel_size_um  # drawing pixels per µm
    area_mm2 = height * width / um**2 / 1e6
    counts = {
        kind: int(rng.poisson(density * area_mm2))
        for kind, density in (
            ("neuron", culture.neurons_per_mm2),
            ("glia", culture.glia_per_mm2),
            ("pyknotic", culture.pyknotic_per_mm2),
        )
    }
    if clutter.mitotic_per_mm2:
        counts["mitotic"] = int(wild.poisson(clutter.mitotic_per_mm2 * area_mm2))
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    centres = _place(rng, len(kinds), (height, width), 13.0 * um)
    kinds = kinds[: len(centres)]
    if clutter.clumping:
        _clump(wild, centres, clutter.clumping, 13.0 * um)

    nuclei = np.zeros((height, width), np.int32)
    somas = np.zeros((height, width), np.int32)
    dna = np.zeros((height, width), np.float32)
    tubulin = np.zeros((height, width), np.float32)
    protein = np.zeros((height, width), np.float32)
    nc = np.full(len(kinds), np.nan)
    for i, (kind, centre) in enumerate(zip(kinds, centres, strict=True), start=1):
        angle = float(rng.uniform(0, 180))
        if kind == "neuron":
            soma_axes = np.array([rng.normal(9.5, 0.8), rng.normal(7.5, 0.6)]) * um
            if clutter.irregularity:
                soma_axes *= wild.lognormal(0, 1.5 * clutter.irregularity, 2)
            _cell(wild, somas, centre, soma_axes, angle, i, clutter.irregularity)
            nucleus_axes = np.array([rng.normal(5.2, 0.35), rng.normal(4.5, 0.35)]) * um
        elif kind == "glia":
            nucleus_axes = np.array([rng.normal(8.0, 0.6), rng.normal(5.5, 0.5)]) * um
        elif kind == "mitotic":
            nucleus_axes = np.array([wild.normal(5.5, 0.6), wild.normal(1.8, 0.25)]) * um
        else:
            nucleus_axes = np.array([rng.normal(2.6, 0.2), rng.normal(2.4, 0.2)]) * um
        _cell(wild, nuclei, centre, nucleus_axes, angle, i, 0.7 * clutter.irregularity)
        window = _window(centre, um, nuclei.shape)
        inside = nuclei[window] == i
        brightness = (
            900.0 * rng.lognormal(0, 0.12) * (2.6 if kind in {"pyknotic", "mitotic"} else 1.0)
        )
        stain = 1 + 0.15 * rng.standard_normal(int(inside.sum()))
        if clutter.texture or clutter.stain_spread:
            brightness *= wild.lognormal(0, clutter.stain_spread)
            stain *= np.maximum(
                0.2, 1 + clutter.texture * smooth_noise(wild, inside.shape, 1.2 * um)[inside]
            )
        dna[window][inside] = brightness * stain
    # A soma is drawn under nuclei that came later; a nucleus always lies in its own soma.
    owner = np.where(nuclei > 0, nuclei, somas)
    for i, kind in enumerate(kinds, start=1):
        if kind != "neuron":
            continue
        window = _window(centres[i - 1], um, nuclei.shape)
        body = owner[window] == i
        nucleus = nuclei[window] == i
        filled = 700.0 * rng.lognormal(0, 0.15)
        hollow = 250.0
        if clutter.stain_spread:
            filled *= wild.lognormal(0, 1.3 * clutter.stain_spread)
            hollow = filled * wild.uniform(0.25, 1.0)
        tubulin[window][body & ~nucleus] = filled
        tubulin[window][nucleus] = hollow
        if clutter.texture:
            grain = np.maximum(
                0.2, 1 + 0.8 * clutter.texture * smooth_noise(wild, body.shape, 2.0 * um)
            )
            tubulin[window][body] *= grain[body]
        nc[i - 1] = rng.normal(culture.nc_log2, culture.nc_log2_sd)
        level = 350.0 * rng.lognormal(0, 0.1)
        protein[window][nucleus] = level * 2 ** (nc[i - 1] / 2)
        protein[window][body & ~nucleus] = level * 2 ** (-nc[i - 1] / 2)
    somas_only = np.where(
        (owner > 0) & np.isin(owner, [i for i, k in enumerate(kinds, 1) if k == "neuron"]), owner, 0
    )

    noise = float(
        np.sqrt(
            (max(optics.haze, 10.0) + (optics.read_noise / optics.gain) ** 2 / optics.exposure)
            / optics.exposure
        )
    )
    neurites = Neurites(
        rng,
        wild,
        culture.neurite_length_um,
        culture.neurites_per_neuron,
        clutter,
        um,
        optics.psf_sigma_um * um,
        noise,
        tubulin,
    )
    for i, (kind, centre) in enumerate(zip(kinds, centres, strict=True), start=1):
        if kind == "neuron":
            neurites.grow_from(i, centre)
    for _ in range(
        int(wild.poisson(clutter.passing_per_mm2 * area_mm2)) if clutter.passing_per_mm2 else 0
    ):
        neurites.pass_through()
    puncta, puncta_owner = _scatter_puncta(
        rng, culture, kinds, centres, owner, nuclei, um, optics, protein
    )
    kinds += _strew(wild, clutter, area_mm2, um, nuclei, (dna, tubulin, protein), len(kinds))

    planes = [dna, tubulin, protein]
    if clutter != Clutter():
        planes = [add_haze(wild, plane, um, optics.haze, clutter) for plane in planes]
    if optics.bleed_through:
        planes = [plane + optics.bleed_through * planes[c - 1] for c, plane in enumerate(planes)]
    pixels = np.stack([detect(rng, optics, plane, _SUPER) for plane in planes])
    truth_nuclei = np.ascontiguousarray(nuclei[_SUPER // 2 :: _SUPER, _SUPER // 2 :: _SUPER])
    truth_somas = np.ascontiguousarray(
        somas_only[_SUPER // 2 :: _SUPER, _SUPER // 2 :: _SUPER]
    ).astype(np.int32)
    truth = Truth(
        nuclei=truth_nuclei,
        somas=truth_somas,
        neuron=np.array([k == "neuron" for k in kinds], bool),
        pyknotic=np.array([k == "pyknotic" for k in kinds], bool),
        nc_log2=np.concatenate([nc, np.full(len(kinds) - len(nc), np.nan)]),
        puncta_yx=(puncta + 0.5) / _SUPER - 0.5,
        puncta_nucleus=puncta_owner,
        neurites_yx=[(line + 0.5) / _SUPER - 0.5 for line in neurites.lines],
        neurite_nucleus=neurites.owners,
        neurite_length_um=[_visible_length(line, somas_only, um) for line in neurites.lines],
        neurite_width_um=neurites.widths,
    )
    return Phantom(Field(pixels, ("dna", "neurite", "aggregate"), optics.pixel_size_um), truth)


def _strew(
    wild: np.random.Generator,
    clutter: Clutter,
    area_mm2: float,
    um: float,
    nuclei: Labels,
    planes: tuple[Image, Image, Image],
    cells: int,
) -> list[str]:
    """Draw all but neurons; returns the kinds of the nuclei that came with it."""
    dna, tubulin, _ = planes
    kinds: list[str] = []
    for _ in range(int(wild.poisson(clutter.flat_cells_per_mm2 * area_mm2))):
        add_flat_cell(wild, tubulin, um)
    for _ in range(int(wild.poisson(clutter.spindles_per_mm2 * area_mm2))):
        outline = add_spindle(wild, tubulin, dna, um)
        draw_polygon(nuclei, outline, cells + len(kinds) + 1)
        kinds.append("spindle")
    if clutter.blurred_per_mm2:
        for _ in range(int(wild.poisson(clutter.blurred_per_mm2 * area_mm2))):
            add_blurred_fibre(wild, tubulin, um)
    for _ in range(int(wild.poisson(clutter.debris_per_mm2 * area_mm2))):
        add_debris(wild, list(planes), um)
    for _ in range(int(wild.poisson(clutter.lint_per_mm2 * area_mm2))):
        add_lint(wild, list(planes), um)
    return kinds


def _clump(wild: np.random.Generator, centres: Points, share: float, distance: float) -> None:
    """Move a share of the cells to where they just touch another, in place."""
    for i in range(1, len(centres)):
        if wild.random() < share:
            angle = wild.uniform(0, 2 * np.pi)
            touching = centres[wild.integers(i)] + distance * wild.uniform(0.72, 1.05) * np.array(
                [np.sin(angle), np.cos(angle)]
            )
            others = np.delete(centres, i, axis=0)
            if np.hypot(*(others - touching).T).min() >= 0.7 * distance:
                centres[i] = touching


def _place(
    rng: np.random.Generator, count: int, shape: tuple[int, int], distance: float
) -> NDArray[np.float64]:
    """Up to `count` centres at least `distance` apart (random sequential addition)."""
    chosen: list[NDArray[np.float64]] = []
    for _ in range(count):
        for _ in range(200):
            candidate = rng.uniform((0, 0), shape)
            if all(np.hypot(*(candidate - other)) >= distance for other in chosen):
                chosen.append(candidate)
                break
    return np.array(chosen).reshape(-1, 2)


def _cell(
    wild: np.random.Generator,
    canvas: Labels,
    centre: Points,
    axes: Points,
    angle: float,
    value: int,
    irregularity: float,
) -> None:
    if irregularity:
        draw_polygon(canvas, blob(wild, centre, axes, angle, irregularity), value)
        return
    fixed = tuple(int(v * (1 << SHIFT)) for v in (centre[1], centre[0]))
    size = tuple(int(v * (1 << SHIFT)) for v in axes)
    cv2.ellipse(canvas, fixed, size, angle, 0, 360, value, cv2.FILLED, cv2.LINE_8, SHIFT)


def _window(centre: NDArray[np.float64], um: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Slices of 16 µm around a centre.

    No cell is larger, and masks of the whole canvas per cell would take seconds.
    """
    reach = int(16 * um)
    y, x = (
        slice(max(0, int(c) - reach), min(n, int(c) + reach + 1))
        for c, n in zip(centre, shape, strict=True)
    )
    return y, x


def _visible_length(line: NDArray[np.float64], somas: Labels, um: float) -> float:
    """Length in µm of a centre line inside the field and outside all somas."""
    ends = np.diff(line, axis=0)
    pieces = np.linspace(0, 1, 8, endpoint=False) + 1 / 16
    points = (line[:-1, None, :] + ends[:, None, :] * pieces[None, :, None]).reshape(-1, 2)
    weights = np.repeat(np.hypot(*ends.T) / len(pieces), len(pieces))
    index = np.floor(points + 0.5).astype(int)
    inside = ((index >= 0) & (index < somas.shape)).all(axis=1)
    free = np.zeros(len(points), bool)
    free[inside] = somas[index[inside, 0], index[inside, 1]] == 0
    return float(weights[free].sum() / um)


def _scatter_puncta(
    rng: np.random.Generator,
    culture: Culture,
    kinds: list[str],
    centres: NDArray[np.float64],
    owner: Labels,
    nuclei: Labels,
    um: float,
    optics: Optics,
    protein: Image,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Add Gaussian puncta to the cytoplasm, at least 2.5 µm apart within a cell."""
    positions: list[NDArray[np.float64]] = []
    owners: list[int] = []
    sigma = 0.35 * um
    for i, kind in enumerate(kinds, start=1):
        if kind != "neuron":
            continue
        count = int(rng.poisson(culture.puncta_per_neuron))
        window = _window(centres[i - 1], um, nuclei.shape)
        # A clumped cell may lie outside the field.
        if not count or nuclei[window].size == 0:
            continue
        cytoplasm = ((owner[window] == i) & (nuclei[window] != i)).astype(np.uint8)
        corner = np.array([window[0].start, window[1].start])
        free = np.argwhere(cv2.erode(cytoplasm, np.ones((5, 5), np.uint8)) > 0) + corner
        mine: list[NDArray[np.float64]] = []
        for candidate in rng.permutation(free)[:400] if len(free) else []:
            if len(mine) == count:
                break
            if all(np.hypot(*(candidate - other)) > 2.5 * um for other in mine):
                mine.append(candidate.astype(float))
        for centre in mine:
            y, x = (int(v) for v in centre)
            around = protein[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].mean() + optics.haze
            # In the light before the exposure, which is what is drawn here.
            noise = (
                np.sqrt(around * optics.exposure + (optics.read_noise / optics.gain) ** 2)
                / optics.exposure
            )
            # The camera sees the punctum after the point spread function has spread it.
            spread = np.hypot(sigma, optics.psf_sigma_um * um)
            add_spot(protein, centre, sigma, culture.puncta_snr * noise * (spread / sigma) ** 2)
            positions.append(centre)
            owners.append(i)
    return np.array(positions).reshape(-1, 2), np.array(owners, np.int64)


def detect(
    rng: np.random.Generator, optics: Optics, fluorophores: Image, finer: int = 1
) -> NDArray[np.uint16]:
    """Image the fluorophores with the optics and the camera.

    Blur, binning to camera pixels (`finer` times coarser), vignetting, shot and read noise, bit
    depth.
    """
    sigma = optics.psf_sigma_um * finer / optics.pixel_size_um
    light = cv2.GaussianBlur(fluorophores, (0, 0), sigma)
    light = cv2.resize(light, optics.shape[::-1], interpolation=cv2.INTER_AREA) + optics.haze
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in optics.shape), indexing="ij")
    light = np.maximum(light * (1 - optics.vignetting * (y**2 + x**2) / 2), 0) * optics.exposure
    electrons = rng.poisson(light) + rng.normal(0, optics.read_noise / optics.gain, light.shape)
    return np.asarray(
        np.clip(np.round(electrons * optics.gain + optics.offset), 0, 2**optics.bits - 1), np.uint16
    )


def empty(optics: Optics, seed: int) -> Phantom:
    """A field without any cell: what a wholly toxic dose leaves."""
    return render(
        replace(Culture(), neurons_per_mm2=0, glia_per_mm2=0, pyknotic_per_mm2=0), optics, seed
    )
