"""Are the intervals of the response table honest? Phantom plates with known EC50s, many seeds.

    python -m benchmarks.inference.recovery --seeds 20 --out benchmarks/recovery.json

Each seed draws the plate of `imaging-service phantom`, and segments, measures and fits it with the
functions that `analyze` uses; only storage is left out. Printed: the share of active curves whose
95 % interval covers the true EC50 (a curve not fitted counts as not covered), and the share of flat
curves called flat, for compounds that do nothing to the line and, apart, for what the toxic
compound leaves alone. Rows are appended as seeds end, so a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from imaging_service.cli import demo
from imaging_service.jobs.calibrate import ILLUMINATION_FIELDS, THRESHOLD_FIELDS
from imaging_service.jobs.parallel.processes import start_worker
from phenotypes.cells.measure import measure, with_well
from phenotypes.columns.dictionary import empty_table
from phenotypes.plates.judge import judge
from phenotypes.plates.responses import respond
from segmentation import load
from segmentation.filters.background import estimate_illumination
from segmentation.phantoms.render import Optics, render


def field(planned: demo.PlannedWell, seed: int, number: int):
    return render(
        planned.culture,
        Optics(),
        np.random.SeedSequence([seed, planned.well.row, planned.well.column, number]),
    )


def spread(items: list, count: int) -> list:
    step = max(1.0, len(items) / count)
    return [items[int(i * step)] for i in range(min(count, len(items)))]


def one_seed(seed: int) -> list[dict]:
    cv2.setNumThreads(1)
    wells = demo.layout(seed)
    illumination = estimate_illumination(
        [field(w, seed, 1).field for w in spread(wells, ILLUMINATION_FIELDS)]
    )
    vehicles = [w for w in wells if w.control == "vehicle"]
    engine = load("classical").calibrate(
        [illumination.correct(field(w, seed, 1).field) for w in spread(vehicles, THRESHOLD_FIELDS)]
    )
    cells, fields = [empty_table("cell")], [empty_table("field")]
    for planned in wells:
        for number in range(1, demo.FIELDS + 1):
            raw = field(planned, seed, number).field
            corrected = illumination.correct(raw)
            measured = with_well(
                measure(corrected, engine.segment(corrected), None, raw), planned.well.name, number
            )
            cells.append(measured.cells)
            fields.append(measured.field)
    conditions = pl.DataFrame(
        [
            {
                "well": w.well.name,
                "line": w.line.name,
                "genotype": w.line.genotype,
                "compound": w.compound,
                "dose_molar": w.dose,
                "control": w.control or "none",
                "batch": "diff-1",
            }
            for w in wells
        ]
    )
    ended = {w.well.name: ("done", "") for w in wells}
    table = judge(pl.concat(cells), pl.concat(fields), conditions, ended, (16, 24)).wells
    responses = respond(table, demo.PHENOTYPES, pixel_size_um=Optics().pixel_size_um)
    compared = demo.beside_truth(responses.table)
    keep = [
        "line",
        "compound",
        "phenotype",
        "status",
        "ec50_molar",
        "ec50_low",
        "ec50_high",
        "true_ec50_molar",
        "p_value",
        "effect",
        "agrees",
    ]
    return [{"seed": seed, **row} for row in compared.select(keep).to_dicts()]


def report(rows: list[dict]) -> None:
    table = pl.DataFrame(rows, infer_schema_length=None)
    toxic = pl.col("compound") == demo.TOXIC
    active = pl.col("true_ec50_molar").is_not_null()
    parts = {
        "true EC50 inside its 95 % interval": table.filter(active),
        "flat compound called flat": table.filter(
            ~active & ~toxic | (~active & (pl.col("phenotype") == "live_density"))
        ),
        "phenotype that the toxic compound leaves alone, called flat": table.filter(
            ~active & toxic
        ),
    }
    print(f"{table['seed'].n_unique()} seeds")
    for name, part in parts.items():
        print(f"{name}: {int(part['agrees'].sum())} of {len(part)} = {part['agrees'].mean():.1%}")
    by = (
        table.group_by("compound", "phenotype", active.alias("active"))
        .agg(pl.len(), pl.col("agrees").mean())
        .sort("active", "compound", "phenotype")
    )
    with pl.Config(tbl_rows=40, tbl_hide_dataframe_shape=True):
        print(by)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/recovery.json"))
    arguments = parser.parse_args()
    rows = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    todo = [s for s in range(1, arguments.seeds + 1) if s not in {r["seed"] for r in rows}]
    start = time.perf_counter()
    with ProcessPoolExecutor(
        arguments.workers, mp_context=get_context("spawn"), initializer=start_worker
    ) as pool:
        for seed_rows in pool.map(one_seed, todo):
            rows += seed_rows
            arguments.out.write_text(json.dumps(rows, indent=0))
            print(
                f"seed {seed_rows[0]['seed']} after {time.perf_counter() - start:.0f} s", flush=True
            )
    report(rows)


if __name__ == "__main__":
    main()
