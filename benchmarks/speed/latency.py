"""How long a user waits: help, the first field of `analyze`, a 384-well table from the API.

    python -m benchmarks.speed.latency

Each figure is the median of several runs of the real command or of requests to the application, on
this machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import uvicorn
from sqlmodel import Session

from imaging_service.api.app import create_app
from imaging_service.cli.demo import write_phantom_plate
from imaging_service.database.session import database_engine, upgrade
from imaging_service.database.tables import PlateRow, RunRow, TableRow
from imaging_service.settings import Settings
from phenotypes.columns.dictionary import columns


def help_seconds() -> float:
    return statistics.median(timed(["--help"]) for _ in range(7))


def timed(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "imaging_service.cli", *arguments], check=True, capture_output=True
    )
    return time.perf_counter() - start


def first_field_seconds(folder: Path) -> float:
    """From the command's start until the first well (one field) has its outcome on disk."""
    plate = folder / "plate"
    for _ in write_phantom_plate(plate, 1, only=8):
        pass
    seconds = []
    for i in range(5):
        out = folder / f"out{i}"
        command = [
            sys.executable,
            "-m",
            "imaging_service.cli",
            "analyze",
            str(plate / "Phantom-1"),
            "--plate-map",
            str(plate / "plate_map.csv"),
            "--protocol",
            str(plate / "protocol.toml"),
            "--out",
            str(out),
        ]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not list((out / "work" / "outcomes").glob("*.json")) and process.poll() is None:
            time.sleep(0.01)
        seconds.append(time.perf_counter() - start)
        if process.wait() != 0:
            raise SystemExit("analyze failed")
    return statistics.median(seconds[1:])


def table_milliseconds(folder: Path) -> dict[str, float]:
    """GET of a 384-well table with every column filled, over HTTP."""
    settings = Settings(data_dir=folder / "data")
    upgrade(settings.url)
    fill = {"Float64": 123.456789, "Int64": 17}
    values = {name: fill.get(str(c.dtype), "text") for name, c in columns("well").items()}
    with Session(database_engine(settings.url)) as session:
        session.add(
            PlateRow(id="p", name="p", rows=16, columns=24, channels="[]", pixel_size_um=0.65)
        )
        session.flush()
        session.add(
            RunRow(
                id="r" * 16,
                plate_id="p",
                protocol_name="x",
                engine="classical",
                state="done",
                n_wells=384,
                n_skipped=0,
            )
        )
        session.flush()
        for i in range(384):
            session.add(
                TableRow(run_id="r" * 16, kind="wells", position=i, content=json.dumps(values))
            )
        session.commit()
    medians = {}
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, "token"), port=8799, log_level="error")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    headers = {"Authorization": "Bearer token"}
    with httpx.Client(base_url="http://127.0.0.1:8799", headers=headers) as client:
        for fmt in ("json", "csv", "parquet"):
            times = []
            for _ in range(60):
                start = time.perf_counter()
                answer = client.get(f"/runs/{'r' * 16}/wells", params={"format": fmt})
                times.append(1000 * (time.perf_counter() - start))
                if answer.status_code != 200 or len(answer.content) < 10_000:
                    raise SystemExit(f"unexpected answer: {answer.status_code}")
            medians[fmt] = statistics.median(times[10:])
    server.should_exit = True
    thread.join()
    return medians


def main() -> None:
    print(f"imaging-service --help                       {help_seconds():.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        print(
            f"first well of analyze (2 fields, 3 channels) {first_field_seconds(Path(folder)):.1f}"
            " s after the command's start"
        )
        for fmt, milliseconds in table_milliseconds(Path(folder)).items():
            print(f"GET wells of a 384-well run as {fmt:8}      {milliseconds:.1f} ms (median)")


if __name__ == "__main__":
    main()
