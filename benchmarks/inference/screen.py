"""Seconds and memory of a consortium's screen, and then of one more plate.

    python -m benchmarks.inference.screen --lines 100

100 lines × 10 compounds × 8 doses × 3 batches, 20 phenotypes.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import polars as pl

from imaging_service.web import charts
from imaging_service.web.screen_report import ScreenContent
from imaging_service.web.screen_report import pictures as draw_all
from phenotypes.columns.dictionary import columns, empty_table
from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import LineFacts, fit_screen

COMPOUNDS = [f"c{i}" for i in range(10)]
DOSES = np.geomspace(1e-8, 3e-5, 8)


def plate(
    rng: np.random.Generator, lines: list[str], name: str, batch: str, phenotypes: list[str]
) -> pl.DataFrame:
    """Plates of a disease line and its isogenic control; half of the phenotypes respond."""
    conditions = [("vehicle", "DMSO", 0.0)] * 24 + [
        ("none", c, d) for c in COMPOUNDS for d in DOSES for _ in range(3)
    ]
    control, compound, dose = zip(*conditions, strict=True)
    n, dose = len(conditions), np.array(dose)
    parts = []
    for line in lines:
        values = {
            p: (
                200
                * (1 - (0.5 if i % 2 else 0.0) * dose / (dose + 1e-6))
                * rng.lognormal(0, 0.1, n)
                * rng.lognormal(0, 0.2)
            )
            for i, p in enumerate(phenotypes)
        }
        described = {
            "plate": name,
            "batch": batch,
            "line": line,
            "genotype": "SOD1",
            "status": "done",
        }
        parts.append(
            pl.DataFrame(
                {"control": control, "compound": compound, "dose_molar": dose, **values}
            ).with_columns(
                *(pl.lit(v).alias(k) for k, v in described.items()),
                pl.lit(300, pl.Int64).alias("nuclei_count"),
            )
        )
    return pl.concat(parts)


def pictures(out: Path) -> None:
    """Draw a screen of simulated wells: eight pairs of lines, five compounds, three batches."""
    rng = np.random.default_rng(4)
    genes = ["SOD1", "SOD1", "SOD1", "FUS", "FUS", "FUS", "TARDBP", "TARDBP"]
    sick = [f"{gene}-{i + 1:02d}" for i, gene in enumerate(genes)]
    # Compound ► largest effect on N:C in disease lines, on N:C in SOD1 lines, and on live cells.
    does = {
        "kinase-i": (0.45, False, 0.0),
        "aso": (0.5, True, 0.0),
        "toxin": (0.3, False, -0.7),
        "inert": (0.0, False, 0.0),
        "trophic": (0.2, False, 0.0),
    }
    rows = []
    for b in range(3):
        for line, gene in zip(sick, genes, strict=True):
            for name in (line, f"{line}-iso"):
                healthy, level, shift = name != line, rng.lognormal(5.3, 0.2), rng.normal(0, 0.05)
                conditions = [("vehicle", "DMSO", 0.0)] * 12 + [
                    ("none", c, d) for c in does for d in DOSES for _ in range(3)
                ]
                for control, compound, dose in conditions:
                    lift, only, kill = does.get(compound, (0.0, False, 0.0))
                    lift = (
                        0.0
                        if (only and gene != "SOD1") or (healthy and compound != "trophic")
                        else lift
                    )
                    share = dose / (dose + 6e-7 * 10 ** rng.normal(0, 0.05))
                    rows.append(
                        {
                            "plate": f"{line}-{b}",
                            "batch": f"north/b{b}",
                            "line": name,
                            "genotype": "corrected" if healthy else gene,
                            "compound": compound,
                            "dose_molar": dose,
                            "control": control,
                            "status": "done",
                            "nuclei_count": 300,
                            "live_density": level * (1 + kill * share) * rng.lognormal(0, 0.08),
                            "nc_log2_aggregate": (
                                (1.2 if healthy else 0.7)
                                + shift
                                + lift * share
                                + rng.normal(0, 0.06)
                            ),
                        }
                    )
    wells = pl.DataFrame(rows)
    facts = LineFacts(
        donors={n: f"D{i}" for i, s in enumerate(sick) for n in (s, f"{s}-iso")},
        genes=dict(zip(sick, genes, strict=True)),
        isogenic={s: f"{s}-iso" for s in sick},
        healthy=frozenset(f"{s}-iso" for s in sick),
    )
    name = "nc_log2_aggregate"
    planned = (
        wells.filter(pl.col("control") == "none").select("line", "compound", "dose_molar").unique()
    )
    screen = fit_screen(plate_effects(wells, [name, "live_density"]), planned, facts=facts)
    content = ScreenContent("simulated", [], screen, empty_table("hazard"), [], facts.genes)
    chosen = [
        ("heatmap", "", ""),
        ("forest", "aso", ""),
        ("window", "", ""),
        ("curve", "aso", "SOD1-01"),
    ]
    drawn = [
        next(
            p
            for p in draw_all(content)
            if (p.kind, p.phenotype, p.compound, p.line) == (kind, name, c, li)
        ).draw()
        for kind, c, li in chosen
    ]
    for part in drawn:
        part.pop("$schema")
        part.pop("config")
    sheet = {
        "$schema": charts.SCHEMA,
        "config": charts.CONFIG,
        "columns": 2,
        "concat": drawn,
        "resolve": {
            "scale": {"color": "independent", "shape": "independent", "size": "independent"}
        },
    }
    out.write_bytes(charts.png(sheet, scale=1.5))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if arguments.pictures:
        pictures(arguments.pictures)
        return
    count = arguments.lines
    rng = np.random.default_rng(0)
    phenotypes = [c.name for c in columns("well").values() if c.scale == "percent"][:14]
    phenotypes += [c.name for c in columns("well").values() if c.scale == "difference"][
        : 20 - len(phenotypes)
    ]
    lines = [f"L{i}" for i in range(count)]
    wells = pl.concat(
        [
            plate(rng, lines[i : i + 2], f"p{i}-{b}", f"lab/b{b}", phenotypes)
            for i in range(0, count, 2)
            for b in range(3)
        ]
    )
    began = time.perf_counter()
    conditions = plate_effects(wells, phenotypes)
    print(
        f"{len(wells):,} wells of {wells['plate'].n_unique()} plates, {len(phenotypes)} phenotypes:"
        f" conditions in {time.perf_counter() - began:.1f} s"
    )
    planned = (
        wells.filter(pl.col("control") == "none").select("line", "compound", "dose_molar").unique()
    )
    facts = LineFacts(
        donors={n: f"D{int(n[1:]) // 2}" for n in lines},
        genes={n: ("SOD1", "FUS", "TARDBP")[int(n[1:]) // 2 % 3] for n in lines[::2]},
        isogenic=dict(zip(lines[::2], lines[1::2], strict=False)),
        healthy=frozenset(lines[1::2]),
    )
    began = time.perf_counter()
    first = fit_screen(conditions, planned, facts=facts)
    print(f"{first.refitted:,} rows fitted in {time.perf_counter() - began:.1f} s")
    more = plate_effects(plate(rng, lines[:2], "p-new", "lab/new", phenotypes), phenotypes)
    began = time.perf_counter()
    second = fit_screen(pl.concat([conditions, more]), planned, facts=facts, known=first.fits)
    print(
        f"one more plate: {second.refitted} rows fitted again, {time.perf_counter() - began:.1f} s"
        " in all"
    )
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
