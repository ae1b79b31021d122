"""Folders of finished runs as far as a screen reads them, of tables with a known truth."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import conform
from tests.phenotypes.drawn_screens import component_wells, ladder_wells

LINES = ["S1", "S1-iso", "S2", "S2-iso", "S3", "S3-iso"]
NAMES = ["live_density", "nc_log2_aggregate"]
REGISTRY = "line\tdonor\tgene\tisogenic_parent\n" + "".join(
    f"S{i}\tD{i}\tSOD1\t\nS{i}-iso\tD{i}\t\tS{i}\n" for i in (1, 2, 3)
)


def write_run(folder, wells, number, **more):
    """A run's folder as `analyze` leaves it, as far as a screen reads it."""
    folder.mkdir(parents=True)
    named = wells.with_columns(
        pl.Series(
            "well", [f"{'ABCDEFGHIJKLMNOP'[i // 24]}{i % 24 + 1:02d}" for i in range(len(wells))]
        )
    )
    conform(named.drop("plate"), "well").write_parquet(folder / "wells.parquet")
    quality = pl.DataFrame(
        {
            "line": LINES[:1],
            "phenotype": NAMES[:1],
            "status": ["ok"],
            "z_prime": [0.5],
            "ssmd": [6.0],
        }
    )
    conform(quality, "quality").write_parquet(folder / "quality.parquet")
    record = {
        "run_id": f"{number:064x}",
        "plate_digest": f"p{number}",
        "plate_name": f"Plate-{number}",
        "plate_map_digest": f"m{number}",
        "protocol_digest": "q",
        "software_version": "0.2.0",
        "label_version": 1,
        "pixel_size_um": 0.325,
        "plate_format": {"rows": 16, "columns": 24},
        "inputs": {"protocol": {"response": {"phenotypes": NAMES}}},
    } | more
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def four_runs(root):
    """Four plates, a batch each, of three disease lines and their isogenic partners."""
    wells = ladder_wells(
        np.random.default_rng(0),
        LINES,
        batches=4,
        gap=0.6,
        isogenic=LINES[1::2],
        span={"nc_log2_aggregate": 0.4},
    )
    return [
        write_run(root / f"r{b}", wells.filter(pl.col("batch") == f"b{b}"), b + 1) for b in range(4)
    ]


def three_runs(root):
    """Three plates, a batch each, of one disease line and its isogenic partner: fitted at once."""
    wells = ladder_wells(
        np.random.default_rng(0),
        LINES[:2],
        batches=3,
        gap=0.6,
        isogenic=LINES[1:2],
        span={"nc_log2_aggregate": 0.4},
    )
    return [
        write_run(root / f"r{b}", wells.filter(pl.col("batch") == f"b{b}"), b + 1) for b in range(3)
    ]


def planned_runs(root):
    """Four batches of four lines under twelve compounds, two of which do something."""
    wells = component_wells(
        np.random.default_rng(2),
        lines=4,
        compounds=12,
        batches=4,
        wells=3,
        vehicles=8,
        effects=[-1.0, -0.8] + 10 * [0.0],
    ).with_columns(nc_log2_aggregate=pl.col("live_density").log(2) - 6)
    return [
        write_run(root / f"r{b}", wells.filter(pl.col("batch") == f"b{b}"), b + 1) for b in range(4)
    ]
