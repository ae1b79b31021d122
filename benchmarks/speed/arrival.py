"""A whole plate arrives: how long its inspection takes, what comparing digests and looking cost.

    python -m benchmarks.speed.arrival [--side 1080]

Draws 384 wells × 9 fields × 4 channels (13,824 files of 16² pixels), and runs the command
`inspect` on them in a process of its own. Then converts a well of full-size planes, and compares
the digests of its files as the conversion does. At last a run looks at the first field of 24 wells.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

from imaging_service.ingest import plan_scan
from imaging_service.ingest.images import digests
from imaging_service.ingest.images.digests import as_submitted, file_digests, file_states
from imaging_service.jobs.arrival.plate import conclude
from imaging_service.jobs.arrival.wells import look_at
from imaging_service.jobs.plan import identify, lay_out, read_inputs
from imaging_service.jobs.records import RunFolder, WellTask
from imaging_service.jobs.well import begin, convert_well
from imaging_service.protocol import Acquisition, parse_protocol
from plate_maps.wells import row_letters
from segmentation.phantoms.render import Culture, Optics, render

SIZE = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}


def draw_plate(folder: Path) -> int:
    first = folder / "first.tif"
    tifffile.imwrite(first, np.zeros((16, 16), np.uint16), ome=True, metadata=SIZE)
    content = first.read_bytes()
    first.unlink()
    count = 0
    for row in range(1, 17):
        for column in range(1, 25):
            for field in range(1, 10):
                for channel in range(1, 5):
                    name = f"p_{row_letters(row)}{column:02}_s{field}_w{channel}.tif"
                    (folder / name).write_bytes(content)
                    count += 1
    return count


def inspect_seconds(folder: Path) -> tuple[float, float]:
    start = time.perf_counter()
    command = [sys.executable, "-m", "imaging_service.cli", "inspect", str(folder), "--json"]
    subprocess.run(command, check=False, capture_output=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return time.perf_counter() - start, peak


def digest_seconds(folder: Path, side: int) -> tuple[float, float, float]:
    """(MiB of a well, seconds to convert it, those of comparing its files in it).

    Seconds of the processor: others use this machine too.
    """
    rng = np.random.default_rng(0)
    for field in range(1, 5):
        for channel in range(1, 5):
            plane = rng.poisson(300, (side, side)).astype(np.uint16)
            tifffile.imwrite(folder / f"p_B02_s{field}_w{channel}.tif", plane, metadata=None)
    plan = plan_scan(folder, Acquisition(pixel_size_um=0.65))
    megabytes = sum(p.stat().st_size for p in folder.iterdir()) / 2**20
    protocol = parse_protocol({"name": "p", "channels": {"dna": 1}}, "p")
    roles = ("dna", None, None, None)
    planes = dict.fromkeys(plan.channels, 1)
    task = WellTask(
        "B02",
        plan,
        0.65,
        roles,
        (1,),
        planes,
        protocol,
        "classical",
        "cpu",
        folder,
        file_digests(plan),
    )
    comparing, converting = [], []
    time.sleep(digests._SETTLED_S + 1)  # as a scan that was written before it is analysed
    for i in range(5):
        digests._known.cache_clear()
        start = time.process_time()
        for path in plan.files():
            with as_submitted(plan.root, path, task.digests):
                pass
        comparing.append(time.process_time() - start)
        plate = Path(tempfile.mkdtemp(dir=folder)) / f"{i}.zarr"
        begin(plate)
        digests._known.cache_clear()
        start = time.process_time()
        convert_well(replace(task, plate=plate))
        converting.append(time.process_time() - start)
    return megabytes, min(converting), min(comparing)


def look_seconds(folder: Path, side: int, wells: int = 24) -> tuple[float, float]:
    """Seconds of the processor per image that a run looks at, and to put a plate together.

    Each image is another part of one drawn field, with noise of its own.
    """
    pixels = render(Culture(neurons_per_mm2=200), Optics(shape=(side, side)), 1).field.pixels
    rng, names = np.random.default_rng(0), [f"{row}{c:02}" for row in "BCD" for c in range(2, 10)]
    for number, well in enumerate(names[:wells]):
        for channel in range(3):
            plane = np.roll(pixels[channel], 97 * number) + rng.integers(0, 3, (side, side))
            path = folder / "scan" / f"p_{well}_s1_w{channel + 1}.tif"
            path.parent.mkdir(exist_ok=True)
            tifffile.imwrite(path, plane.astype(np.uint16), ome=True, metadata=SIZE)
    rows = [f"{well},L1,SOD1,DMSO,,,vehicle,b1" for well in names[:wells]]
    head = "well,line,genotype,compound,dose,unit,control,batch"
    (folder / "map.csv").write_text("\n".join([head, *rows]))
    channels = {"dna": "1", "neurite": "2", "aggregate": "3"}
    protocol = parse_protocol({"name": "p", "channels": channels}, "p")
    run = RunFolder(folder / "run")
    inputs = read_inputs(folder / "scan", folder / "map.csv", protocol, "classical", "cpu")
    record = lay_out(*identify(inputs), run)
    look_at(run.root, record.wells[:1])  # imports
    start = time.process_time()
    look_at(run.root, record.wells[1:])
    looked = time.process_time()
    conclude(run.root)
    return (looked - start) / (3 * (wells - 1)), time.process_time() - looked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=1080)
    side = parser.parse_args().side
    with tempfile.TemporaryDirectory() as made:
        plate = Path(made) / "plate"
        plate.mkdir()
        files = draw_plate(plate)
        seconds, peak = inspect_seconds(plate)
        print(f"inspect of {files:,} files: {seconds:.1f} s, {peak:.2f} GiB")
        plan = plan_scan(plate, Acquisition())
        start = time.perf_counter()
        file_states(plan)
        print(f"sizes and dates of all: {time.perf_counter() - start:.2f} s")
        well = Path(made) / "well"
        well.mkdir()
        megabytes, converting, comparing = digest_seconds(well, side)
        print(
            f"conversion of a well of {megabytes:.0f} MiB: {converting:.2f} s of the processor, of"
            f" which comparing the digests of its files {comparing:.3f} s"
            f" ({comparing / converting:.1%})"
        )
        plate = Path(made) / "looked"
        plate.mkdir()
        each, together = look_seconds(plate, side)
        print(
            f"a look at an image of {side}²: {1000 * each:.0f} ms of the processor; to put a plate"
            f" of three channels together: {together:.1f} s"
        )


if __name__ == "__main__":
    main()
