"""What n is: false positives at α = 0.05 with no true difference, 4 against 4 donors, 3 batches × 4 wells × 60 cells each.

    python benchmarks/hierarchy.py --plates 1000

Cells, wells and donor means as n, on the same simulated screens; and how often the intervals of a line's effect (batches), of the
mean over donors (meta-analysis) and of the rescue (Fieller) cover what was simulated.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.line_effects import group_contrast
from phenotypes.meta_analysis import meta_analysis
from phenotypes.rescue import rescue

DONORS, BATCHES, WELLS, CELLS = 8, 3, 4, 60
# Standard deviations between donors, batches of a donor, wells of a batch, cells of a well.
DONOR_SD, BATCH_SD, WELL_SD, CELL_SD = 0.25, 0.20, 0.15, 1.0


def false_positives(rng: np.random.Generator, count: int) -> None:
    called = dict.fromkeys(("cells", "wells", "donors"), 0)
    for _ in range(count):
        donor = rng.normal(0, DONOR_SD, (DONORS, 1, 1)) + rng.normal(0, BATCH_SD, (DONORS, BATCHES, 1))
        wells = donor + rng.normal(0, WELL_SD, (DONORS, BATCHES, WELLS))
        cells = wells[..., None] + rng.normal(0, CELL_SD, (DONORS, BATCHES, WELLS, CELLS))
        half = DONORS // 2
        called["cells"] += stats.ttest_ind(cells[:half].ravel(), cells[half:].ravel()).pvalue < 0.05
        means = cells.mean(axis=3)
        called["wells"] += stats.ttest_ind(means[:half].ravel(), means[half:].ravel()).pvalue < 0.05
        table = pl.DataFrame(
            {"line": [str(i) for i in range(DONORS)], "genotype": ["a"] * half + ["b"] * half, "effect": means.mean(axis=(1, 2))}
        )
        called["donors"] += group_contrast(table, "genotype")["p_value"] < 0.05
    for name, hits in called.items():
        print(f"{name:7} as n: {hits / count:6.1%} called significant without any difference")


def coverage(rng: np.random.Generator, count: int) -> None:
    line = across = saved = shown = 0
    for _ in range(count):
        # A drug of effect 0.4 on donors that differ by 0.15, half of a window of 0.8, three batches each.
        true = rng.normal(0.4, 0.15, DONORS)
        batches = true[:, None] + rng.normal(0, 0.12, (DONORS, BATCHES))
        error = batches.std(axis=1, ddof=1) / np.sqrt(BATCHES)
        wide = stats.t.ppf(0.975, BATCHES - 1) * error[0]
        line += abs(batches[0].mean() - true[0]) <= wide
        variance = error**2
        shrunk = (variance + np.median(variance)) / 2
        found = meta_analysis(batches.mean(axis=1), np.maximum(shrunk, 1e-12))
        across += found.low <= 0.4 <= found.high
        answer = rescue(0.4 + rng.normal(0, 0.08, 5), 0.8 + rng.normal(0, 0.08, 5))
        if answer.rho is not None:
            shown += 1
            saved += answer.low <= 0.5 <= answer.high
    print(
        f"line's effect, 3 batches: {line / count:.1%} covered; mean over 8 donors: {across / count:.1%}; rescue, 5 batches: {saved / shown:.1%} of {shown} shown"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=1000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    false_positives(rng, arguments.plates)
    coverage(rng, arguments.plates)


if __name__ == "__main__":
    main()
