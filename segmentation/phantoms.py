"""Fields with exact ground truth: motor neurons drawn from known geometry and imaged by known optics.

Strategy. A neuron is a soma with a nucleus and neurites that walk away from it; each is drawn at twice the resolution as
a fluorophore map, the maps are blurred by the point spread function, lit by an uneven lamp and read by a noisy camera.
What was drawn is kept as truth: label images, neurite centre lines and their length outside somas, puncta positions.
These are cartoons with the right arithmetic, not photographs: they show that numbers are right, not that real plates
segment well.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Field, Image, Labels

_SUPER = 2  # drawing resolution over camera resolution
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


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


@dataclass(frozen=True)
class Culture:
    """Expected values of one well's biology. `neurons_per_mm2` is the live density; counts are Poisson."""

    neurons_per_mm2: float = 300.0
    glia_per_mm2: float = 40.0
    pyknotic_per_mm2: float = 20.0
    neurite_length_um: float = 180.0  # per neuron, mean of a gamma distribution
    neurites_per_neuron: int = 3
    nc_log2: float = 1.0  # log2 of nuclear over cytoplasmic concentration in the aggregate channel
    nc_log2_sd: float = 0.25
    puncta_per_neuron: float = 0.5
    puncta_snr: float = 12.0


@dataclass(frozen=True)
class Truth:
    """What was drawn. Positions are (y, x) in pixels of the field; lengths in µm."""

    nuclei: Labels
    somas: Labels
    neuron: NDArray[np.bool_]  # per nucleus: has a soma
    pyknotic: NDArray[np.bool_]  # per nucleus
    nc_log2: NDArray[np.float64]  # per nucleus, NaN where it is no neuron
    puncta_yx: NDArray[np.float64]  # (m, 2)
    puncta_nucleus: NDArray[np.int64]  # (m,)
    neurites_yx: list[NDArray[np.float64]] = field(default_factory=list)
    neurite_nucleus: list[int] = field(default_factory=list)
    neurite_length_um: list[float] = field(default_factory=list)  # outside somas and inside the field


@dataclass(frozen=True)
class Phantom:
    """A rendered field (channels dna, neurite, aggregate; uint16) and its truth."""

    field: Field
    truth: Truth


