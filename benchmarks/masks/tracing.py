"""What a tracer's clicks give: lines that follow the ridge, and how wide a stroke is.

    python -m benchmarks.masks.tracing

On drawn fields, each true neurite is clicked on every 40 µm along it, 1 µm off (standard deviation)
as a hand is; between clicks the line is straight, or follows the ridge
(`napari_plugin.tracing.ridges`).
Printed are precision, recall and F1 at 3 pixels against the true centre lines, and the length that
the service measures on the strokes, against that which it measures on the true neurites of the same
field, as a ratio over all fields.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from napari_plugin.tracing import ridges, strokes
from phenotypes.cells.neurites import trace
from segmentation.phantoms.render import Phantom, render
from segmentation.phantoms.scenes import scene
from segmentation.scoring.accuracy import LineCounts, line_counts

SCENES = ("medium", "hard", "wild")
PIXELS_UM = (0.325, 0.65)
SIDE_PX, SEEDS = 512, 3
CLICK_UM, HAND_UM = 40.0, 1.0


def clicks(
    line: NDArray[np.float64], pixel: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Points (n, 2) every CLICK_UM along a line and at its ends, as far off as a hand is."""
    steps = np.hypot(*np.diff(line, axis=0).T) * pixel
    along = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(2, round(along[-1] / CLICK_UM) + 1)
    at = np.linspace(0, along[-1], count)
    points = np.column_stack([np.interp(at, along, line[:, i]) for i in (0, 1)])
    return points + rng.normal(0, HAND_UM / pixel, points.shape)


def drawn(
    phantom: Phantom, pixel: float, rng: np.random.Generator, *, snap: bool
) -> list[NDArray[np.float64]]:
    """The lines that the clicks on every neurite give."""
    image = phantom.field.channel("neurite")
    shape = np.array(image.shape)
    lines = []
    for line in phantom.truth.neurites_yx:
        inside = ((line >= 0) & (line <= shape - 1)).all(axis=1)
        if inside.sum() < 2:
            continue
        points = np.clip(clicks(line[inside], pixel, rng), 0, shape - 1)
        if not snap:
            lines.append(points)
            continue
        parts = [ridges.between(image, a, b, pixel) for a, b in pairwise(points)]
        lines.append(np.concatenate(parts))
    return lines


def main() -> None:
    """Print the table."""
    print("line     µm/px  width µm  P      R      F1@3   length ratio")
    for pixel in PIXELS_UM:
        phantoms = [
            render(
                *scene(
                    name,
                    np.random.SeedSequence([seed, 1]),
                    shape=(SIDE_PX, SIDE_PX),
                    pixel_size_um=pixel,
                ),
                np.random.SeedSequence([seed, 2]),
            )
            for name in SCENES
            for seed in range(SEEDS)
        ]
        true_um = [
            float(
                trace(
                    p.truth.neurite_mask(pixel, min_width_px=3), p.truth.somas, pixel
                ).length_px.sum()
            )
            * pixel
            for p in phantoms
        ]
        for snap in (False, True):
            rng = np.random.default_rng(0)
            lines = [drawn(p, pixel, rng, snap=snap) for p in phantoms]
            for width in (1.0, 1.5, 2.0, 3.0):
                counts, length = LineCounts(0, 0, 0, 0), 0.0
                for phantom, of in zip(phantoms, lines, strict=True):
                    mask = np.zeros((SIDE_PX, SIDE_PX), bool)
                    least = max(width / pixel, strokes.STROKE_LEAST_PX)
                    for line in of:
                        mask |= strokes.line_mask(mask.shape, line, least)
                    mask &= phantom.truth.somas == 0
                    counts += line_counts(phantom.truth.centre_lines(), skeletonize(mask), 3.0)
                    length += float(trace(mask, phantom.truth.somas, pixel).length_px.sum()) * pixel
                print(
                    f"{'ridge' if snap else 'straight':8} {pixel:5.3f} {width:8.1f}"
                    f"  {counts.precision:.3f}  {counts.recall:.3f}  {counts.f1:.3f}"
                    f"  {length / sum(true_um):.3f}"
                )


if __name__ == "__main__":
    main()
