"""How long pages of a 384-well plate with 100,000 cells take, alone and with 20 users.

    python -m benchmarks.speed.pages

Tables are drawn at random with every column filled; all wells share one stored field of 2048² px and
four channels. Each user opens a page of the list, reads it for 2 to 4.5 seconds, and opens the next.
Times are those of the whole answer on loopback; `cpu` is what the server's process worked for a page
that is asked for alone, which a busy machine does not lengthen.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import psutil
from sqlmodel import Session

from imaging_service.database.session import database_engine, upgrade
from imaging_service.database.tables import PlateRow, RunRow, TableRow, WellRow
from imaging_service.settings import Settings
from imaging_service.store import plates
from imaging_service.store.labels import LabelWriter
from phenotypes.columns.dictionary import columns, conform
from plate_maps import Well, plate_format

RUN = "a" * 64
FORMAT = plate_format(384)
LINES = [f"LINE-{i:02d}" for i in range(12)]
COMPOUNDS = [f"compound-{i:02d}" for i in range(10)]
PHENOTYPES = [
    "live_density",
    "neurite_length_density",
    "neurite_length_per_neuron",
    "nc_log2_aggregate",
    "puncta_per_neuron",
]
CELLS, FIELDS, SIDE = 100_000, 4, 2048
USERS, SECONDS = 20, 60
PORT = 8797


def row_of(level: str, rng: np.random.Generator, **known: Any) -> dict[str, Any]:
    """A row with every column filled."""
    fill = {"Float64": float(rng.normal(100, 20)), "Int64": 17, "Boolean": True}
    return {n: known.get(n, fill.get(str(c.dtype), "")) for n, c in columns(level).items()}


def well_names() -> list[str]:
    return [Well(r, c).name for r in range(1, 17) for c in range(1, 25)]


def make_store(data: Path) -> Settings:
    """A data folder with one finished run."""
    rng = np.random.default_rng(1)
    settings = Settings(data_dir=data)
    upgrade(settings.url)
    root = settings.run_root(RUN)
    root.mkdir(parents=True)
    wells = []
    for i, name in enumerate(well_names()):
        vehicle = i % 8 == 0
        wells.append(
            row_of(
                "well",
                rng,
                well=name,
                line=LINES[i % 12],
                compound="DMSO" if vehicle else COMPOUNDS[i // 12 % 10],
                dose_molar=0.0 if vehicle else 10.0 ** -(5 + i % 5),
                control="vehicle" if vehicle else "none",
                status="done",
                n_fields=FIELDS,
            )
        )
    responses = [
        row_of(
            "response",
            rng,
            line=line,
            compound=compound,
            phenotype=name,
            status="ok",
            direction="descending",
            effect=-50.0,
            effect_low=-60.0,
            effect_high=-40.0,
            ec50_molar=1e-7,
            ec50_low=5e-8,
            ec50_high=2e-7,
            q_value=float(rng.random()),
            unit="% of vehicle",
        )
        for name in PHENOTYPES
        for compound in COMPOUNDS
        for line in LINES
    ]
    checks = [row_of("check", rng, check="edge_effect", status="ok") for _ in range(60)]
    write_rows(settings, {"wells": wells, "responses": responses, "checks": checks})
    write_files(root, rng)
    write_pixels(root, rng)
    return settings


def write_rows(settings: Settings, tables: dict[str, list[dict[str, Any]]]) -> None:
    with Session(database_engine(settings.url)) as session:
        session.add(
            PlateRow(id="p", name="Plate", rows=16, columns=24, channels="[]", pixel_size_um=0.325)
        )
        session.flush()
        session.add(
            RunRow(
                id=RUN,
                plate_id="p",
                protocol_name="x",
                engine="classical",
                state="done",
                n_wells=384,
                n_skipped=0,
            )
        )
        session.flush()
        for kind, rows in tables.items():
            for i, row in enumerate(rows):
                parts = {n: row.get(n) or "" for n in ("line", "compound", "phenotype", "status")}
                content = json.dumps(row)
                session.add(TableRow(run_id=RUN, kind=kind, position=i, content=content, **parts))
        session.add_all(
            WellRow(run_id=RUN, well=w, status="done", n_fields=FIELDS) for w in well_names()
        )
        session.commit()


def write_files(root: Path, rng: np.random.Generator) -> None:
    names = well_names()
    record = {
        "run_id": RUN,
        "plate": str(root / "plate.zarr"),
        "plate_name": "Plate",
        "plate_map_digest": "m" * 64,
        "protocol_digest": "q" * 64,
        "plate_digest": "d" * 64,
        "software_version": "0",
        "reader": "tiff",
        "pixel_size_um": 0.325,
        "engine": {"engine": "classical"},
        "inputs": {
            "plate_map_source": "map.csv",
            "protocol": {"response": {"phenotypes": PHENOTYPES}},
        },
        "skipped": {},
        "wells": {w: {"status": "done", "reason": ""} for w in names},
        "source_files": {f"Images/{i:05d}.tiff": "0" * 64 for i in range(13_824)},
    }
    (root / "run.json").write_text(json.dumps(record), encoding="utf-8")
    place = np.arange(CELLS)
    cells = {
        n: rng.normal(100, 20, CELLS)
        for n, c in columns("cell").items()
        if str(c.dtype) == "Float64"
    }
    cells |= {
        "well": [names[i % 384] for i in place],
        "field": place // 384 % FIELDS + 1,
        "frame": np.ones(CELLS, int),
        "label": place // (384 * FIELDS) + 1,
    }
    conform(pl.DataFrame(cells).sort("well", "field"), "cell").write_parquet(
        root / "cells.parquet", compression="zstd"
    )
    fields = [
        row_of("field", rng, well=w, field=f, frame=1, qc="", warnings="")
        for w in names
        for f in range(1, FIELDS + 1)
    ]
    conform(pl.DataFrame(fields), "field").write_parquet(root / "fields.parquet")
    quality = [
        row_of("quality", rng, line=line, phenotype=name, status="ok")
        for line in LINES
        for name in PHENOTYPES
    ]
    conform(pl.DataFrame(quality), "quality").write_parquet(root / "quality.parquet")
    doses = np.geomspace(1e-9, 1e-5, 60)
    curves = [
        {
            "line": line,
            "compound": compound,
            "phenotype": name,
            "unit": "% of vehicle",
            "status": "ok",
            "reason": "",
            "ec50_molar": 1e-7,
            "wells": names[:32],
            "dose_molar": [0.0] * 8 + list(np.geomspace(1e-9, 1e-5, 24)),
            "response": list(rng.normal(80, 10, 32)),
            "fit_dose_molar": list(doses),
            "fit_response": list(100 - 50 / (1 + 1e-7 / doses)),
            "fit_low": list(90 - 50 / (1 + 1e-7 / doses)),
            "fit_high": list(110 - 50 / (1 + 1e-7 / doses)),
        }
        for name in PHENOTYPES
        for line in LINES
        for compound in COMPOUNDS
    ]
    (root / "curves.json").write_text(json.dumps(curves), encoding="utf-8")
    (root / "review").mkdir()
    queue = ["well,field,score,why", *(f"{w},{f},1.0,curve" for w in names for f in range(1, 5))]
    (root / "review" / "queue.csv").write_text("\n".join(queue) + "\n", encoding="utf-8")


def write_pixels(root: Path, rng: np.random.Generator) -> None:
    """One well; the others are links to it."""
    first = Well.parse("A01")
    pixels = rng.normal(300, 15, (4, SIDE, SIDE)).astype(np.uint16)
    roles = ("dna", "neurite", "aggregate", "identity")
    grid = np.zeros((SIDE, SIDE), np.int32)
    for i in range(400):
        y, x = divmod(i, 20)
        grid[y * 100 + 20 : y * 100 + 60, x * 100 + 20 : x * 100 + 60] = i + 1
    pixels[:, grid > 0] += 1500
    stored = root / "plate.zarr" / plates.well_path(first)
    plates.begin_plate(root / "plate.zarr")
    plates.write_well(stored, [pixels] * FIELDS, roles, roles, 0.325, (), "A01")
    labels = root / "labels.zarr" / plates.well_path(first)
    writer = LabelWriter(labels, 0.325, 1)
    for field in range(1, FIELDS + 1):
        writer.write(
            field, {"nuclei": grid, "somas": grid, "neurites": (grid > 0).astype(np.int32)}
        )
    writer.finish()
    for name in well_names()[1:]:
        for source, store in ((stored, "plate.zarr"), (labels, "labels.zarr")):
            link = root / store / plates.well_path(Well.parse(name))
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source, target_is_directory=True)


def pages(rng: random.Random) -> dict[str, str]:
    """Kind of page ► an address of that kind."""
    view, well = f"/view/{RUN}", rng.choice(well_names())
    line, compound = rng.choice(LINES), rng.choice(COMPOUNDS)
    name, field = rng.choice(PHENOTYPES), rng.randint(1, FIELDS)
    place = f"{view}/wells/{well}/fields/{field}"
    return {
        "runs": "/",
        "run": view,
        "plate": f"{view}/plate?phenotype={name}",
        "well": f"{view}/wells/{well}?field={field}",
        "pixel tile": f"{place}/pixels/{rng.randint(0, 3)}/0/0.png",
        "outline tile": f"{place}/nuclei/{rng.randint(0, 3)}/0/0.png",
        "cell at a pixel": f"{place}/cell?y={rng.randint(0, 2047)}&x={rng.randint(0, 2047)}",
        "responses": f"{view}/responses?phenotype={name}",
        "curve": f"{view}/curve?line={line}&compound={compound}&phenotype={name}",
        "line": f"{view}/line?name={line}",
        "compound": f"{view}/compound?name={compound}",
        "quality": f"{view}/quality",
        "review": f"{view}/review",
        "plates": "/quality",
        "line, all runs": f"/line?name={line}",
        "compound, all runs": f"/compound?name={compound}",
        "models": "/models",
    }


def user(number: int, token: str, until: float, times: dict[str, list[float]]) -> None:
    rng = random.Random(number)
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
        client.get("/open", params={"token": token})
        while time.monotonic() < until:
            kind, address = rng.choice(sorted(pages(rng).items()))
            start = time.perf_counter()
            answer = client.get(address)
            times[kind].append(1000 * (time.perf_counter() - start))
            if answer.status_code != 200:
                raise SystemExit(f"{answer.status_code}: {address}\n{answer.text[:500]}")
            time.sleep(rng.uniform(2, 4.5))


def alone(token: str, process: psutil.Process) -> dict[str, tuple[float, float, int]]:
    """Kind ► CPU and wall milliseconds (medians of 15), and bytes, of pages asked for alone."""
    seen = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
        client.get("/open", params={"token": token})
        for kind in pages(random.Random(0)):
            cpu, wall, size = [], [], 0
            for i in range(16):
                address = pages(random.Random(i))[kind]
                before, start = sum(process.cpu_times()[:2]), time.perf_counter()
                size = len(client.get(address).content)
                wall.append(1000 * (time.perf_counter() - start))
                cpu.append(1000 * (sum(process.cpu_times()[:2]) - before))
            seen[kind] = (statistics.mean(cpu[1:]), statistics.median(wall[1:]), size)
    return seen


def serve(data: Path) -> tuple[subprocess.Popen[str], str]:
    environment = os.environ | {"IMAGING_SERVICE_DATA_DIR": str(data)}
    command = [sys.executable, "-m", "imaging_service.cli", "serve", "--no-worker", "--port"]
    server = subprocess.Popen(
        [*command, str(PORT)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    token = ""
    for line in server.stdout or ():
        if "/open?token=" in line:
            token = line.split("token=")[1].strip()
        if "Uvicorn running" in line:
            break
    # What it writes from here on must not fill the pipe.
    threading.Thread(target=lambda: [None for _ in server.stdout or ()], daemon=True).start()
    return server, token


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder))
        server, token = serve(Path(folder))
        try:
            single = alone(token, psutil.Process(server.pid))
            times: dict[str, list[float]] = defaultdict(list)
            until = time.monotonic() + given.seconds
            threads = [
                threading.Thread(target=user, args=(i, token, until, times))
                for i in range(given.users)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            server.terminate()
            server.wait()
    print(
        f"| page | bytes | cpu, ms | alone, ms | with {given.users} users: median, ms | p95, ms | n |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, (cpu, wall, size) in single.items():
        taken = sorted(times[kind])
        p95 = taken[int(0.95 * (len(taken) - 1))]
        print(
            f"| {kind} | {size:,} | {cpu:.0f} | {wall:.0f} | {statistics.median(taken):.0f} |"
            f" {p95:.0f} | {len(taken)} |"
        )
    every = sorted(t for taken in times.values() for t in taken)
    print(f"all pages: p95 {every[int(0.95 * (len(every) - 1))]:.0f} ms of {len(every)} answers")


if __name__ == "__main__":
    main()
