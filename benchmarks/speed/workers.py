"""What several workers get done on one Postgres, and what a well costs the service itself.

python -m benchmarks.speed.workers [--workers 1 2 4] [--one-core-each]
python -m benchmarks.speed.workers --overhead [--wells 24 96 384 1536] [--database sqlite]

With a core for each worker, as if each were a small machine of its own, there can be no more workers
than cores. The last analyses nothing: its wells are done as soon as they are asked for. What is left is the
queue, the database and the worker's own work. Seconds of a processor are told beside wells per
second, since several workers on one machine share its cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import psutil
import sqlalchemy as sa
import tifffile
from sqlmodel import Session

from imaging_service.cli.demo import quick_optics, write_phantom_plate
from imaging_service.database.session import database_engine
from imaging_service.database.tables import TABLE_LEVELS, RunRow
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.jobs.durable.queue import submit_run
from imaging_service.jobs.plan import read_inputs
from imaging_service.jobs.records import WellOutcome
from imaging_service.protocol import load_protocol
from imaging_service.settings import Settings
from plate_maps import FORMATS
from plate_maps.wells import row_letters
from tests.faults.conftest import end
from tests.postgres import Postgres
from tests.service import Service

PROTOCOL = """\
name = "nothing"
response.phenotypes = ["live_density"]
segmentation.engine = "classical"
[channels]
dna = "1"
"""
COUNTS = "statements.json"


class Nothing:
    """Stands for the cluster, in a worker of this program: every well is done at once."""

    processes = 2

    def __init__(self, settings: Settings) -> None:
        self.statements: Counter[str] = Counter()
        self._counts = settings.data_dir.resolve() / COUNTS
        sa.event.listen(sa.Engine, "before_cursor_execute", self._count)

    def offers_gpu(self) -> bool:
        return False

    def run(self, function: Any, *args: Any, key: str) -> WellOutcome | None:
        if function.__name__ == "process_well":
            return WellOutcome(args[1], "done", n_fields=1, n_nuclei=1)
        if function.__name__ == "write_summary":
            root, outcomes = args
            for kind in TABLE_LEVELS:
                rows = {"well": list(outcomes) if kind == "wells" else []}
                pl.DataFrame(rows, schema={"well": pl.String}).write_parquet(
                    root / f"{kind}.parquet"
                )
            self._counts.write_text(json.dumps(self.statements))
        return None

    def close(self) -> None:
        pass

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.statements[statement.split()[0]] += 1


def work_on_nothing() -> None:
    """A worker as the service starts it, but for its cluster."""
    from imaging_service.jobs.durable import cluster, worker

    with patch.object(cluster, "Cluster", Nothing):
        worker.work()


def write_scan(folder: Path, count: int) -> None:
    """So many wells of one small image each, with their map and protocol."""
    scan = folder / "Nothing-1"
    scan.mkdir(parents=True)
    plate = next(plate for size, plate in sorted(FORMATS.items()) if size >= count)
    places = product(range(1, plate.rows + 1), range(1, plate.columns + 1))
    wells = [f"{row_letters(row)}{column:02d}" for row, column in places][:count]
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    size = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    for well in wells:
        tifffile.imwrite(scan / f"p_{well}_s1_w1.tif", pixels, ome=True, metadata=size)
    rows = [f"{w},L1,SOD1,DMSO,,,vehicle,b1" for w in wells]
    header = "well,line,genotype,compound,dose,unit,control,batch"
    (folder / "plate_map.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "protocol.toml").write_text(PROTOCOL)


def submit(settings: Settings, folder: Path) -> str:
    protocol = load_protocol(folder / "protocol.toml")
    scan = next(p for p in folder.iterdir() if p.is_dir() and p.name != "truth")
    return submit_run(settings, read_inputs(scan, folder / "plate_map.csv", protocol, None, "cpu"))


def finished(settings: Settings, run: str, limit_s: float = 900) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        with Session(database_engine(settings.url)) as session:
            row = session.get_one(RunRow, run)
        if row.state == "done":
            return
        if row.state == "failed":
            raise SystemExit(f"run {run[:12]} failed: {row.reason}")
        time.sleep(0.05)
    raise SystemExit(f"run {run[:12]} did not end within {limit_s:.0f} s")


def processor_s(processes: Sequence[psutil.Process]) -> float:
    """Seconds of a processor that processes and all below them have used."""
    seconds = 0.0
    for process in processes:
        own = process.cpu_times()
        seconds += own.user + own.system + own.children_user + own.children_system
        for child in process.children(recursive=True):
            used = child.cpu_times()
            seconds += used.user + used.system
    return seconds


@contextmanager
def database(kind: str, folder: Path) -> Iterator[tuple[Settings, list[psutil.Process]]]:
    """Settings over an empty database, and the processes that the database has."""
    running = Postgres() if kind == "postgres" else None
    if running:
        running.start()
    settings = Settings(data_dir=folder / "data", database_url=running.url if running else "")
    settings.data_dir.mkdir(parents=True)
    prepare_database(settings.url)
    servers = []
    if running:
        number = (running.folder / "data" / "postmaster.pid").read_text().split()[0]
        servers = [psutil.Process(int(number))]
    try:
        yield settings, servers
    finally:
        database_engine(settings.url).dispose()
        if running:
            running.remove()


def until_ready(log: Path, count: int) -> None:
    deadline = time.monotonic() + 300
    while not log.is_file() or log.read_text(errors="replace").count("worker ready") < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"the workers did not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)


def with_workers(count: int, folder: Path, warm: Path, plate: Path, own_core: bool) -> None:
    """Analyse a phantom plate, once every worker has analysed wells of another one."""
    with database("postgres", folder) as (settings, servers):
        service = Service(folder, folder, database_url=settings.url)
        workers = [service.start_worker(worker_name=f"worker-{n}") for n in range(count)]
        try:
            if own_core:
                # What a worker starts later is on its core too.
                for core, worker in enumerate(workers):
                    psutil.Process(worker.pid).cpu_affinity([core])
            until_ready(folder / "worker.log", count)
            finished(settings, submit(settings, warm))
            parts = [psutil.Process(w.pid) for w in workers]
            before, start = (processor_s(parts), processor_s(servers)), time.perf_counter()
            run = submit(settings, plate)
            finished(settings, run)
            wall = time.perf_counter() - start
            used = processor_s(parts) - before[0], processor_s(servers) - before[1]
        finally:
            for worker in workers:
                end(worker)
        with Session(database_engine(settings.url)) as session:
            wells = session.get_one(RunRow, run).n_wells
    print(
        f"{count} workers{' of one core each' * own_core}: {wells} wells in {wall:.1f} s, {wells / wall:.2f} wells/s; processor:"
        f" {used[0] / wells:.2f} s per well of the workers, {1000 * used[1] / wells:.0f} ms of"
        " Postgres",
        flush=True,
    )


def overhead(kind: str, count: int, folder: Path) -> None:
    """Wells that cost nothing, with one worker."""
    plate = folder / "plate"
    write_scan(plate, count)
    with database(kind, folder) as (settings, servers):
        environment = os.environ | {
            "IMAGING_SERVICE_DATA_DIR": str(settings.data_dir),
            "IMAGING_SERVICE_DATABASE_URL": settings.url,
        }
        command = [sys.executable, "-m", "benchmarks.speed.workers", "--as-worker"]
        with (folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            until_ready(folder / "worker.log", 1)
            parts = [psutil.Process(worker.pid)]
            start = time.perf_counter()
            run = submit(settings, plate)
            submitted = time.perf_counter()
            before = processor_s(parts), processor_s(servers)
            finished(settings, run)
            wall = time.perf_counter() - submitted
            used = processor_s(parts) - before[0], processor_s(servers) - before[1]
        finally:
            end(worker)
        counted = sum(json.loads((settings.data_dir / COUNTS).read_text()).values())
    print(
        f"{kind}, {count} wells: read and queued in {submitted - start:.1f} s; per well"
        f" {1000 * wall / count:.0f} ms, of a processor {1000 * used[0] / count:.1f} ms in the"
        f" worker and {1000 * used[1] / count:.1f} ms in Postgres, {counted / count:.1f} statements"
        " with those that look for work",
        flush=True,
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    asked.add_argument("--one-core-each", action="store_true")
    asked.add_argument("--overhead", action="store_true")
    asked.add_argument("--wells", type=int, nargs="+", default=[24, 96, 384, 1536])
    asked.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    asked.add_argument("--as-worker", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    cores = psutil.cpu_count() or 1
    if given.one_core_each and max(given.workers) > cores:
        asked.error(f"this machine has {cores} cores: give --workers of at most so many")
    if given.as_worker:
        work_on_nothing()
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if given.overhead:
            for count in given.wells:
                overhead(given.database, count, folder / str(count))
            return
        for seed, only in ((2, 8), (1, 12)):
            for _ in write_phantom_plate(
                folder / f"plate-{seed}", seed, optics=quick_optics(), only=only
            ):
                pass
        for count in given.workers:
            plates = folder / "plate-2", folder / "plate-1"
            with_workers(count, folder / f"with-{count}", *plates, given.one_core_each)


if __name__ == "__main__":
    main()
