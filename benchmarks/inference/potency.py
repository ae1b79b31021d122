"""Potency shift between two lines: coverage of its interval, level and power.

    python -m benchmarks.inference.potency --pairs 300
    python -m benchmarks.inference.potency --drc FOLDER      # S.alba.csv and spinach.csv of R's drc, GPL-2

Two lines on the same plates, 8 doses, 3 wells each with an SD of 5 %, 8 vehicle wells. A batch moves
both EC50s by 0.15 decades, and each by 0.05 of its own. Beside it the ratio of two separate curves
with the standard errors of wells, as one would read it off two rows of a table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.statistics.curves.batch_curves import fit_batches
from phenotypes.statistics.curves.hill import occupancy
from phenotypes.statistics.curves.potency import Ladder, potency_shift

DOSES = np.r_[0.0, np.geomspace(1e-8, 3e-5, 8)]
WELLS = np.r_[8.0, np.full(8, 3.0)]
COMMON_SD, OWN_SD, WELL_SD, HILL = 0.15, 0.05, 5.0, 1.2


def pair(
    rng: np.random.Generator,
    batches: int = 3,
    ratio: float = 3.0,
    *,
    common: float = COMMON_SD,
    own: float = OWN_SD,
    noise: float = WELL_SD,
    hills: tuple[float, float] = (HILL, HILL),
) -> tuple[Ladder, Ladder]:
    """Batch means of a line whose EC50 is `ratio` times that of its reference, which is 1 µM."""
    shifts = rng.normal(0, common, batches)
    parts = []
    for middle, span, hill in ((np.log10(ratio) - 6, -60.0, hills[0]), (-6.0, -50.0, hills[1])):
        y = [
            100
            + span * occupancy(DOSES, middle + shift + rng.normal(0, own), hill)
            + rng.normal(0, noise, len(DOSES)) / np.sqrt(WELLS)
            for shift in shifts
        ]
        names = [f"b{b}" for b in range(batches) for _ in DOSES]
        parts.append(
            Ladder(np.tile(DOSES, batches), np.concatenate(y), np.tile(WELLS, batches), names)
        )
    return parts[0], parts[1]


def read_off(line: Ladder, reference: Ladder) -> float:
    """P of two EC50s being one, from two curves and the scatter of means about them."""
    thetas, variances = [], []
    for part in (line, reference):
        number = [int(b[1:]) for b in part.batch]
        curve = fit_batches(part.dose, part.response, part.wells, number)
        if curve.fitted_log_ec50 is None or curve.covariance is None:
            return float("nan")
        thetas.append(curve.fitted_log_ec50)
        variances.append(curve.covariance[3, 3])
    return float(2 * stats.norm.sf(abs(thetas[0] - thetas[1]) / np.sqrt(sum(variances))))


def simulate(rng: np.random.Generator, count: int) -> None:
    print(
        "| batches | ratio | shown | covered | median width | p < 0.05 | slopes differ | two curves |"
    )
    for batches in (2, 3, 5):
        for ratio in (1.0, 3.0):
            pairs = [pair(rng, batches, ratio) for _ in range(count)]
            found = [potency_shift(*p) for p in pairs]
            shown = [f for f in found if f.ratio is not None]
            covered = np.mean([f.low <= ratio <= f.high for f in shown])
            width = np.median([f.high / f.low for f in shown])
            called = np.mean([f.p_value < 0.05 for f in shown])
            differ = np.mean([f.status == "slopes_differ" for f in found])
            apart = np.nanmean([read_off(*p) < 0.05 for p in pairs[:100]])
            print(
                f"| {batches} | {ratio:g} | {len(shown) / count:.0%} | {covered:.1%} |"
                f" {width:.2f}-fold | {called:.1%} | {differ:.1%} | {apart:.1%} |",
                flush=True,
            )
    unlike = [potency_shift(*pair(rng, 3, 1.0, hills=(2.5, HILL))) for _ in range(count)]
    seen = np.mean([f.status == "slopes_differ" for f in unlike])
    print(f"slopes of 1.2 and 2.5 are called different in {seen:.1%} of pairs of three batches")


# EC50 ratios that R's drc prints: ED50s of summary() of white mustard (`S.alba`, limits shared), and
# EDcomp(spinach.LL.4, c(50, 50)), which compParm(…, "e") repeats, for pairs whose slopes differ.
PRINTED = {
    "Bentazone/Glyphosate": 28.632355 / 66.890545,
    "1/4": 9.0963785,
    "1/5": 8.5152294,
    "2/4": 4.7917071,
    "2/5": 4.4855747,
    "3/4": 6.9581332,
    "3/5": 6.5135923,
}


def beside_drc(folder: Path) -> None:
    """Ratios of published data beside those that drc prints."""
    mustard = pl.read_csv(folder / "S.alba.csv").select("Herbicide", "Dose", "DryMatter")
    spinach = pl.read_csv(folder / "spinach.csv").select("CURVE", "DOSE", "SLOPE")
    for pair_of, printed in PRINTED.items():
        shared = pair_of.startswith("Bentazone")
        parts = []
        for name in pair_of.split("/"):
            table = mustard if shared else spinach
            _, dose, y = table.filter(pl.nth(0).cast(pl.String) == name)
            parts.append(Ladder(dose, y, np.ones(len(y)), ["one"] * len(y)))
        found = potency_shift(*parts, shared_limits=shared)
        print(
            f"| {pair_of} | {printed:.6f} | {found.ratio:.6f} | {found.low:.3f} … {found.high:.3f} |"
            f" {found.slope_p:.2g} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--drc", type=Path)
    arguments = parser.parse_args()
    if arguments.drc:
        beside_drc(arguments.drc)
    else:
        simulate(np.random.default_rng(0), arguments.pairs)


if __name__ == "__main__":
    main()
