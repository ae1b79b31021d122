"""Seconds and memory of measuring one field, beside a plain script with scikit-image and skan.

    python -m benchmarks.speed.measuring

A 2160² field of three channels at 0.325 µm with about 1,000 nuclei and 20 mm of neurite is drawn,
and its true labels are measured, in one process each. skan is compared where it is installed (pip
install skan).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

SIDE, PX = 2160, 0.325


def draw(path: Path) -> None:
    """Pixels and true labels of the field."""
    from segmentation.phantoms.render import Culture, Optics, render

    culture = Culture(
        neurons_per_mm2=300,
        glia_per_mm2=1600,
        pyknotic_per_mm2=200,
        neurite_length_um=160,
        puncta_per_neuron=3,
    )
    phantom = render(culture, Optics(shape=(SIDE, SIDE), pixel_size_um=PX), 1)
    truth = phantom.truth
    rng = np.random.default_rng(0)
    puncta = np.zeros(truth.nuclei.shape, np.int32)
    for k, (y, x) in enumerate(truth.puncta_yx.round().astype(int), start=1):
        puncta[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = k
    np.savez(
        path,
        pixels=phantom.field.pixels,
        nuclei=truth.nuclei,
        somas=truth.somas,
        neurites=truth.neurite_mask(PX),
        puncta=puncta,
        seed=rng.integers(9),
    )


def load(path: Path):
    from segmentation import Field, Segmentation

    with np.load(path) as stored:
        labels = {n: stored[n].astype(np.int32) for n in ("nuclei", "somas", "neurites", "puncta")}
        return Field(stored["pixels"], ("dna", "neurite", "aggregate"), PX), Segmentation(
            labels, "truth"
        )


def ours(field, segmentation) -> str:
    from phenotypes.cells.measure import measure

    result = measure(field, segmentation)
    row = result.field.to_dicts()[0]
    return (
        f"{len(result.cells)} cells × {len(result.cells.columns)} columns,"
        f" {row['neurite_length_um'] / 1000:.1f} mm of neurite"
    )


def plain(field, segmentation) -> str:
    """Measure with the usual libraries: shapes, intensities, ring, skeleton branches.

    Without attribution, Sholl analysis and quality.
    """
    from skan import Skeleton, summarize
    from skimage.measure import regionprops_table
    from skimage.morphology import skeletonize
    from skimage.segmentation import expand_labels

    nuclei = segmentation.labels["nuclei"]
    ring = expand_labels(nuclei, 9) * (nuclei == 0)
    wanted = (
        "label",
        "area",
        "perimeter",
        "eccentricity",
        "axis_major_length",
        "axis_minor_length",
        "centroid",
    )
    image = np.moveaxis(np.asarray(field.pixels, float), 0, -1)
    shapes = regionprops_table(nuclei, image, properties=(*wanted, "intensity_mean"))
    regionprops_table(ring, image, properties=("label", "intensity_mean"))
    regionprops_table(
        segmentation.labels["somas"], image, properties=("label", "area", "intensity_mean")
    )
    regionprops_table(segmentation.labels["puncta"], properties=("label", "area", "centroid"))
    branches = summarize(
        Skeleton(skeletonize(segmentation.labels["neurites"] > 0), spacing=PX), separator="-"
    )
    return (
        f"{len(shapes['label'])} cells, {branches['branch-distance'].sum() / 1000:.1f} mm of"
        " neurite"
    )


def measured(what: str, path: Path) -> None:
    """First and third call, and the memory above that of the loaded field."""
    import cv2

    cv2.setNumThreads(1)
    field, segmentation = load(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(3):
        # Processor seconds: with one thread they equal wall seconds on a quiet machine, and also
        # hold on a busy one.
        began = time.process_time()
        result = (ours if what == "ours" else plain)(field, segmentation)
        seconds.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{what:24} first {seconds[0]:6.2f} s   then {min(seconds[1:]):6.2f} s   peak"
        f" {peak / 1024:5.0f} MiB, {(peak - before) / 1024:4.0f} above the loaded field   {result}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--field", type=Path, default=Path("bench-output/field.npz"))
    parser.add_argument("--only", choices=["ours", "scikit-image + skan"])
    arguments = parser.parse_args()
    if not arguments.field.exists():
        arguments.field.parent.mkdir(parents=True, exist_ok=True)
        draw(arguments.field)
    if arguments.only:
        measured(arguments.only, arguments.field)
        return
    for what in ("ours", "scikit-image + skan"):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.speed.measuring",
                "--field",
                str(arguments.field),
                "--only",
                what,
            ],
            check=False,
        )
        if done.returncode:
            print(f"{what:24} failed (is it installed?)")


if __name__ == "__main__":
    main()
