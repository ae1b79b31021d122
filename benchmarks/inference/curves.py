"""Dose-response curves against generators of their own: level, coverage and power.

    python -m benchmarks.inference.curves --plates 300            # all parts; --part NAME for one

Every part prints one line per design. A design is 8 vehicle wells and 3 wells at each of 8 doses
half a decade apart, or the means of such plates over batches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.screens.batches.curve_tests import dose_response_p
from phenotypes.screens.rows import cells_of, curve_of
from phenotypes.statistics.curves.batch_curves import fit_batches
from phenotypes.statistics.curves.dose_response import fit

DOSES = 1e-5 / np.sqrt(10) ** np.arange(7, -1, -1)
PLATE = np.concatenate([np.zeros(8), np.repeat(DOSES, 3)])
LADDER = np.concatenate([[0.0], DOSES])
WELLS = np.array([8.0, *[3.0] * 8])
TOP = float(DOSES[-1])


def hill(dose: np.ndarray, ec50: float, slope: float) -> np.ndarray:
    """Share of the effect; infinite slopes are cliffs."""
    x = np.where(dose > 0, dose, 1.0)
    with np.errstate(over="ignore"):
        return np.where(dose > 0, 1 / (1 + (ec50 / x) ** slope), 0.0)


def cliffs(rng: np.random.Generator, plates: int) -> None:
    """Does the interval cover an EC50 anywhere between two doses? Exact 0/1 data included."""
    for sd in (0.0, 2.5, 10.0):
        for share in (0.05, 0.5, 0.95):
            ec50 = DOSES[2] * (DOSES[3] / DOSES[2]) ** share
            covered = shown = 0
            for _ in range(plates if sd else 1):
                y = np.where(ec50 < PLATE, 0.0, 1.0) * 95 + 5 + rng.normal(0, sd, len(PLATE))
                curve = fit(PLATE, y)
                shown += curve.ec50 is not None
                covered += (curve.ec50_low or 0) <= ec50 <= (curve.ec50_high or np.inf)
            n = plates if sd else 1
            print(
                f"cliff at {share:.0%} of the gap, SD {sd:g}: interval covers"
                f" {covered / n:.1%}, EC50 given {shown / n:.1%}"
            )


SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Hill, slope 1.2": lambda d: 100 - 70 * hill(d, 3e-7, 1.2),
    "Hill, slope 3": lambda d: 100 - 70 * hill(d, 3e-7, 3.0),
    "Hill, slope 0.6": lambda d: 100 + 70 * hill(d, 3e-7, 0.6),
    "cliff": lambda d: 100 - 70.0 * (d > 3e-7),
    "bell of 50": lambda d: 100 + 50 * hill(d, 3e-8, 1.5) - 50 * hill(d, 1e-6, 2.0),
    "bell of 25": lambda d: 100 + 25 * hill(d, 3e-8, 1.5) - 25 * hill(d, 1e-6, 2.0),
    "hormesis of 40": lambda d: 100 + 40 * hill(d, 5e-9, 1.5) - 110 * hill(d, 2e-6, 2.0),
    "hormesis of 20": lambda d: 100 + 20 * hill(d, 1e-8, 1.5) - 90 * hill(d, 2e-6, 2.0),
    "two steps down": lambda d: 100 - 40 * hill(d, 2e-8, 3.0) - 40 * hill(d, 3e-6, 3.0),
    "nothing": lambda d: 100 + 0 * d,
}


def shapes(rng: np.random.Generator, plates: int) -> None:
    """Which status do bells and steps get, and do effects at the top dose cover?"""
    for noise in ("constant SD of 10", "SD of 10 % of the mean"):
        for name, mean in SHAPES.items():
            at_wells = mean(PLATE)
            true = float(mean(LADDER)[-1] - 100)
            counts: dict[str, int] = {}
            missed = 0
            for seed in range(plates):
                sd = 10.0 if noise.startswith("constant") else 0.1 * at_wells
                curve = fit(PLATE, at_wells + rng.normal(0, 1, len(PLATE)) * sd, seed=seed)
                counts[curve.status] = counts.get(curve.status, 0) + 1
                if curve.effect_low is not None and curve.effect_high is not None:
                    missed += not curve.effect_low <= true <= curve.effect_high
            shares = ", ".join(f"{s} {n / plates:.1%}" for s, n in sorted(counts.items()))
            print(f"{noise}, {name}: {shares}; effect at the top missed {missed / plates:.1%}")


def scatter(rng: np.random.Generator, plates: int) -> None:
    """Treated wells that scatter more than vehicle: are they a response, and do intervals cover?"""
    for vehicles, replicates in ((8, 3), (16, 1), (16, 3), (32, 2), (100, 3)):
        design = np.concatenate([np.zeros(vehicles), np.repeat(DOSES, replicates)])
        shares = []
        for times in (1.0, 1.3, 2.0):
            sd = np.where(design > 0, 10.0 * times, 10.0)
            curves = [fit(design, rng.normal(100, sd), seed=seed) for seed in range(plates)]
            shares.append(np.mean([c.status != "flat" for c in curves]))
        shown = ", ".join(f"{share:.1%}" for share in shares)
        print(
            f"{vehicles} vehicle wells, {replicates} per dose, treated SD 1, 1.3 and 2 times that of"
            f" vehicle: not flat {shown}",
            flush=True,
        )
    for vehicles, replicates in ((32, 1), (32, 2), (8, 3)):
        design = np.concatenate([np.zeros(vehicles), np.repeat(DOSES, replicates)])
        mean, true = 100 - 70 * hill(design, 2e-7, 1.2), -70 * float(hill(DOSES, 2e-7, 1.2)[-1])
        for times in (1.0, 1.3, 2.0):
            sd = np.where(design > 0, 6.0 * times, 6.0)
            curves = [fit(design, rng.normal(mean, sd), seed=seed) for seed in range(plates)]
            fitted = [c for c in curves if c.model == "hill4"]
            held = [(c.ec50_low or 0) <= 2e-7 <= (c.ec50_high or np.inf) for c in fitted]
            ends = [(c.effect_low, c.effect_high) for c in fitted if c.effect_low is not None]
            print(
                f"{vehicles} vehicle wells, {replicates} per dose, treated SD {times:g} times: EC50"
                f" covered {np.mean(held):.0%}, effect"
                f" {np.mean([low <= true <= (high or np.inf) for low, high in ends]):.0%}, called a"
                f" lack of fit {1 - len(fitted) / plates:.0%}, EC50 given"
                f" {np.mean([c.status == 'ok' for c in curves]):.0%}",
                flush=True,
            )


def top_dose(rng: np.random.Generator, plates: int) -> None:
    """EC50s near the top dose: are those that are published biased, and do intervals cover?"""
    designs = [
        (sd, slope, times)
        for sd, slope in ((8.0, 1.0), (4.0, 1.0), (8.0, 2.0))
        for times in (0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0)
    ]
    for sd, slope, times in designs:
        report(rng, plates, times * TOP, slope, sd, f"SD {sd:g}, slope {slope:g}, {times:g} × top")
    for times in (0.5, 1.5):
        report(rng, plates, times * DOSES[0], 1.0, 8.0, f"SD 8, slope 1, {times:g} × lowest dose")


def report(
    rng: np.random.Generator, plates: int, ec50: float, slope: float, sd: float, name: str
) -> None:
    """Share published, their bias and misses on either side, and coverage of all intervals."""
    published, low, high, all_covered, curves = [], 0, 0, 0, 0
    for seed in range(plates):
        y = 100 - 70 * hill(PLATE, ec50, slope) + rng.normal(0, sd, len(PLATE))
        curve = fit(PLATE, y, seed=seed)
        if curve.model != "hill4":
            continue
        curves += 1
        is_low, is_high = ec50 < (curve.ec50_low or 0), ec50 > (curve.ec50_high or np.inf)
        all_covered += not (is_low or is_high)
        if curve.ec50 is not None:
            published.append(np.log10(curve.ec50 / ec50))
            low += is_low
            high += is_high
    n = len(published)
    shown = (
        f"bias {np.mean(published):+.2f} decades, covered {1 - (low + high) / n:.1%}"
        f" (true EC50 below {low / n:.1%}, above {high / n:.1%})"
        if n
        else "–"
    )
    print(
        f"{name}: {curves / plates:.1%} curves, all intervals cover"
        f" {all_covered / max(curves, 1):.1%}; EC50 given {n / plates:.1%}, {shown}",
        flush=True,
    )


# One well per dose and three of vehicle decide, the others estimate.
DECIDES = np.isin(np.arange(len(PLATE)), [0, 1, 2, *range(8, len(PLATE), 3)])
RULES = (
    "now",
    "interval within the doses",
    "upper 95 % bound below the top",
    "80 % of the fitted effect at the top",
    "top two doses agree",
    "a third of the wells decides",
    "a third decides, the rest estimates",
)


def published(y: np.ndarray, seed: int) -> dict[str, tuple[float, float, float] | None]:
    """Rule ► EC50 and its interval as the rule would publish them."""
    curve = fit(PLATE, y, seed=seed)
    deciding = fit(PLATE[DECIDES], y[DECIDES], seed=seed, min_vehicles=3)
    rest = fit(PLATE[~DECIDES], y[~DECIDES], seed=seed)
    if curve.model != "hill4" or curve.fitted_log_ec50 is None:
        return dict.fromkeys(RULES)
    vehicle, last, second = (y[d == PLATE].mean() for d in (0.0, TOP, DOSES[-2]))
    # The difference of two means of three wells.
    rounding = stats.t.ppf(0.95, len(y) - 4) * (curve.residual_sd or 0.0) * np.sqrt(2 / 3)
    error = np.inf if curve.covariance is None else np.sqrt(curve.covariance[3, 3])
    inside = curve.fitted_log_ec50 < np.log10(TOP)
    chosen = {
        "now": curve.ec50 is not None,
        "interval within the doses": curve.ec50 is not None and (curve.ec50_high or np.inf) <= TOP,
        "upper 95 % bound below the top": curve.fitted_log_ec50
        + stats.t.ppf(0.95, len(y) - 4) * error
        <= np.log10(TOP),
        "80 % of the fitted effect at the top": inside
        and abs(last - vehicle) >= 0.8 * abs((curve.einf or 0.0) - (curve.e0 or 0.0)),
        "top two doses agree": inside
        and abs(last - second) + rounding <= 0.35 * abs(last - vehicle),
        "a third of the wells decides": deciding.ec50 is not None,
    }
    ends = (curve.ec50_low or 0.0, curve.ec50_high or np.inf)
    shown = {r: (10**curve.fitted_log_ec50, *ends) if c else None for r, c in chosen.items()}
    estimated = deciding.ec50 is not None and rest.fitted_log_ec50 is not None
    ends = (rest.ec50_low or 0.0, rest.ec50_high or np.inf)
    shown[RULES[-1]] = (10 ** (rest.fitted_log_ec50 or 0.0), *ends) if estimated else None
    return shown


def top_rules(rng: np.random.Generator, plates: int) -> None:
    """What other rules for publishing an EC50 would give, and how far off: same plates for all.

    Last column: of all that a rule gives of compounds whose EC50s are even in log dose from 0.003
    to 3 times the top dose, the share too potent by twofold or more.
    """
    places = (0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)
    # Decades of EC50 for which each place stands.
    edges = np.log10([0.003, *np.sqrt(np.multiply(places[1:], places[:-1])), 3.0])
    for sd, slope in ((4.0, 1.0), (8.0, 1.0), (8.0, 2.0), (16.0, 1.0)):
        print(f"\n| SD {sd:g}, slope {slope:g} | {' | '.join(f'{t:g}' for t in places)} | low |")
        found: dict[str, list[list[tuple[float, bool]]]] = {r: [] for r in RULES}
        for times in places:
            ec50 = times * TOP
            given: dict[str, list[tuple[float, bool]]] = {r: [] for r in RULES}
            for seed in range(plates):
                y = 100 - 70 * hill(PLATE, ec50, slope) + rng.normal(0, sd, len(PLATE))
                for rule, shown in published(y, seed).items():
                    if shown is not None:
                        held = shown[1] <= ec50 <= shown[2]
                        given[rule].append((float(np.log10(shown[0] / ec50)), held))
            for rule in RULES:
                found[rule].append(given[rule])
        for rule, cells in found.items():
            shown_cells = [
                f"{len(c) / plates:.0%}, {np.mean([e for e, _ in c]):+.2f},"
                f" {np.mean([h for _, h in c]):.0%}"
                if c
                else "0"
                for c in cells
            ]
            errors = [[e for e, _ in c] for c in cells]
            total = float(np.diff(edges) @ [len(c) for c in errors])
            potent = np.diff(edges) @ [sum(e < -np.log10(2) for e in c) for c in errors]
            low = float(potent) / (total or 1.0)
            print(f"| {rule} | {' | '.join(shown_cells)} | {low:.1%} |", flush=True)


def batch_means(
    rng: np.random.Generator, batches: int, curve: np.ndarray, sd: float, shift: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Dose, response, wells and batch; treated doses of a batch are shifted alike by `shift` %."""
    treated = (LADDER > 0) * rng.normal(0, shift, (batches, 1))
    y = curve + treated + rng.normal(0, sd, (batches, len(LADDER))) / np.sqrt(WELLS)
    number = np.repeat(np.arange(batches), len(LADDER))
    return np.tile(LADDER, batches), y.ravel(), np.tile(WELLS, batches), number


