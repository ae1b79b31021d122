"""What n is: false positives at α = 0.05 without a true difference, and coverage of the intervals.

    python -m benchmarks.inference.hierarchy --plates 1000

4 against 4 donors, 3 batches × 4 wells × 60 cells each. Cells, wells and donor means as n, on the
same simulated screens; and how often the intervals of a line's effect (batches), of the mean over
donors (meta-analysis), of the rescue (Fieller) and of the EC50 over batches cover what was
simulated; how often flat curves are called flat; whether a singular mixed model is reported; how
often the interval between wells of a single batch covers.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.screens.across.rescue import rescue
from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.lines import batch_effects, line_effects
from phenotypes.statistics.curves.batch_curves import fit_batches
from phenotypes.statistics.curves.hill import occupancy
from phenotypes.statistics.meta_analysis import meta_analysis
from phenotypes.statistics.mixed_model import donor_model

DONORS, BATCHES, WELLS, CELLS = 8, 3, 4, 60
# Standard deviations between donors, batches of a donor, wells of a batch, cells of a well.
DONOR_SD, BATCH_SD, WELL_SD, CELL_SD = 0.25, 0.20, 0.15, 1.0


def false_positives(rng: np.random.Generator, count: int) -> None:
    called = dict.fromkeys(("cells", "wells", "donors"), 0)
    for _ in range(count):
        donor = rng.normal(0, DONOR_SD, (DONORS, 1, 1)) + rng.normal(
            0, BATCH_SD, (DONORS, BATCHES, 1)
        )
        wells = donor + rng.normal(0, WELL_SD, (DONORS, BATCHES, WELLS))
        cells = wells[..., None] + rng.normal(0, CELL_SD, (DONORS, BATCHES, WELLS, CELLS))
        half = DONORS // 2
        called["cells"] += stats.ttest_ind(cells[:half].ravel(), cells[half:].ravel()).pvalue < 0.05
        means = cells.mean(axis=3)
        called["wells"] += stats.ttest_ind(means[:half].ravel(), means[half:].ravel()).pvalue < 0.05
        called["donors"] += (
            stats.ttest_ind(*np.split(means.mean(axis=(1, 2)), [half])).pvalue < 0.05
        )
    for name, hits in called.items():
        print(f"{name:7} as n: {hits / count:6.1%} called significant without any difference")


def coverage(rng: np.random.Generator, count: int) -> None:
    line = across = saved = shown = 0
    for _ in range(count):
        # A drug of effect 0.4 on donors that differ by 0.15, half of a window of 0.8, three batches
        # each.
        true = rng.normal(0.4, 0.15, DONORS)
        batches = true[:, None] + rng.normal(0, 0.12, (DONORS, BATCHES))
        error = batches[0].std(ddof=1) / np.sqrt(BATCHES)
        half_width = stats.t.ppf(0.975, BATCHES - 1) * error
        line += abs(batches[0].mean() - true[0]) <= half_width
        within = batches.var(axis=1, ddof=1).mean()
        pooled = meta_analysis(batches.mean(axis=1), np.full(DONORS, within / BATCHES))
        across += pooled.low <= 0.4 <= pooled.high
        answer = rescue(0.4 + rng.normal(0, 0.08, 5), 0.8 + rng.normal(0, 0.08, 5))
        if answer.rho is not None:
            shown += 1
            saved += answer.low <= 0.5 <= answer.high
    print(
        f"line's effect, 3 batches: {line / count:.1%} covered; mean over 8 donors:"
        f" {across / count:.1%}; rescue, 5 batches: {saved / shown:.1%} of {shown} shown"
    )


def curves(rng: np.random.Generator, count: int) -> None:
    """Curves of EC50 1 µM, ascending and descending.

    0.15 decades between batches, 3 wells per dose with an SD of 5 %, 8 vehicle wells.
    """
    doses = np.r_[0.0, np.geomspace(1e-8, 3e-5, 8)]
    for batches in (3, 5):
        wells = np.tile(np.r_[8.0, [3.0] * 8], batches)
        at, of = np.tile(doses, batches), np.repeat(np.arange(batches), 9)
        for what, span in (("descending", -60.0), ("ascending", 60.0), ("flat", 0.0)):
            covered = shown = flat = 0
            for _ in range(count):
                half = -6 + rng.normal(0, 0.15, batches)
                y = np.concatenate(
                    [100 + span * occupancy(doses, h, 1.2) for h in half]
                ) + rng.normal(0, 5, len(at)) / np.sqrt(wells)
                fitted = fit_batches(at, y + np.repeat(rng.normal(0, 5, batches), 9), wells, of)
                flat += fitted.status == "flat"
                if fitted.ec50 is not None:
                    shown += 1
                    covered += fitted.ec50_low <= 1e-6 <= fitted.ec50_high
            answers = (
                f"{flat / count:.1%} called flat"
                if span == 0
                else f"EC50 covered in {covered / shown:.1%} of {shown} shown"
            )
            print(f"{batches} batches, {what}: {answers}")


def collapse(rng: np.random.Generator, count: int) -> None:
    """Donors that do not differ: about half of the mixed models are singular.

    Each of those must report it.
    """
    donors = [str(i) for i in range(DONORS) for _ in range(BATCHES)]
    batches = [str(i) for i in range(DONORS * BATCHES)]
    statuses: dict[str, int] = {}
    wrong = 0
    for _ in range(count):
        model = donor_model(0.5 + rng.normal(0, BATCH_SD, DONORS * BATCHES), donors, batches)
        statuses[model["mixed_status"]] = statuses.get(model["mixed_status"], 0) + 1
        wrong += abs(model["mixed_effect"] - 0.5) > 5 * BATCH_SD / np.sqrt(DONORS * BATCHES)
    print(f"mixed model, donors alike: {statuses}, {wrong} false positives")


def one_batch(rng: np.random.Generator, count: int) -> None:
    """Intervals of `count` lines on one plate: treated wells beside vehicle wells, CV of 10 %."""
    designs = ((1, 16, 1.0), (2, 16, 1.0), (3, 16, 1.0), (4, 16, 1.0), (16, 16, 1.0))
    for wells, vehicles, noisier in (*designs, (4, 16, 2.0), (3, 6, 1.0), (4, 4, 1.0)):
        treated = np.tile(np.arange(vehicles + wells) >= vehicles, count)
        noise = rng.normal(0, 0.1, len(treated)) * np.where(treated, noisier, 1.0)
        table = pl.DataFrame(
            {
                "plate": "p1",
                "batch": "b1",
                "line": np.repeat([f"L{n}" for n in range(count)], vehicles + wells),
                "genotype": "",
                "compound": np.where(treated, "x", "DMSO"),
                "dose_molar": np.where(treated, 1e-6, 0.0),
                "control": np.where(treated, "none", "vehicle"),
                "status": "done",
                "nuclei_count": 300,
                "live_density": 200 * np.exp(noise),
                "well": [f"A{n % 20 + 1:02d}" for n in range(len(treated))],
            }
        )
        rows = line_effects(batch_effects(plate_effects(table, ["live_density"])))
        covered = ((rows["effect_low"] <= 0) & (rows["effect_high"] >= 0)).mean()
        width = (rows["effect_high"] - rows["effect_low"]).median()
        print(
            f"one batch, {wells} wells beside {vehicles} of vehicle, {noisier:g} times noisier:"
            f" {covered:.1%} covered, {width:.2f} log2 wide"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plates", type=int, default=1000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    false_positives(rng, arguments.plates)
    coverage(rng, arguments.plates)
    curves(rng, arguments.plates)
    collapse(rng, min(300, arguments.plates))
    one_batch(rng, arguments.plates)


if __name__ == "__main__":
    main()
