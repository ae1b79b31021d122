"""Puncta where there are none, and where there are many: round cells drawn by a formula.

    python -m benchmarks.masks.puncta

Cells of radius 10 to 12 µm with 400 grey levels in the cytoplasm and `nuclear` in the nucleus,
blurred by 0.35 µm; Gaussian spots of σ 0.43 µm in the cytoplasm, 1.2 µm from its rims and from each
other, as bright as 5 or 15 times the noise. Masks of somas and nuclei are the drawn ones, the noise
is estimated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass
from scipy.special import erfc

from segmentation.filters.background import background_level
from segmentation.filters.noise import camera_noise
from segmentation.filters.puncta import segment_puncta, spot_scale
from segmentation.scoring.accuracy import Counts, point_counts

PIXELS_UM = (0.1, 0.2, 0.325, 0.5, 0.65)
NOISES = ((2.0, 600), (10.0, 600), (10.0, 2000), (30.0, 0), (30.0, 600), (60.0, 600))
SIDE_UM, PITCH_UM = 125.0, 31.0
BLUR_UM, SPOT_UM, REACH_UM = 0.35, 0.43, 0.6


def field(
    pixel: float, nuclear: float, noise: float, seed: int, per_soma: int = 0, ratio: float = 5.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int32], NDArray[np.float64]]:
    """Aggregate channel (Y, X), mask of somas, labels of nuclei and spots (n, 2) in pixels."""
    rng = np.random.default_rng(seed)
    side = round(SIDE_UM / pixel)
    y, x = (np.mgrid[:side, :side] + 0.5) * pixel
    image, somas = np.zeros((side, side)), np.zeros((side, side), bool)
    nuclei = np.zeros((side, side), np.int32)
    spots: list[NDArray[np.float64]] = []
    centres = [np.array([a, b]) for a in _grid() for b in _grid()]
    for centre in centres:
        middle, radius = centre + rng.uniform(-2, 2, 2), rng.uniform(10, 12)
        away = np.hypot(y - middle[0], x - middle[1])
        cell, nucleus = (
            0.5 * erfc((away - r) / (np.sqrt(2) * BLUR_UM)) for r in (radius, radius / 2)
        )
        image += 400 * (cell - nucleus) + nuclear * nucleus
        somas |= away < radius + pixel
        nuclei[away < radius / 2] = nuclei.max() + 1
        placed: list[NDArray[np.float64]] = []
        while len(placed) < per_soma:
            turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(radius / 2 + 1.2, radius - 1.2)
            place = middle + reach * np.array([np.sin(turn), np.cos(turn)])
            if all(np.hypot(*(place - other)) > 1.2 for other in placed):
                placed.append(place)
        spots += placed
    for py, px in spots:
        near = tuple(slice(max(0, int((p - 3) / pixel)), int((p + 3) / pixel)) for p in (py, px))
        distance2 = (y[near] - py) ** 2 + (x[near] - px) ** 2
        image[near] += ratio * noise * np.exp(-distance2 / (2 * SPOT_UM**2))
    image += 100 + noise * rng.standard_normal(image.shape)
    return (
        image.astype(np.float32),
        somas,
        nuclei,
        np.array(spots).reshape(-1, 2) / pixel - 0.5,
    )


def _grid() -> NDArray[np.float64]:
    return np.arange(16.0, SIDE_UM - 14, PITCH_UM)


def score(
    pixel: float, seeds: int, nuclear: float, noise: float, per_soma: int = 0, ratio: float = 5.0
) -> tuple[Counts, int]:
    """Counts over some fields, and the number of their cells."""
    total, cells = Counts(0, 0, 0), 0
    for seed in range(seeds):
        image, somas, nuclei, spots = field(pixel, nuclear, noise, seed, per_soma, ratio)
        image -= np.float32(background_level(image))
        camera = camera_noise([image], spot_scale(pixel))
        labels = segment_puncta(image, pixel, camera, somas, nuclei=nuclei)
        marks = center_of_mass(labels > 0, labels, range(1, int(labels.max()) + 1))
        reach = max(REACH_UM / pixel, 1.5)
        total += point_counts(spots, np.array(marks, np.float64).reshape(-1, 2), reach)
        cells += int(nuclei.max())
    return total, cells


def main() -> None:
    """Print both tables."""
    print("puncta a soma where none were drawn")
    print("| µm/px | " + " | ".join(f"noise {n:g}, nucleus {level}" for n, level in NOISES) + " |")
    for pixel in PIXELS_UM:
        cells = []
        for noise, nuclear in NOISES:
            counts, somas = score(pixel, 3 if pixel < 0.2 else 12, nuclear, noise)
            cells.append(f"{counts.fp / somas:.3f}")
        print(f"| {pixel} | " + " | ".join(cells) + " |")
    print("\nF1, nuclei cleared / bright (600), noise 30")
    many = [(n, ratio) for ratio in (5.0, 15.0) for n in (3, 20, 60)]
    print("| µm/px | " + " | ".join(f"{n} a soma at {ratio:g}" for n, ratio in many) + " |")
    for pixel in PIXELS_UM:
        row = []
        for per_soma, ratio in many:
            f1 = [score(pixel, 2, nuclear, 30.0, per_soma, ratio)[0].f1 for nuclear in (0, 600)]
            row.append(" / ".join(f"{value:.2f}" for value in f1))
        print(f"| {pixel} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