def top_of_batches(rng: np.random.Generator, plates: int) -> None:
    """As `top_dose`, over batches whose EC50s differ by 0.1 decades and whose levels by 5 %."""
    for batches in (3, 5):
        for sd in (5.0, 10.0):
            for times in (0.03, 0.1, 0.2, 0.3, 1.0, 3.0):
                given, low, high = [], 0, 0
                for _ in range(plates):
                    ec50 = times * TOP * 10 ** rng.normal(0, 0.1, batches)
                    curves = np.array([100 - 70 * hill(LADDER, e, 1.0) for e in ec50])
                    curve = fit_batches(*batch_means(rng, batches, curves, sd, 5.0))
                    if curve.ec50 is None:
                        continue
                    given.append(np.log10(curve.ec50 / times / TOP))
                    low += times * TOP < (curve.ec50_low or 0)
                    high += times * TOP > (curve.ec50_high or np.inf)
                bias = f"{np.mean(given):+.2f}" if given else "–"
                print(
                    f"{batches} batches, SD {sd:g}, {times:g} × top: EC50 given"
                    f" {len(given) / plates:.0%}, bias {bias}, true EC50 below {low}, above {high}"
                    f" of {len(given)}",
                    flush=True,
                )


def batch_level(rng: np.random.Generator, plates: int) -> None:
    """How often is a compound without effect a curve, and a weak one found?"""
    for batches in (2, 3, 5):
        for shift in (0.0, 5.0, 10.0, 20.0):
            for span, ec50 in ((0, 1e-6), (-8, 1e-6), (-15, 1e-6), (-15, 1e-5), (-30, 2e-9)):
                curve = 100 + span * hill(LADDER, ec50, 1.2)
                found = sum(
                    fit_batches(*batch_means(rng, batches, curve, 5.0, shift)).p_value < 0.05
                    for _ in range(plates)
                )
                print(
                    f"{batches} batches, shift {shift:g} %, span {span} at {ec50:g}:"
                    f" {found / plates:.1%} curves"
                )


