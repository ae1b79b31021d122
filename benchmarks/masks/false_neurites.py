"""Where false neurites lie: at bodies, beside true ones, alone, or elsewhere.

    python -m benchmarks.masks.false_neurites --split tuning

In per cent of the true length of the traced fields, by rule: the first that fits, from above.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.masks.neurites import ENGINES, Skeleton, graphs, score, skeleton
from benchmarks.masks.traced import SPLITS, TracedField, read_traces
from segmentation.field import Mask

RIGHT_PX, SPUR_PX, RIM_PX, LONE_PX = 3, 10, 4, 15
KINDS = (
    f"rim or tip of a body, within {RIM_PX} px of its outline",
    f"filopodia and spurs, {RIGHT_PX} to {SPUR_PX} px from a traced line",
    f"lone pieces under {LONE_PX} px",
    "longer lines elsewhere",
)
BODIES = "inside outlined bodies (not judged)"


def kinds(traced: TracedField, found: Skeleton) -> dict[str, float]:
    """False length in µm of each kind."""
    to_line, to_body = _distance(traced.lines), _distance(traced.somas)
    left = found.pixels & traced.judged & (to_line > RIGHT_PX)
    lengths = {}
    for name, fits in zip(
        KINDS,
        (to_body <= RIM_PX, to_line <= SPUR_PX, _extent(found.pixels) < LONE_PX, left),
        strict=True,
    ):
        lengths[name] = float(found.length_um[left & fits].sum())
        left &= ~fits
    lengths[BODIES] = float(found.length_um[traced.somas].sum())
    return lengths


def _distance(mask: Mask) -> NDArray[np.float32]:
    """Pixels to the nearest one of a mask; infinite where there is none."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, np.float32)


def _extent(pixels: Mask) -> NDArray[np.float64]:
    """Diagonal of the box around the connected piece of each pixel."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8), connectivity=8)
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].astype(float)
    return np.asarray(np.hypot(sides[:, 0], sides[:, 1])[pieces], np.float64)


def main() -> None:
    """Print one row per kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", default=ENGINES)
    parser.add_argument("--split", choices=SPLITS, default="tuning")
    parser.add_argument("--without-dna", action="store_true", help="hide the nuclei")
    chosen = parser.parse_args()
    fields = read_traces(chosen.split, dna=not chosen.without_dna)
    table = {}
    for engine in chosen.engine:
        plate = graphs(engine, [one.field for one in fields])
        found = [
            skeleton(graph, one.field.pixel_size_um)
            for graph, one in zip(plate, fields, strict=True)
        ]
        pairs = list(zip(fields, found, strict=True))
        true = sum(score(one, lines).true_um for one, lines in pairs)
        each = [kinds(one, lines) for one, lines in pairs]
        table[engine] = {name: sum(k[name] for k in each) / true for name in each[0]}
    print("| % of the true length | " + " | ".join(f"`{engine}`" for engine in table) + " |")
    for name in (*KINDS, BODIES):
        print(f"| {name} | " + " | ".join(f"{table[e][name]:.0%}" for e in table) + " |")


if __name__ == "__main__":
    main()
