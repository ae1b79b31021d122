"""Vehicle wells in a place that reads less: what becomes of inert and of active compounds.

    python -m benchmarks.inference.vehicle_places --plates 60

Six compounds at eight doses, wells with a CV of 10 %; with `active`, one of them has its EC50 in
the tested range and one far below. `named` are rows with the place in their reason. Ladders: vehicle
lies inside, and the highest or the lowest dose of all compounds in the last column.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
import polars as pl

from phenotypes.plates.responses import respond
from tests.phenotypes.drawn_edges import edge_plate, ladder_plate

ACTIVE = {"c0": (-0.6, 1e-6), "c1": (-0.6, 1e-10)}
DESIGNS = (
    ("column", 96, 1),
    ("column", 384, 3),
    ("row", 96, 1),
    ("inside", 96, 1),
    ("mixed", 96, 1),
    ("random", 96, 1),
)


def outcomes(table: pl.DataFrame, rows: Counter[str]) -> None:
    """Count the rows of a plate by kind of compound and outcome."""
    for row in respond(table, ["live_density"], pixel_size_um=0.65).table.iter_rows(named=True):
        kind = {"c0": "EC50 tested", "c1": "EC50 below"}.get(row["compound"], "inert")
        named = (
            "vehicle wells of line S1 lie " in row["reason"]
            or "lie at the edge of" in (row["reason"])
        )
        status = row["status"]
        outcome = (
            "flat"
            if status == "flat"
            else "withheld"
            if status == "confounded_with_position"
            else "named"
            if named
            else "plain"
        )
        rows[f"{kind}: {outcome}"] += 1
        rows[kind] += 1


def shown(place: str, lost: float, rows: Counter[str]) -> None:
    """Print the shares of outcomes of each kind of compound."""
    for kind in ("inert", "EC50 tested", "EC50 below"):
        cells = [
            f"{rows[f'{kind}: {o}'] / rows[kind]:.1%}"
            for o in ("flat", "withheld", "named", "plain")
        ]
        print(f"| {place} | {-lost:.0%} | {kind} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=60)
    plates = parser.parse_args().plates
    print(
        "| vehicle wells | place reads | compound | flat | withheld | place named | neither |\n|---|---|---|---|---|---|---|"
    )
    for design, wells, replicates in DESIGNS:
        for lost in (0.0, 0.15):
            rows: Counter[str] = Counter()
            for seed in range(plates):
                rng = np.random.default_rng(seed)
                drawn = edge_plate(
                    rng, design, lost=lost, wells=wells, replicates=replicates, active=ACTIVE
                )
                outcomes(drawn, rows)
            shown(f"{design}, {wells} wells", lost, rows)
    for falling in (False, True):
        for lost in (0.0, 0.15, 0.3):
            rows = Counter()
            for seed in range(plates):
                rng = np.random.default_rng(seed)
                outcomes(ladder_plate(rng, lost=lost, falling=falling, active=ACTIVE), rows)
            shown(f"{'lowest' if falling else 'highest'} dose at the edge", lost, rows)


if __name__ == "__main__":
    main()