# What a batch does to the log2 effects of a compound along the ladder, times a normal number.
DEVIATIONS: dict[str, np.ndarray | None] = {
    "nothing": np.zeros(8),
    "all doses alike": np.ones(8),
    "from the lowest to the highest dose": np.linspace(0, 1, 8),
    "at the highest dose": np.eye(8)[7],
    "each dose by itself": None,
}


def screen_batches(
    rng: np.random.Generator, shape: np.ndarray | None, sd: float, batches: int, curve: np.ndarray
) -> pl.DataFrame:
    """Batch effects of two lines that share batches and 30 compounds; the first six work."""
    lines, compounds = 2, 30
    drawn = rng.normal(size=(compounds, batches, 8 if shape is None else 1))
    common = sd * drawn * (1.0 if shape is None else shape)
    effects = (
        common
        + rng.normal(0, 0.15 / 4, (lines, 1, batches, 1))
        + rng.normal(0, 0.15 / 2, (lines, compounds, batches, 8))
        + (np.arange(compounds) < 6)[:, None, None] * curve
    )
    i, j, b, d = (axis.ravel() for axis in np.indices(effects.shape))
    return pl.DataFrame(
        {
            "phenotype": "live_density",
            "line": [f"L{n}" for n in i],
            "compound": [f"c{n:02d}" for n in j],
            "batch": [f"b{n}" for n in b],
            "dose_molar": DOSES[d],
            "control": "none",
            "effect": effects.ravel(),
            "response": 100 * 2 ** effects.ravel(),
            "error": 0.05,
            "n_wells": 4,
            "n_cells": 100,
            "n_floored": 0,
            "n_vehicle": 16,
            "vehicles": "DMSO",
        }
    )


