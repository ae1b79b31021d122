"""What real plates have and textbook cells do not: shapes and clutter for the phantoms.

Every function draws into fluorophore maps at the drawing resolution (photo-electrons a camera
pixel) and returns the geometry that is truth. What is drawn here without being returned is a hard
negative: it looks like a neurite or a nucleus and is none (spindle-shaped cells, outlines and
stress fibres of flat cells, debris, lint, haze).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segmentation.field import Image
from segmentation.phantoms.drawing import (
    Points,
    add_spot,
    blob,
    draw_line,
    draw_polygon,
    smooth_noise,
    walk,
)


@dataclass(frozen=True)
class Clutter:
    """How far a culture is from the textbook; all zero draws plain ellipses and even lines.

    Densities per mm²; fractions and probabilities 0 … 1; spreads are σ of the logarithm.
    """

    clumping: float = 0.0  # share of cells that touch another
    irregularity: float = 0.0  # of outlines, relative
    texture: float = 0.0  # uneven stain inside cells
    stain_spread: float = 0.0  # brightness from cell to cell
    mitotic_per_mm2: float = 0.0
    spindles_per_mm2: float = 0.0  # bright spindle-shaped cells that are not neurons
    flat_cells_per_mm2: float = 0.0  # spread glia and fibroblasts: dim, with outlines and fibres
    passing_per_mm2: float = 0.0  # neurites of cells outside the field
    thin: float = 0.0  # share of hair-thin neurites
    branches_per_100um: float = 0.0
    bundles: float = 0.0  # share of neurites that others run along
    beading: float = 0.0  # share of beaded neurites
    fragmentation: float = 0.0  # share of neurites broken into pieces
    growth_cones: float = 0.0  # share of tips
    neurite_spread: float = 0.0  # brightness from neurite to neurite
    wander: float = 0.0  # how much neurites curve beyond the plain ones
    debris_per_mm2: float = 0.0
    lint_per_mm2: float = 0.0
    speckle: float = 0.0  # unresolved grains, relative to the haze
    haze_texture: float = 0.0  # unevenness of the haze, relative
    defocus: float = 0.0  # out-of-focus copy of the scene, relative
    blurred_per_mm2: float = 0.0  # fibres above or below the plane of focus


def add_spindle(rng: np.random.Generator, tubulin: Image, dna: Image, um: float) -> Points:
    """A spindle-shaped or three-armed cell, bright in the neurite channel.

    Returns the outline of its nucleus.
    """
    centre = rng.uniform((0, 0), tubulin.shape)
    heading = rng.uniform(0, 2 * np.pi)
    arms = 2 if rng.random() < 0.75 else 3
    half = rng.uniform(2.5, 7.5) * um
    level = 650.0 * rng.lognormal(0, 0.7)
    cell = np.zeros(tubulin.shape, np.float32)
    for arm in range(arms):
        length = rng.uniform(10, 42) * um
        line = walk(
            rng,
            centre,
            heading + 2 * np.pi * arm / arms + rng.normal(0, 0.2),
            length,
            1.5 * um,
            0.04,
        )
        t = np.linspace(0, 1, len(line))
        width = half * (1 - t) ** rng.uniform(0.7, 1.8) + 0.15 * um
        along = np.gradient(line, axis=0)
        across = (
            np.stack([-along[:, 1], along[:, 0]], axis=1)
            / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
        )
        draw_polygon(
            cell,
            np.vstack([line + across * width[:, None], (line - across * width[:, None])[::-1]]),
            level,
        )
    cell *= 1 + 0.25 * smooth_noise(rng, tubulin.shape, 3 * um)
    nucleus = blob(
        rng,
        centre,
        np.array([rng.uniform(6, 9), rng.uniform(3.5, 5)]) * um,
        90 - np.rad2deg(heading),
        0.05,
    )
    hole = np.zeros_like(cell)
    draw_polygon(hole, nucleus, 1.0)
    cell *= 1 - rng.uniform(0.0, 0.7) * hole
    tubulin += cv2.GaussianBlur(np.maximum(cell, 0), (0, 0), rng.uniform(0.1, 0.8) * um)
    dna += (
        hole * 600 * rng.lognormal(0, 0.2) * (1 + 0.15 * smooth_noise(rng, tubulin.shape, 1.2 * um))
    )
    return nucleus


def add_flat_cell(rng: np.random.Generator, tubulin: Image, um: float) -> None:
    """A spread cell: a dim sheet, often with a brighter outline.

    Sometimes stress fibres run across it.
    """
    centre = rng.uniform((0, 0), tubulin.shape)
    outline = blob(
        rng, centre, rng.uniform(5, 40) * rng.uniform(0.6, 1.4, 2) * um, rng.uniform(0, 180), 0.25
    )
    level = rng.uniform(25, 160)
    sheet = np.zeros(tubulin.shape, np.float32)
    draw_polygon(sheet, outline, 1.0)
    inside = sheet.copy()
    sheet = cv2.GaussianBlur(sheet, (0, 0), rng.uniform(0.3, 2.0) * um)
    tubulin += level * sheet * np.maximum(0, 1 + 0.35 * smooth_noise(rng, tubulin.shape, 4 * um))
    if rng.random() < 0.6:
        rim = np.zeros_like(sheet)
        draw_line(
            rim,
            np.vstack([outline, outline[:1]]),
            max(1, round(rng.uniform(0.5, 1.5) * um)),
            level * rng.uniform(0.4, 1.5),
        )
        # Parts of an outline are always missing.
        tubulin += rim * np.clip(0.5 + smooth_noise(rng, tubulin.shape, 10 * um), 0, 1)
    if rng.random() < 0.3:
        angle = rng.uniform(0, np.pi)
        along = np.array([np.sin(angle), np.cos(angle)])
        fibres = np.zeros_like(sheet)
        for offset in rng.uniform(-35, 35, int(rng.integers(4, 14))) * um:
            middle = centre + offset * np.array([along[1], -along[0]])
            draw_line(
                fibres,
                np.stack([middle - 50 * um * along, middle + 50 * um * along]),
                max(1, round(0.5 * um)),
                level * 0.5,
            )
        tubulin += fibres * inside


def add_debris(rng: np.random.Generator, planes: list[Image], um: float) -> None:
    """A bright grain or a small heap of them, in one channel or in all."""
    centre = rng.uniform((0, 0), planes[0].shape)
    everywhere = rng.random() < 0.5
    chosen = planes if everywhere else [planes[int(rng.integers(len(planes)))]]
    for _ in range(int(rng.integers(1, 6))):
        grain = centre + rng.normal(0, 1.5 * um, 2)
        sigma, height = rng.uniform(0.25, 1.2) * um, 500 * rng.lognormal(0, 0.7)
        for plane in chosen:
            add_spot(plane, grain, sigma, height * rng.uniform(0.4, 1.0))


def add_lint(rng: np.random.Generator, planes: list[Image], um: float) -> None:
    """A textile fibre: thick, long and bright in every channel."""
    line = walk(
        rng,
        rng.uniform((0, 0), planes[0].shape),
        rng.uniform(0, 2 * np.pi),
        rng.uniform(80, 400) * um,
        3 * um,
        0.03,
    )
    thickness, level = max(2, round(rng.uniform(5, 12) * um)), rng.uniform(500, 3000)
    for plane in planes:
        lint = np.zeros_like(plane)
        draw_line(lint, line, thickness, level * rng.uniform(0.3, 1))
        plane += cv2.GaussianBlur(lint, (0, 0), rng.uniform(0.5, 3) * um)


def add_blurred_fibre(rng: np.random.Generator, plane: Image, um: float) -> None:
    """A fibre out of focus: wide, dim and without an edge. No tracer draws it."""
    line = walk(
        rng,
        rng.uniform(-0.1, 1.1, 2) * plane.shape,
        rng.uniform(0, 2 * np.pi),
        rng.gamma(3.0, 50.0) * um,
        2.0 * um,
        rng.uniform(0.02, 0.1),
    )
    fibre = np.zeros_like(plane)
    draw_line(fibre, line, max(1, round(rng.uniform(0.8, 2.0) * um)), rng.uniform(150, 600))
    plane += cv2.GaussianBlur(fibre, (0, 0), rng.uniform(1.5, 4.0) * um)


def add_haze(
    rng: np.random.Generator, plane: Image, um: float, haze: float, clutter: Clutter
) -> Image:
    """The plane with out-of-focus light of its own cells, uneven haze and unresolved grains."""
    if clutter.defocus:
        shift = rng.integers(-40, 40, 2) * um
        moved = np.roll(plane[::-1], (int(shift[0]), int(shift[1])), (0, 1))
        plane = plane + clutter.defocus * cv2.GaussianBlur(moved, (0, 0), rng.uniform(3, 8) * um)
        plane += 0.6 * clutter.defocus * cv2.GaussianBlur(plane, (0, 0), rng.uniform(6, 15) * um)
    if clutter.haze_texture:
        cloud = smooth_noise(rng, plane.shape, rng.uniform(15, 60) * um) + 0.5 * smooth_noise(
            rng, plane.shape, rng.uniform(4, 10) * um
        )
        plane = plane + haze * clutter.haze_texture * np.maximum(0, 1 + cloud)
    if clutter.speckle:
        grains = np.zeros(plane.shape, np.float32)
        count = int(rng.uniform(0.002, 0.02) * plane.size / um**2 * 4)
        ys, xs = rng.integers(0, plane.shape[0], count), rng.integers(0, plane.shape[1], count)
        grains[ys, xs] = haze * clutter.speckle * rng.gamma(1.0, 1.0, count) * um**2
        plane = plane + cv2.GaussianBlur(grains, (0, 0), rng.uniform(0.25, 0.5) * um)
    return np.asarray(plane, np.float32)
