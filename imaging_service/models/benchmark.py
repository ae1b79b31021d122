"""What a network must not forget: drawings that are frozen by their seeds.

The frozen samples, wild phantoms, are mixed into every batch of a training. The frozen benchmark,
the phantoms of `bench segmentation`, is only measured on; no training has its seeds.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imaging_service.files import write_bytes
from phenotypes.cells.skeleton import skeletonize
from segmentation import Segmenter, segment_all
from segmentation.filters.exposure import without_cells
from segmentation.phantoms.render import Phantom, render
from segmentation.phantoms.scenes import scene
from segmentation.scoring.accuracy import Counts, LineCounts, line_counts, object_counts

PIXEL_UM = 0.325
# Seeds of the bench's phantoms start here; those of training and demo are far below.
FIRST_SEED = 9_000_000
FROZEN_SEED = 7_000_000
LEVELS = ("medium", "hard")
_TOLERANCE_PX = 2.0


def benchmark_phantoms(per_level: int, shape: tuple[int, int] = (512, 512)) -> list[Phantom]:
    """The first phantoms of `bench segmentation` at each level of difficulty."""
    made = []
    for level in LEVELS:
        for number in range(per_level):
            seed = np.random.SeedSequence([FIRST_SEED, number])
            drawn = scene(level, seed.spawn(1)[0], shape=shape, pixel_size_um=PIXEL_UM)
            made.append(render(*drawn, seed))
    return made


def benchmark_scores(engine: Segmenter, phantoms: Sequence[Phantom]) -> dict[str, float]:
    """Average precision of nuclei and somas at IoU 0.5, and F1 of neurites at 2 px, pooled."""
    lit = [p.field for p in phantoms if not without_cells(p.field)]
    calibrated = engine.calibrate(lit) if lit else engine
    objects: dict[str, list[Counts]] = {"nuclei": [], "somas": []}
    lines: list[LineCounts] = []
    segmented = segment_all(calibrated, [p.field for p in phantoms])
    for phantom, answer in zip(phantoms, segmented, strict=True):
        for name, truth in (("nuclei", phantom.truth.nuclei), ("somas", phantom.truth.somas)):
            objects[name].append(object_counts(truth, answer.labels[name], (0.5,))[0.5])
        lines.append(
            line_counts(
                skeletonize(phantom.truth.neurite_mask(PIXEL_UM)),
                skeletonize(answer.labels["neurites"] > 0),
                _TOLERANCE_PX,
            )
        )
    return {
        "nuclei_ap": reduce(add, objects["nuclei"]).average_precision,
        "soma_ap": reduce(add, objects["somas"]).average_precision,
        "neurite_f1": reduce(add, lines).f1,
    }


def frozen_samples(
    count: int, folder: Path, made: Callable[[int], None] = lambda number: None
) -> list[dict[str, NDArray[np.generic]]]:
    """Samples from wild phantoms, kept in `folder`; `made` is called after each with its number.

    Those that are there already are kept, so that it may be interrupted.
    """
    from segmentation.engines.motornet.samples import phantom_sample

    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number, seed in enumerate(np.random.SeedSequence(FROZEN_SEED).spawn(count), start=1):
        path = folder / f"phantom-{number:04d}.npz"
        if not path.is_file():
            write_bytes(path, _packed(phantom_sample(seed)))
        with np.load(path) as stored:
            samples.append(dict(stored))
        made(number)
    return samples


def _packed(sample: dict[str, NDArray[np.generic]]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **sample)
    return stream.getvalue()