def screen(rng: np.random.Generator, plates: int) -> None:
    """How often does what batches do to a compound pass for a curve, alone and in a screen?"""
    designs = [("nothing", 0.0, 3), *((name, 0.15, 3) for name in list(DEVIATIONS)[1:])]
    rise = "from the lowest to the highest dose"
    designs += [(rise, 0.3, 3), (rise, 0.15, 2), (rise, 0.15, 5)]
    for name, sd, batches in designs:
        false: list[tuple[bool, bool]] = []
        found: dict[float, list[tuple[bool, bool]]] = {}
        for span in (-0.15, -0.43):
            curve = np.log2(1 + span * hill(DOSES, 1e-6, 1.2))
            for _ in range(max(plates // 30, 1)):
                table = screen_batches(rng, DEVIATIONS[name], sd, batches, curve)
                ladders = cells_of(table)
                of_screen = dose_response_p(ladders, table)
                for key, cells in ladders.items():
                    own = curve_of(cells, key[0]).p_value
                    called = (own < 0.05, max(own, of_screen[key]) < 0.05)
                    (found.setdefault(span, []) if key[2] < "c06" else false).append(called)
        shares = [np.mean(false, axis=0), *(np.mean(v, axis=0) for v in found.values())]
        shown = " | ".join(f"{alone:.0%} | {both:.0%}" for alone, both in shares)
        print(f"| {name}, SD {sd:g} | {batches} | {shown} |", flush=True)


PARTS = {
    "screen": screen,
    "cliffs": cliffs,
    "shapes": shapes,
    "scatter": scatter,
    "top": top_dose,
    "top_rules": top_rules,
    "top_batches": top_of_batches,
    "batches": batch_level,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plates", type=int, default=300)
    parser.add_argument("--part", choices=sorted(PARTS))
    arguments = parser.parse_args()
    for name, part in PARTS.items():
        if arguments.part in (None, name):
            part(np.random.default_rng(0), arguments.plates)


if __name__ == "__main__":
    main()
