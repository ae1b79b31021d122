"""Converting a scan beside copying it: the same files, one process, the same disk.

    python -m benchmarks.speed.conversion [--side 2160] [--to FOLDER]

Draws a well of four fields and three channels of 16 bit, as a camera gives them, and copies and
converts it in turn; the best of three rounds counts. `cp` into the machine's memory is a bound that
nothing that packs and hashes can come near, so both are also measured until all is on the disk. The
process has one thread and the heap that a process for wells has. At last the fields are read again,
and labels written, in seconds of the processor.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
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
from imaging_service.jobs.parallel.processes import HEAP, limit_threads, prepare_heaps
from imaging_service.jobs.records import WellTask
from imaging_service.jobs.well import begin, convert_well
from imaging_service.protocol import Acquisition, parse_protocol
from imaging_service.store.labels import LabelWriter
from imaging_service.store.plates import read_field
from plate_maps import Well
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


def processor_s(work: Callable[[], object]) -> float:
    """The least of three rounds."""
    seconds = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def write_labels(folder: Path, side: int) -> None:
    """Four label images of two fields, of 900 discs each."""
    labels, rng = np.zeros((side, side), np.int32), np.random.default_rng(0)
    y, x = np.mgrid[:40, :40]
    disc = (y - 20) ** 2 + (x - 20) ** 2 < 300
    for number, (top, left) in enumerate(rng.integers(0, side - 40, (900, 2)), start=1):
        labels[top : top + 40, left : left + 40][disc] = number
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    writer = LabelWriter(folder / "well", 0.65, 1)
    for field in (1, 2):
        writer.write(field, dict.fromkeys(("nuclei", "somas", "neurites", "puncta"), labels))
    writer.finish()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=2160)
    parser.add_argument("--to", type=Path, help="Folder on the disk to measure.")
    given = parser.parse_args()
    if not HEAP.keys() <= os.environ.keys():
        prepare_heaps()
        os.execv(sys.executable, sys.orig_argv)
    limit_threads(1)
    with tempfile.TemporaryDirectory(dir=given.to) as made:
        folder = Path(made)
        scan = folder / "scan"
        scan.mkdir()
        task = drawn(scan, given.side)
        time.sleep(digests._SETTLED_S + 1)  # as a scan that was written before it is analysed
        size = sum(p.stat().st_size for p in scan.iterdir()) / 2**20

        def copy(target: Path) -> None:
            subprocess.run(["cp", "-r", str(scan), str(target)], check=True)

        def convert(target: Path) -> None:
            digests._known.cache_clear()  # nothing is remembered from one round to the next
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

        def read() -> None:
            for field in range(1, 5):
                read_field(folder / "first", Well(2, 2), field)

        print(
            f"four fields read again {processor_s(read):.2f} s, labels of two written"
            f" {processor_s(lambda: write_labels(folder / 'labels', given.side)):.2f} s"
        )


if __name__ == "__main__":
    main()
