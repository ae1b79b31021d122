"""Fields drawn from smooth cells of known concentrations, and what a hostile plate does to them.

Cells are discs with soft edges, blurred by the optics and read by a camera with photon and read
noise; where they lie, and their log2 N:C, is known by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation import Field

Real = NDArray[np.float64]
ROLES = ("dna", "neurite", "aggregate")
OFFSET, GAIN, READ_NOISE, BLUR_UM = 200.0, 1.5, 4.0, 0.4


@dataclass(frozen=True)
class Scene:
    """Light of a field in photo-electrons, (3, Y, X), before the optics, and its cells' centres."""

    light: Real
    centres: Real  # (n, 2) y, x in pixels
    px: float

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X)."""
        return self.light.shape[1], self.light.shape[2]

    def photograph(self, seed: int = 0, haze: float = 60.0, blur_um: float = BLUR_UM) -> Field:
        """The field as a camera records it: blur, photon noise, read noise, offset."""
        rng = np.random.default_rng(seed)
        planes = [camera(rng, blurred(plane, blur_um / self.px) + haze) for plane in self.light]
        return Field(np.stack(planes), ROLES, self.px)


def blurred(plane: Real, sigma_px: float) -> Real:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), float)


def camera(rng: np.random.Generator, electrons: Real) -> NDArray[np.uint16]:
    """Photo-electrons ► grey levels."""
    read = rng.poisson(np.maximum(electrons, 0)) + rng.normal(0, READ_NOISE / GAIN, electrons.shape)
    return np.clip(np.round(read * GAIN + OFFSET), 0, 65535).astype(np.uint16)


def dark(shape: tuple[int, int], seed: int = 0, px: float = 0.65) -> Field:
    """A field that was never exposed: offset and read noise."""
    rng = np.random.default_rng(seed)
    return Field(np.stack([camera(rng, np.zeros(shape)) for _ in ROLES]), ROLES, px)


def disc(shape: tuple[int, int], centre: Real, radius_px: float, edge_px: float = 0.5) -> Real:
    """1 inside, 0 outside, with a soft edge."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside = radius_px - np.hypot(y - centre[0], x - centre[1])
    return np.asarray(1 / (1 + np.exp(-np.clip(inside / edge_px, -60, 60))))


def culture(
    shape: tuple[int, int] = (512, 512),
    px: float = 0.65,
    *,
    per_mm2: float = 900.0,
    nc_log2: float = 1.0,
    neurites: bool = True,
    within: NDArray[np.bool_] | None = None,
    keep_off: float = 14.0,
    seed: int = 0,
) -> Scene:
    """Cells at least 26 µm apart and `keep_off` µm from the edge of `within` (the whole field)."""
    rng = np.random.default_rng(seed)
    room = np.ones(shape, np.uint8) if within is None else within.astype(np.uint8)
    room = cv2.distanceTransform(np.pad(room, 1), cv2.DIST_L2, 5)[1:-1, 1:-1] * px >= keep_off
    wanted = rng.permutation(np.argwhere(room))
    count = round(per_mm2 * (shape[0] * shape[1] if within is None else within.sum()) * px**2 / 1e6)
    centres: list[Real] = []
    for candidate in wanted[:20000].astype(float):
        if len(centres) == count:
            break
        if all(np.hypot(*(candidate - other)) * px > 26 for other in centres):
            centres.append(candidate)
    light = np.zeros((3, *shape))
    reach = int(12 / px) + 2
    for centre in centres:
        nucleus, soma = rng.normal(5.0, 0.25) / px, rng.normal(8.5, 0.4) / px
        y0, x0 = (max(0, int(c) - reach) for c in centre)
        window = np.s_[y0 : int(centre[0]) + reach, x0 : int(centre[1]) + reach]
        small = light[0][window].shape
        inner = disc(small, centre - (y0, x0), nucleus)
        body = disc(small, centre - (y0, x0), soma)
        cytoplasm = np.maximum(body - inner, 0)
        level = 200.0 * rng.lognormal(0, 0.1)
        light[0][window] = np.maximum(light[0][window], 900 * rng.lognormal(0, 0.1) * inner)
        light[1][window] = np.maximum(light[1][window], 700 * cytoplasm + 250 * inner)
        light[2][window] = np.maximum(
            light[2][window],
            level * (2 ** (nc_log2 / 2) * inner + 2 ** (-nc_log2 / 2) * cytoplasm),
        )
    if neurites:
        lines = np.zeros(shape, np.float32)
        for centre in centres:
            angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(40, 90) / px
            tip = centre + length * np.array([np.sin(angle), np.cos(angle)])
            cv2.line(
                lines,
                tuple(int(16 * v) for v in centre[::-1]),
                tuple(int(16 * v) for v in tip[::-1]),
                300.0,
                max(1, round(1.2 / px)),
                cv2.LINE_AA,
                4,
            )
        if within is not None:
            lines[~within] = 0
        light[1] = np.maximum(light[1], lines)
    return Scene(light, np.array(centres).reshape(-1, 2), px)


def with_sphere(
    scene: Scene, centre_um: tuple[float, float], diameter_um: float = 150.0, level: float = 4000.0
) -> Scene:
    """The scene with a neurosphere: as thick as a ball, and a glow of light out of focus."""
    y, x = np.ogrid[: scene.shape[0], : scene.shape[1]]
    away = np.hypot(y * scene.px - centre_um[0], x * scene.px - centre_um[1])
    radius = diameter_um / 2
    ball = np.sqrt(np.maximum(1 - (away / radius) ** 2, 0))
    glow = 0.05 * np.exp(-((np.maximum(away - radius, 0) / 15.0) ** 2))
    light = scene.light + level * np.array([1.0, 0.7, 0.3])[:, None, None] * np.maximum(ball, glow)
    return Scene(light, scene.centres, scene.px)


def far_from(scene: Scene, centre_um: tuple[float, float], distance_um: float) -> int:
    """Number of cells whose centre lies further than this from a place."""
    away = np.hypot(*(scene.centres * scene.px - np.array(centre_um)).T)
    return int((away > distance_um).sum())


def margin(shape: tuple[int, int], share: float, side: str) -> NDArray[np.bool_]:
    """Mask of the culture: all but a margin of this share of the field at a side."""
    inside = np.ones(shape, bool)
    rows, columns = round(share * shape[0]), round(share * shape[1])
    if side == "top":
        inside[:rows] = False
    elif side == "bottom":
        inside[shape[0] - rows :] = False
    elif side == "left":
        inside[:, :columns] = False
    else:
        inside[:, shape[1] - columns :] = False
    return inside


def round_well(shape: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """Mask of the culture: a round well that leaves about this share of the field outside."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(y - 0.1 * shape[0], x - 0.1 * shape[1])
    return np.asarray(away <= np.quantile(away, 1 - share))


def outside_dark(
    field: Field, inside: NDArray[np.bool_], fill: float | None, seed: int = 1
) -> Field:
    """The field with everything outside at a constant, or (None) at offset and read noise."""
    rng = np.random.default_rng(seed)
    pixels = field.pixels.copy()
    for plane in pixels:
        plane[~inside] = (
            camera(rng, np.zeros(field.shape))[~inside] if fill is None else round(fill)
        )
    return Field(pixels, field.roles, field.pixel_size_um)
