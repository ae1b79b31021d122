"""Fields of smooth cells whose every number is known, with a knob for each thing that may differ.

A cell is a nucleus in a soma of the same shape with a cytoplasm of a given width. Light is drawn in
photo-electrons on a grid of about 0.3 µm, blurred by the optics and read by a camera with photon
and read noise. Each cell draws from a generator of its own, so that a knob moves nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.phantoms.drawing import add_spot, draw_line, walk
from segmentation.phantoms.scenery import add_debris

Real = NDArray[np.float32]
ROLES = ("dna", "neurite", "identity", "aggregate", "granule", "envelope")
DNA, NEURITE, IDENTITY, AGGREGATE, GRANULE, ENVELOPE = range(6)
OFFSET, GAIN, READ_NOISE, HAZE = 200.0, 1.5, 4.0, 60.0
SPOT_UM = 0.3  # σ of a punctum before the optics
_EDGE_UM = 13.0  # no cell is cut by the field's edge


@dataclass(frozen=True)
class Scene:
    """What is drawn in one field. Densities per mm², lengths in µm, light in photo-electrons."""

    seed: int = 0
    side_um: float = 300.0
    px: float = 0.65
    neurons: float = 260.0
    glia: float = 50.0
    pyknotic: float = 20.0
    debris: float = 0.0
    nucleus_um: float = 5.0  # mean semi-axis
    cytoplasm_um: float = 4.0
    nuclear_light: float = 900.0
    protein_light: float = 200.0
    nc_log2: float = 1.0
    puncta: float = 4.0
    puncta_snr: float = 12.0
    neurite_um: float = 20.0
    sphere_um: float = 0.0
    haze: float = HAZE
    aggregate_haze: float = 0.0
    blur_um: float = 0.4
    read_noise: float = READ_NOISE
    vignetting: float = 0.0
    shift_px: float = 0.0  # of the aggregate channel
    margin: float = 0.0  # share of the field outside the culture
    margin_kind: str = ""  # black, dark, round
    exposed: bool = True
    blank: bool = False

    @property
    def pixels(self) -> int:
        """Pixels along a side."""
        return round(self.side_um / self.px)


@dataclass(frozen=True)
class Truth:
    """What was drawn in one field; means and sums over wells are made from it."""

    area_mm2: float
    nuclei: int
    neurons: int
    motor: int
    pyknotic: int
    length_um: float
    nc_log2: tuple[float, ...]
    puncta: tuple[int, ...]
    granules: tuple[int, ...]
    nucleus_um2: tuple[float, ...]
    soma_um2: tuple[float, ...]


@dataclass
class _Cell:
    kind: str
    centre: NDArray[np.float64]
    nucleus: NDArray[np.float64]
    soma: NDArray[np.float64]
    angle: float
    motor: bool = False
    nc_log2: float = 0.0
    puncta: int = 0
    granules: int = 0


def draw(scene: Scene) -> tuple[NDArray[np.uint16], Truth]:
    """Pixels (C, Y, X) of a field and what is true in it. Equal scenes give equal pixels."""
    n = scene.pixels
    if scene.blank:
        return np.full((len(ROLES), n, n), 180, np.uint16), _truth(scene, [], 0.0)
    finer = max(1, int(np.ceil(scene.px / 0.34)))
    fine = scene.px / finer
    light = np.zeros((len(ROLES), n * finer, n * finer), np.float32)
    inside = _culture(scene, n * finer, fine)
    cells = _cells(scene, inside, fine) if scene.exposed else []
    length = _draw_neurites(scene, cells, light[NEURITE], inside, fine)
    for number, cell in enumerate(cells):
        _draw_cell(scene, number, cell, light, fine)
    _draw_clutter(scene, light, fine)
    rng = np.random.default_rng([scene.seed, 9])
    seen = [
        _photograph(rng, scene, plane, role, finer, inside)
        for role, plane in zip(ROLES, light, strict=True)
    ]
    return np.stack(seen), _truth(scene, cells, length)


def _culture(scene: Scene, n: int, fine: float) -> NDArray[np.bool_]:
    """Where there is culture, on the fine grid."""
    inside = np.ones((n, n), bool)
    if scene.margin and scene.margin_kind == "round":
        y, x = np.mgrid[:n, :n]
        away = np.hypot(y - 0.1 * n, x - 0.1 * n)
        inside = away <= np.quantile(away, 1 - scene.margin)
    elif scene.margin:
        inside[:, n - round(scene.margin * n) :] = False
    return inside


def _cells(scene: Scene, inside: NDArray[np.bool_], fine: float) -> list[_Cell]:
    """Cells at least 24 µm apart, and clear of the field's and the culture's edge."""
    wanted = [
        kind
        for kind, density in (
            ("neuron", scene.neurons),
            ("pyknotic", scene.pyknotic),
            ("glia", scene.glia),
        )
        for _ in range(round(density * scene.side_um**2 / 1e6))
    ]
    rng = np.random.default_rng([scene.seed, 0])
    free = rng.uniform(_EDGE_UM, scene.side_um - _EDGE_UM, (40_000, 2))
    chosen: list[NDArray[np.float64]] = []
    for _ in wanted:
        if not len(free):
            break
        chosen.append(free[0])
        free = free[((free - free[0]) ** 2).sum(1) > 24.0**2]
    room = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    cells = []
    for number, (kind, centre) in enumerate(zip(wanted, chosen, strict=False)):
        y, x = (int(v / fine) for v in centre)
        clear_of_sphere = np.hypot(*(centre - scene.side_um / 2)) > scene.sphere_um / 2 + 25
        if room[y, x] * fine >= _EDGE_UM and (not scene.sphere_um or clear_of_sphere):
            cells.append(_cell(scene, number, kind, centre))
    return cells


def _cell(scene: Scene, number: int, kind: str, centre: NDArray[np.float64]) -> _Cell:
    rng = np.random.default_rng([scene.seed, 1, number])
    axes = {
        "neuron": np.array([1.06, 0.94]) * scene.nucleus_um * rng.normal(1, 0.05),
        "glia": np.array([8.0, 5.5]) * rng.normal(1, 0.06),
        "pyknotic": np.array([2.6, 2.4]) * rng.normal(1, 0.05),
    }[kind]
    cell = _Cell(kind, centre, axes, axes + scene.cytoplasm_um, float(rng.uniform(0, np.pi)))
    if kind == "neuron":
        cell.nc_log2 = float(rng.normal(scene.nc_log2, 0.15))
        cell.motor = number % 4 != 3
    return cell


def _ellipse(
    shape: tuple[int, int], centre: NDArray[np.float64], axes: NDArray[np.float64], angle: float
) -> tuple[Real, Real]:
    """Share of each pixel inside the ellipse, and the distance from its outline; all in pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y, x = y - centre[0], x - centre[1]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    rho = np.sqrt((u / axes[0]) ** 2 + (v / axes[1]) ** 2)
    slope = np.sqrt((u / axes[0] ** 2) ** 2 + (v / axes[1] ** 2) ** 2) / np.maximum(rho, 1e-6)
    away = (1 - rho) / np.maximum(slope, 1e-6)
    return np.clip(0.5 + away, 0, 1).astype(np.float32), away.astype(np.float32)


