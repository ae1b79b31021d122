"""Processor seconds and memory of one field from pixels to tables, stage by stage, on one core.

    python -m benchmarks.speed.field_cost [--engine motornet] [--side 2160]

The field is that of `benchmarks/speed/measuring.py`: three channels at 0.325 µm with about 1,000 nuclei
and 20 mm of neurite. Seconds are the processor's, so that another load on the machine moves them
less than it moves the clock; on a quiet machine both are equal.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imaging_service.jobs.parallel.processes import limit_threads

limit_threads(1)

import numpy as np

from imaging_service.store.labels import LabelWriter
from imaging_service.store.tables import write_table
from phenotypes.cells.measure import measure
from segmentation import Field, load
from segmentation.scoring.second_opinion import nuclei_agreement

PX = 0.325


@contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    began = time.process_time()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.process_time() - began


def analysed(engine, field: Field, folder: Path) -> dict[str, float]:
    """What a well does with one field."""
    seconds: dict[str, float] = {}
    with stage("segment", seconds):
        segmentation = engine.segment(field)
    with stage("measure", seconds):
        measured = measure(field, segmentation)
    with stage("second opinion", seconds):
        nuclei_agreement(field, segmentation.labels["nuclei"])
    with stage("write", seconds):
        writer = LabelWriter(folder / "labels", PX, 1)
        writer.write(1, segmentation.labels)
        writer.finish()
        write_table(measured.cells, folder / "cells", csv=False)
        write_table(measured.field, folder / "fields", csv=False)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--field", type=Path, default=Path("bench-output/field.npz"))
    parser.add_argument("--engine", default="motornet")
    parser.add_argument("--side", type=int, default=2160)
    arguments = parser.parse_args()
    if not arguments.field.exists():
        from measuring import draw

        arguments.field.parent.mkdir(parents=True, exist_ok=True)
        draw(arguments.field)
    with np.load(arguments.field) as stored:
        pixels = stored["pixels"][:, : arguments.side, : arguments.side]
    field = Field(pixels, ("dna", "neurite", "aggregate"), PX)
    engine = load(arguments.engine, device="cpu").calibrate([field])
    with tempfile.TemporaryDirectory() as folder:
        runs = [analysed(engine, field, Path(folder)) for _ in range(4)]
    # The first call also imports and allocates.
    best = min(runs[1:], key=lambda seconds: sum(seconds.values()))
    parts = "   ".join(f"{name} {value:.2f}" for name, value in best.items())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{arguments.engine} {arguments.side}²: {sum(best.values()):.2f} s ({parts}), {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
