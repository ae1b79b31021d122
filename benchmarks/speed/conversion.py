"""Converting a scan beside copying it: the same files, one process, the same disk.

    python -m benchmarks.speed.conversion [--side 2160] [--to FOLDER]

Draws a well of four fields and three channels of 16 bit, as a camera gives them, and copies and
converts it in turn; the best of three rounds counts. `cp` into the machine's memory is a bound that
nothing that packs and hashes can come near, so both are also measured until all is on the disk.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

from imaging_service.ingest import plan_scan
from imaging_service.ingest.images import digests
from imaging_service.ingest.images.digests import file_digests
from imaging_service.jobs.records import WellTask
from imaging_service.jobs.well import begin, convert_well
from imaging_service.protocol import Acquisition, parse_protocol
from segmentation.phantoms.render import Culture, Optics, render

_ROUNDS = 3


def drawn(scan: Path, side: int) -> WellTask:
    """Write the scan's files; returns the task of its well."""
    pixels = render(Culture(neurons_per_mm2=200), Optics(shape=(side, side)), 1).field.pixels
    for field in range(1, 5):
        for channel in range(1, 4):
            # Other noise in each file would cost minutes to draw, and packs the same.
            plane = np.roll(pixels[channel - 1], 7 * field)
            tifffile.imwrite(scan / f"p_B02_s{field}_w{channel}.tif", plane, metadata=None)
    plan = plan_scan(scan, Acquisition(pixel_size_um=0.65))
    protocol = parse_protocol({"name": "p", "channels": {"dna": 1}}, "p")
    roles, planes = ("dna", None, None), dict.fromkeys(plan.channels, 1)
    return WellTask(
        "B02",
        plan,
        0.65,
        roles,
        (1,),
        planes,
        protocol,
        "classical",
        "cpu",
        scan,
        file_digests(plan),
    )


def measured(work: Callable[[Path], None], target: Path, on_disk: bool) -> tuple[float, float]:
    """(seconds, seconds of the processor) of work that makes `target`, which is then removed."""
    before, start = os.times(), time.perf_counter()
    work(target)
    if on_disk:
        subprocess.run(["sync", "-f", str(target.parent)], check=True)
    seconds, after = time.perf_counter() - start, os.times()
    shutil.rmtree(target)
    return seconds, sum(after[:4]) - sum(before[:4])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=2160)
    parser.add_argument("--to", type=Path, help="Folder on the disk to measure.")
    given = parser.parse_args()
    digests._SETTLED_S = float("inf")  # no digest is remembered from one round to the next
    with tempfile.TemporaryDirectory(dir=given.to) as made:
        folder = Path(made)
        scan = folder / "scan"
        scan.mkdir()
        task = drawn(scan, given.side)
        size = sum(p.stat().st_size for p in scan.iterdir()) / 2**20

        def copy(target: Path) -> None:
            subprocess.run(["cp", "-r", str(scan), str(target)], check=True)

        def convert(target: Path) -> None:
            begin(target)
            convert_well(replace(task, plate=target))

        convert(folder / "first")
        packed = sum(p.stat().st_size for p in (folder / "first").rglob("*") if p.is_file())
        print(f"{size:.0f} MiB become {packed / 2**20:.0f} MiB")
        for on_disk, where in ((False, "in memory"), (True, "on disk")):
            rounds = [
                (
                    measured(copy, folder / "copy", on_disk),
                    measured(convert, folder / "plate.zarr", on_disk),
                )
                for _ in range(_ROUNDS)
            ]
            copying, converting = (min(r[i] for r in rounds) for i in (0, 1))
            print(
                f"{where}: cp {size / copying[0]:.0f} MiB/s ({copying[1]:.2f} s of the processor),"
                f" conversion {size / converting[0]:.0f} MiB/s ({converting[1]:.2f} s,"
                f" {size / converting[1]:.0f} MiB per second of it):"
                f" {copying[0] / converting[0]:.0%} of cp"
            )


if __name__ == "__main__":
    main()