def _draw_cell(scene: Scene, number: int, cell: _Cell, light: Real, fine: float) -> None:
    rng = np.random.default_rng([scene.seed, 2, number])
    reach = int((cell.soma.max() + 3) / fine)
    corner = np.maximum((cell.centre / fine).astype(int) - reach, 0)
    window = np.s_[
        :,
        corner[0] : int(cell.centre[0] / fine) + reach,
        corner[1] : int(cell.centre[1] / fine) + reach,
    ]
    planes = light[window]
    shape = (planes.shape[1], planes.shape[2])
    place = cell.centre / fine - 0.5 - corner
    nucleus, from_rim = _ellipse(shape, place, cell.nucleus / fine, cell.angle)
    dna = scene.nuclear_light * rng.lognormal(0, 0.1) * (2.6 if cell.kind == "pyknotic" else 1)
    planes[DNA] += dna * nucleus
    planes[ENVELOPE] += (60 * nucleus + 300 * np.exp(-((from_rim * fine / 0.25) ** 2) / 2)).astype(
        np.float32
    )
    if cell.kind != "neuron":
        return
    soma, _ = _ellipse(shape, place, cell.soma / fine, cell.angle)
    cytoplasm = np.maximum(soma - nucleus, 0)
    # A neurite under a soma is not seen.
    planes[NEURITE] *= 1 - soma
    planes[NEURITE] += 700 * rng.lognormal(0, 0.1) * cytoplasm + 250 * nucleus
    planes[IDENTITY] += (500 if cell.motor else 40) * rng.lognormal(0, 0.1) * nucleus
    level = scene.protein_light * rng.lognormal(0, 0.1)
    high, low = 2 ** (cell.nc_log2 / 2), 2 ** (-cell.nc_log2 / 2)
    planes[AGGREGATE] += level * (high * nucleus + low * cytoplasm)
    planes[GRANULE] += 60 * cytoplasm
    spots = rng.spawn(2)
    cell.granules, _ = _draw_spots(spots[1], scene, planes[GRANULE], cytoplasm, 5.0, 60.0, fine)
    cell.puncta, light_of_puncta = _draw_spots(
        spots[0], scene, planes[AGGREGATE], cytoplasm, scene.puncta, 0.7 * scene.protein_light, fine
    )
    # Puncta are protein of the cytoplasm.
    in_cytoplasm = level * low + light_of_puncta / float(cytoplasm.sum())
    cell.nc_log2 = float(np.log2(level * high / in_cytoplasm))


