"""Seconds and memory of a consortium's screen: 100 lines × 10 compounds × 8 doses × 3 batches, 20 phenotypes; then one more plate.

python benchmarks/screen.py --lines 100
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import polars as pl

from phenotypes.columns import columns
from phenotypes.plate_effects import plate_effects
from phenotypes.screen import LineFacts, fit_screen

COMPOUNDS = [f"c{i}" for i in range(10)]
DOSES = np.geomspace(1e-8, 3e-5, 8)


def plate(rng: np.random.Generator, lines: list[str], name: str, batch: str, phenotypes: list[str]) -> pl.DataFrame:
    """Two lines a plate, a disease line and its isogenic control; half of the phenotypes respond."""
    conditions = [("vehicle", "DMSO", 0.0)] * 24 + [("none", c, d) for c in COMPOUNDS for d in DOSES for _ in range(3)]
    control, compound, dose = zip(*conditions, strict=True)
    n, dose = len(conditions), np.array(dose)
    parts = []
    for line in lines:
        values = {
            p: 200 * (1 - (0.5 if i % 2 else 0.0) * dose / (dose + 1e-6)) * rng.lognormal(0, 0.1, n) * rng.lognormal(0, 0.2)
            for i, p in enumerate(phenotypes)
        }
        described = {"plate": name, "batch": batch, "line": line, "genotype": "SOD1", "status": "done"}
        parts.append(
            pl.DataFrame({"control": control, "compound": compound, "dose_molar": dose, **values}).with_columns(
                *(pl.lit(v).alias(k) for k, v in described.items()), pl.lit(300, pl.Int64).alias("nuclei_count")
            )
        )
    return pl.concat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100)
    count = parser.parse_args().lines
    rng = np.random.default_rng(0)
    phenotypes = [c.name for c in columns("well").values() if c.scale == "percent"][:14]
    phenotypes += [c.name for c in columns("well").values() if c.scale == "difference"][: 20 - len(phenotypes)]
    lines = [f"L{i}" for i in range(count)]
    wells = pl.concat(
        [plate(rng, lines[i : i + 2], f"p{i}-{b}", f"lab/b{b}", phenotypes) for i in range(0, count, 2) for b in range(3)]
    )  # fmt: skip
    began = time.perf_counter()
    conditions = plate_effects(wells, phenotypes)
    print(
        f"{len(wells):,} wells of {wells['plate'].n_unique()} plates, {len(phenotypes)} phenotypes: conditions in {time.perf_counter() - began:.1f} s"
    )
    planned = wells.filter(pl.col("control") == "none").select("line", "compound", "dose_molar").unique()
    facts = LineFacts(
        donors={n: f"D{int(n[1:]) // 2}" for n in lines}, genes={n: ("SOD1", "FUS", "TARDBP")[int(n[1:]) // 2 % 3] for n in lines[::2]},
        isogenic=dict(zip(lines[::2], lines[1::2], strict=False)), healthy=frozenset(lines[1::2]),
    )  # fmt: skip
    began = time.perf_counter()
    first = fit_screen(conditions, planned, facts=facts)
    print(f"{first.refitted:,} rows fitted in {time.perf_counter() - began:.1f} s")
    more = plate_effects(plate(rng, lines[:2], "p-new", "lab/new", phenotypes), phenotypes)
    began = time.perf_counter()
    second = fit_screen(pl.concat([conditions, more]), planned, facts=facts, known=first.fits)
    print(f"one more plate: {second.refitted} rows fitted again, {time.perf_counter() - began:.1f} s in all")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
