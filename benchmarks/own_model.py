"""The whole way to a network of one's own, on drawn plates of a dim and hazy assay.

    python -m benchmarks.own_model --out FOLDER

Two phantom plates are drawn as no phantom of the training is: out of focus, in haze, with two
fifths of the light. The shipped network analyses both. Ten fields of the first are corrected to
what was drawn there; from these the protocol is calibrated and the network trained further, and the
second plate decides on the promotion. Each step is the command that a laboratory would use.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging_service.cli.demo import layout, write_phantom_plate
from imaging_service.review.crops import Crop
from imaging_service.review.local import LocalRun
from segmentation.phantoms.render import Optics, render

DIM = replace(Optics(), shape=(320, 320), psf_sigma_um=1.0, haze=300.0, exposure=0.4)
LEARNT, HELD_OUT = 11, 12  # seeds of the plates
FIELDS = 10


def analysed(out: Path, seed: int, only: int | None) -> Path:
    """Draw a plate and analyse it with the shipped network; returns the run's folder."""
    plate, run = out / f"plate-{seed}", out / f"run-{seed}"
    for _ in write_phantom_plate(plate, seed, optics=DIM, only=only):
        pass
    command(
        "analyze",
        plate / f"Phantom-{seed}",
        "--plate-map",
        plate / "plate_map.csv",
        "--protocol",
        plate / "protocol.toml",
        "--engine",
        "motornet",
        "--out",
        run,
    )
    return run


def correct(folder: Path) -> None:
    """Put what was drawn in place of the labels of every second well's first field."""
    run, drawn = LocalRun(folder), {w.well.name: w for w in layout(LEARNT)}
    for row in run.wells()[: 2 * FIELDS : 2]:
        planned = drawn[row["well"]]
        place = [LEARNT, planned.well.row, planned.well.column, 1]
        truth = render(planned.culture, DIM, np.random.SeedSequence(place)).truth
        neurites = truth.neurite_mask(DIM.pixel_size_um, min_width_px=2.0) & (truth.somas == 0)
        labels = {"nuclei": truth.nuclei, "somas": truth.somas, "neurites": neurites}
        crops = [Crop(name, 0, 0, image.astype(np.int32)) for name, image in labels.items()]
        version = run.label_version(row["well"], 1)
        run.commit(row["well"], 1, version, crops, "tracer", "traced")


def command(*arguments: object) -> None:
    """Run a command of the service, and print its seconds."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    words: Sequence[str] = [str(a) for a in arguments]
    program = [sys.executable, "-m", "imaging_service.cli", *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"$ imaging-service {' '.join(words[:2])} … ({time.perf_counter() - start:.0f} s,"
        f" {after.ru_utime - before.ru_utime:.0f} s of the processor)"
    )
    if words[0] != "analyze":
        print(done.stdout)
    if done.returncode:
        print(done.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    learnt, held_out = analysed(given.out, LEARNT, 8), analysed(given.out, HELD_OUT, None)
    correct(learnt)
    model = given.out / "model"
    command("calibrate", learnt, "--out", given.out / "calibrated.toml")
    command("review", "export", learnt, "--out", given.out / "export")
    command(
        "models", "train", "--fields", given.out / "export", "--out", model, "--steps", given.steps
    )
    command("models", "promote", model, "--by", "A. Smith", "--on", held_out)
    command("models", "show", model)


if __name__ == "__main__":
    main()