def _draw_spots(
    rng: np.random.Generator,
    scene: Scene,
    plane: Real,
    cytoplasm: Real,
    expected: float,
    level: float,
    fine: float,
) -> tuple[int, float]:
    """Draw spots 2 µm apart and 0.8 µm from the cytoplasm's edges: how many, and their light."""
    wanted = int(rng.poisson(expected))
    deep = cv2.distanceTransform(np.pad((cytoplasm > 0.99).astype(np.uint8), 1), cv2.DIST_L2, 5)[
        1:-1, 1:-1
    ]
    free = rng.permutation(np.argwhere(deep * fine > 0.8)).astype(float)
    noise = np.sqrt(level + HAZE + (READ_NOISE / GAIN) ** 2)
    spread = np.hypot(SPOT_UM, 0.4)
    height = scene.puncta_snr * noise * (spread / SPOT_UM) ** 2
    drawn = 0
    while drawn < wanted and len(free):
        centre = free[0]
        add_spot(plane, centre, SPOT_UM / fine, height)
        free = free[((free - centre) ** 2).sum(1) > (2.0 / fine) ** 2]
        drawn += 1
    return drawn, drawn * 2 * np.pi * (SPOT_UM / fine) ** 2 * height


def _draw_neurites(
    scene: Scene, cells: list[_Cell], plane: Real, inside: NDArray[np.bool_], fine: float
) -> float:
    """Three neurites per neuron; returns their length outside somas and inside the culture."""
    lines = []
    for number, cell in enumerate(cells):
        if cell.kind != "neuron":
            continue
        rng = np.random.default_rng([scene.seed, 3, round(1e3 * cell.centre[0]), number])
        first = rng.uniform(0, 2 * np.pi)
        for k in range(3):
            length = cell.soma.mean() + rng.gamma(6, scene.neurite_um / 6)
            lines.append(walk(rng, cell.centre, first + 2.1 * k, length, 1.0, 0.05))
    length = 0.0
    for line in lines:
        draw_line(plane, line / fine - 0.5, max(1, round(1.3 / fine)), 300.0)
        middle, step = (line[1:] + line[:-1]) / 2, np.hypot(*np.diff(line, axis=0).T)
        seen = ((middle > 0) & (middle < scene.side_um)).all(1)
        y, x = np.minimum((middle / fine).astype(int), len(inside) - 1).clip(0).T
        seen &= inside[y, x]
        for cell in cells:
            if cell.kind == "neuron":
                seen &= _outside(middle, cell)
        length += float(step[seen].sum())
    np.minimum(plane, 300.0, out=plane)
    return length