def render(culture: Culture, optics: Optics, seed: int | np.random.SeedSequence) -> Phantom:
    """Draw one field. The same arguments give the same pixels."""
    rng = np.random.default_rng(seed)
    height, width = (n * _SUPER for n in optics.shape)
    um = _SUPER / optics.pixel_size_um  # drawing pixels per µm
    area_mm2 = height * width / um**2 / 1e6
    counts = {
        kind: int(rng.poisson(density * area_mm2))
        for kind, density in (
            ("neuron", culture.neurons_per_mm2), ("glia", culture.glia_per_mm2), ("pyknotic", culture.pyknotic_per_mm2)
        )
    }  # fmt: skip
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    centres = _place(rng, len(kinds), (height, width), 13.0 * um)
    kinds = kinds[: len(centres)]

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
            _ellipse(somas, centre, soma_axes, angle, i)
            nucleus_axes = np.array([rng.normal(5.2, 0.35), rng.normal(4.5, 0.35)]) * um
        elif kind == "glia":
            nucleus_axes = np.array([rng.normal(8.0, 0.6), rng.normal(5.5, 0.5)]) * um
        else:
            nucleus_axes = np.array([rng.normal(2.6, 0.2), rng.normal(2.4, 0.2)]) * um
        _ellipse(nuclei, centre, nucleus_axes, angle, i)
        window = _window(centre, um, nuclei.shape)
        inside = nuclei[window] == i
        brightness = 900.0 * rng.lognormal(0, 0.12) * (2.6 if kind == "pyknotic" else 1.0)
        dna[window][inside] = brightness * (1 + 0.15 * rng.standard_normal(int(inside.sum())))
    # A soma is drawn under nuclei that came later; a nucleus always lies in its own soma.
    owner = np.where(nuclei > 0, nuclei, somas)
    for i, kind in enumerate(kinds, start=1):
        if kind != "neuron":
            continue
        window = _window(centres[i - 1], um, nuclei.shape)
        body = owner[window] == i
        nucleus = nuclei[window] == i
        tubulin[window][body & ~nucleus] = 700.0 * rng.lognormal(0, 0.15)
        tubulin[window][nucleus] = 250.0
        nc[i - 1] = rng.normal(culture.nc_log2, culture.nc_log2_sd)
        level = 350.0 * rng.lognormal(0, 0.1)
        protein[window][nucleus] = level * 2 ** (nc[i - 1] / 2)
        protein[window][body & ~nucleus] = level * 2 ** (-nc[i - 1] / 2)
    somas_only = np.where((owner > 0) & np.isin(owner, [i for i, k in enumerate(kinds, 1) if k == "neuron"]), owner, 0)

    lines, owners = _grow_neurites(rng, culture, kinds, centres, um, (height, width), tubulin)
    puncta, puncta_owner = _scatter_puncta(rng, culture, kinds, centres, owner, nuclei, um, optics, protein)

    channels = [_image(rng, optics, plane) for plane in (dna, tubulin, protein)]
    pixels = np.stack(channels)
    truth_nuclei = np.ascontiguousarray(nuclei[_SUPER // 2 :: _SUPER, _SUPER // 2 :: _SUPER])
    truth_somas = np.ascontiguousarray(somas_only[_SUPER // 2 :: _SUPER, _SUPER // 2 :: _SUPER]).astype(np.int32)
    truth = Truth(
        nuclei=truth_nuclei,
        somas=truth_somas,
        neuron=np.array([k == "neuron" for k in kinds], bool),
        pyknotic=np.array([k == "pyknotic" for k in kinds], bool),
        nc_log2=nc,
        puncta_yx=(puncta + 0.5) / _SUPER - 0.5,
        puncta_nucleus=puncta_owner,
        neurites_yx=[(line + 0.5) / _SUPER - 0.5 for line in lines],
        neurite_nucleus=owners,
        neurite_length_um=[_visible_length(line, somas_only, um) for line in lines],
    )
    return Phantom(Field(pixels, ("dna", "neurite", "aggregate"), optics.pixel_size_um), truth)


def _place(rng: np.random.Generator, count: int, shape: tuple[int, int], distance: float) -> NDArray[np.float64]:
    """Up to `count` centres at least `distance` apart (random sequential addition)."""
    chosen: list[NDArray[np.float64]] = []
    for _ in range(count):
        for _ in range(200):
            candidate = rng.uniform((0, 0), shape)
            if all(np.hypot(*(candidate - other)) >= distance for other in chosen):
                chosen.append(candidate)
                break
    return np.array(chosen).reshape(-1, 2)


def _ellipse(canvas: Labels, centre: NDArray[np.float64], axes: NDArray[np.float64], angle: float, value: int) -> None:
    fixed = tuple(int(v * (1 << _SHIFT)) for v in (centre[1], centre[0]))
    size = tuple(int(v * (1 << _SHIFT)) for v in axes)
    cv2.ellipse(canvas, fixed, size, angle, 0, 360, value, cv2.FILLED, cv2.LINE_8, _SHIFT)


def _window(centre: NDArray[np.float64], um: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Slices of 16 µm around a centre: no cell is larger, and masks of the whole canvas per cell would take seconds."""
    reach = int(16 * um)
    y, x = (slice(max(0, int(c) - reach), min(n, int(c) + reach + 1)) for c, n in zip(centre, shape, strict=True))
    return y, x


def _grow_neurites(
    rng: np.random.Generator,
    culture: Culture,
    kinds: list[str],
    centres: NDArray[np.float64],
    um: float,
    shape: tuple[int, int],
    tubulin: Image,
) -> tuple[list[NDArray[np.float64]], list[int]]:
    """Add neurites to the tubulin map; returns their centre lines (y, x) and owners."""
    lines, owners = [], []
    step = 2.0 * um
    for i, (kind, centre) in enumerate(zip(kinds, centres, strict=True), start=1):
        if kind != "neuron":
            continue
        total = rng.gamma(6.0, culture.neurite_length_um / 6.0)
        shares = rng.dirichlet(np.full(culture.neurites_per_neuron, 4.0)) * total
        start = rng.uniform(0, 2 * np.pi)
        for n, share in enumerate(shares):
            # The neurite starts at the soma's centre: the part under the soma (about 8.5 µm) is not visible length.
            steps = max(2, round((share + 8.5) * um / step))
            heading = start + 2 * np.pi * n / culture.neurites_per_neuron + np.cumsum(rng.normal(0, 0.16, steps))
            line = centre + np.cumsum(step * np.stack([np.sin(heading), np.cos(heading)], axis=1), axis=0)
            line = np.vstack([centre, line])
            # Drawn from inside the soma's rim, not through the nucleus.
            _draw_line(
                tubulin,
                line[3:] if len(line) > 5 else line,
                max(2, round(rng.uniform(1.0, 1.8) * um)),
                rng.uniform(300, 600),
            )
            lines.append(line)
            owners.append(i)
    return lines, owners


def _draw_line(canvas: Image, line: NDArray[np.float64], thickness: int, brightness: float) -> None:
    """Add an anti-aliased polyline to the canvas, in a window around it."""
    margin = thickness + 2
    low = np.maximum(np.floor(line.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(line.max(axis=0)).astype(int) + margin, canvas.shape)
    if (high <= low).any():
        return
    window = np.zeros(tuple(high - low), np.uint8)
    points = np.round((line - low)[:, ::-1] * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(window, [points], False, 255, thickness, cv2.LINE_AA, _SHIFT)
    canvas[low[0] : high[0], low[1] : high[1]] += window.astype(np.float32) * (brightness / 255)


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
        if not count:
            continue
        window = _window(centres[i - 1], um, nuclei.shape)
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
            noise = np.sqrt(around + (optics.read_noise / optics.gain) ** 2)
            # The camera sees the punctum after the point spread function has spread it.
            spread = np.hypot(sigma, optics.psf_sigma_um * um)
            _add_spot(protein, centre, sigma, culture.puncta_snr * noise * (spread / sigma) ** 2)
            positions.append(centre)
            owners.append(i)
    return np.array(positions).reshape(-1, 2), np.array(owners, np.int64)


def _add_spot(canvas: Image, centre: NDArray[np.float64], sigma: float, height: float) -> None:
    reach = int(np.ceil(4 * sigma))
    y, x = (int(v) for v in centre)
    ys = np.arange(max(0, y - reach), min(canvas.shape[0], y + reach + 1))
    xs = np.arange(max(0, x - reach), min(canvas.shape[1], x + reach + 1))
    gy = np.exp(-((ys - centre[0]) ** 2) / (2 * sigma**2))
    gx = np.exp(-((xs - centre[1]) ** 2) / (2 * sigma**2))
    canvas[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] += (height * gy[:, None] * gx[None, :]).astype(np.float32)


def _image(rng: np.random.Generator, optics: Optics, fluorophores: Image) -> NDArray[np.uint16]:
    """Optics and camera: blur, bin to camera pixels, vignetting, shot and read noise, 16 bit."""
    sigma = optics.psf_sigma_um * _SUPER / optics.pixel_size_um
    light = cv2.GaussianBlur(fluorophores, (0, 0), sigma)
    light = cv2.resize(light, optics.shape[::-1], interpolation=cv2.INTER_AREA) + optics.haze
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in optics.shape), indexing="ij")
    light = light * (1 - optics.vignetting * (y**2 + x**2) / 2)
    electrons = rng.poisson(light) + rng.normal(0, optics.read_noise / optics.gain, light.shape)
    return np.asarray(np.clip(np.round(electrons * optics.gain + optics.offset), 0, 65535), np.uint16)


def empty(optics: Optics, seed: int) -> Phantom:
    """A field without any cell: what a wholly toxic dose leaves."""
    return render(replace(Culture(), neurons_per_mm2=0, glia_per_mm2=0, pyknotic_per_mm2=0), optics, seed)
