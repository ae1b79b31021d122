from __future__ import annotations

import numpy as np

from imaging_service.cli import bench
from imaging_service.models.benchmark import (
    FIRST_SEED,
    benchmark_phantoms,
    benchmark_scores,
    frozen_samples,
)
from segmentation import Segmentation


def test_the_benchmark_is_that_of_bench_segmentation():
    shape = (128, 128)
    assert bench.FIRST_SEED == FIRST_SEED
    for level, drawn in zip(("medium", "hard"), benchmark_phantoms(1, shape), strict=True):
        assert np.array_equal(drawn.field.pixels, bench.phantom(level, 0, shape=shape).field.pixels)


def test_what_was_drawn_scores_one_and_nothing_scores_zero():
    phantoms = benchmark_phantoms(1, (256, 256))

    class Drawn:
        name = "drawn"

        def __init__(self, known):
            self.known = known

        def calibrate(self, fields):
            return self

        def segment(self, field, *, seed=0):
            one = next(p for p in phantoms if p.field is field)
            neurites = one.truth.neurite_mask(0.325).astype(np.int32)
            labels = {"nuclei": one.truth.nuclei, "somas": one.truth.somas, "neurites": neurites}
            return Segmentation({n: m * self.known for n, m in labels.items()}, self.name)

    assert benchmark_scores(Drawn(1), phantoms) == {
        "nuclei_ap": 1.0,
        "soma_ap": 1.0,
        "neurite_f1": 1.0,
    }
    assert benchmark_scores(Drawn(0), phantoms)["neurite_f1"] == 0


def test_frozen_samples_are_the_same_and_kept(tmp_path):
    seen = []
    (first,) = frozen_samples(1, tmp_path, seen.append)
    kept = next(tmp_path.glob("*.npz")).stat().st_mtime_ns
    (again,) = frozen_samples(1, tmp_path, seen.append)
    assert next(tmp_path.glob("*.npz")).stat().st_mtime_ns == kept
    assert seen == [1, 1]
    assert all(np.array_equal(first[n], again[n]) for n in first)
    assert first["known"][:3].all()