def _outside(points: NDArray[np.float64], cell: _Cell) -> NDArray[np.bool_]:
    y, x = (points - cell.centre).T
    u = x * np.cos(cell.angle) + y * np.sin(cell.angle)
    v = y * np.cos(cell.angle) - x * np.sin(cell.angle)
    return np.asarray((u / cell.soma[0]) ** 2 + (v / cell.soma[1]) ** 2 > 1)


def _draw_clutter(scene: Scene, light: Real, fine: float) -> None:
    rng = np.random.default_rng([scene.seed, 4])
    for _ in range(round(scene.debris * scene.side_um**2 / 1e6)):
        add_debris(rng, list(light), 1 / fine)
    if scene.sphere_um:
        y, x = np.ogrid[: light.shape[1], : light.shape[2]]
        away = np.hypot(y * fine - scene.side_um / 2, x * fine - scene.side_um / 2)
        radius = scene.sphere_um / 2
        ball = np.sqrt(np.maximum(1 - (away / radius) ** 2, 0))
        glow = 0.05 * np.exp(-((np.maximum(away - radius, 0) / 15.0) ** 2))
        strength = np.array([1.0, 0.7, 0.3, 0.3, 0.3, 0.3], np.float32)[:, None, None]
        light += 4000 * strength * np.maximum(ball, glow).astype(np.float32)


def _photograph(
    rng: np.random.Generator,
    scene: Scene,
    plane: Real,
    role: str,
    finer: int,
    inside: NDArray[np.bool_],
) -> NDArray[np.uint16]:
    n = scene.pixels
    if role == "aggregate" and scene.shift_px:
        move = np.float32([[1, 0, scene.shift_px * finer], [0, 1, 0]])
        plane = cv2.warpAffine(plane, move, plane.shape[::-1])
    haze = scene.haze + (scene.aggregate_haze if role == "aggregate" else 0)
    seen = cv2.GaussianBlur(plane, (0, 0), scene.blur_um * finer / scene.px)
    seen = cv2.resize(seen, (n, n), interpolation=cv2.INTER_AREA) + haze
    culture = cv2.resize(inside.astype(np.float32), (n, n), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    # As much light in all as an even lamp gives: how much there is, is the camera's gain.
    lamp = 1 - scene.vignetting * (y**2 + x**2) / 2
    seen = seen * culture * lamp / lamp.mean()
    if not scene.exposed:
        seen = np.zeros_like(seen)
    grey = (
        GAIN * rng.poisson(np.maximum(seen, 0))
        + rng.normal(0, scene.read_noise, seen.shape)
        + OFFSET
    )
    grey = np.clip(np.round(grey), 0, 65535).astype(np.uint16)
    if scene.margin_kind == "black":
        grey[culture < 0.5] = 0
    return grey


def _truth(scene: Scene, cells: list[_Cell], length: float) -> Truth:
    neurons = [c for c in cells if c.kind == "neuron"]
    field_mm2, sphere_mm2 = (scene.pixels * scene.px) ** 2 / 1e6, np.pi * scene.sphere_um**2 / 4e6
    return Truth(
        area_mm2=field_mm2 * (1 - scene.margin) - sphere_mm2,
        nuclei=len(cells),
        neurons=len(neurons),
        motor=sum(c.motor for c in neurons),
        pyknotic=sum(c.kind == "pyknotic" for c in cells),
        length_um=length,
        nc_log2=tuple(c.nc_log2 for c in neurons if c.motor),
        puncta=tuple(c.puncta for c in neurons if c.motor),
        granules=tuple(c.granules for c in neurons if c.motor),
        nucleus_um2=tuple(float(np.pi * c.nucleus.prod()) for c in neurons if c.motor),
        soma_um2=tuple(float(np.pi * c.soma.prod()) for c in neurons if c.motor),
    )


def at_pixel_size(scene: Scene, px: float) -> Scene:
    """The scene seen with other pixels."""
    return replace(scene, px=px)
