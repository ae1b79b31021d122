"""Power that `screen power` predicts beside the power of simulated screens.

    python -m benchmarks.inference.power --screens 40

Screens of known variance components (log2: donors 0.10, batch × compound 0.15, line × batch 0.10,
wells 0.20) with 12 lines, one per donor, and 40 compounds, of which 20 % do something. Effects are
drawn per line, compound and batch; the tests are the product's, with Benjamini–Hochberg at 5 %.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.screens.batches.components import Components, DonorComponents
from phenotypes.screens.batches.moderated import with_moderated_tests
from phenotypes.screens.lines import line_effects
from phenotypes.screens.power import Question, power_of_donors, power_of_lines
from phenotypes.statistics.crossed import (
    crossed_design,
    crossed_mean,
    mean_squares,
    shared_variance,
)

LINES, COMPOUNDS, WORKING = 12, 40, 0.2
DONOR_SD, BATCH_SD, LINE_SD, WELL_SD = 0.10, 0.15, 0.10, 0.20


@dataclass(frozen=True)
class Design:
    """Batches, lines (one per donor), wells per arm and vehicle wells of a simulated screen."""

    batches: int
    lines: int = LINES
    wells: int = 4
    vehicles: int = 16

    def row(self) -> np.ndarray:
        """The design as `power_of_donors` takes it, (1, 4)."""
        return np.array([[self.batches, self.lines, self.wells, self.vehicles]], float)


def components_of(design: Design, prior_freedom: float = np.inf) -> Components:
    """The true components."""
    total = BATCH_SD**2 + LINE_SD**2 + WELL_SD**2 * (1 / design.wells + 1 / design.vehicles)
    return Components(
        phenotype="live_density",
        batch=BATCH_SD**2,
        line=LINE_SD**2,
        wells=WELL_SD**2,
        vehicles=WELL_SD**2,
        total=total,
        freedom=100.0,
        prior_variance=total,
        prior_freedom=prior_freedom,
        not_borrowed="",
        donors=DonorComponents(DONOR_SD**2, "all compounds", LINES, COMPOUNDS, np.inf, np.inf),
        no_donors="",
        arms=COMPOUNDS,
        doses=1,
        n_lines=design.lines,
        n_compounds=COMPOUNDS,
        n_rows=design.lines * COMPOUNDS,
        n_wells=design.wells,
        n_vehicles=design.vehicles,
    )


def drawn_effects(
    rng: np.random.Generator, design: Design, effect: np.ndarray, donor_sd: float = 0.0
) -> np.ndarray:
    """Effects of shape (lines, compounds, batches)."""
    shape = design.lines, len(effect), design.batches
    return (
        effect[None, :, None]
        + rng.normal(0, donor_sd, (*shape[:2], 1))
        + rng.normal(0, BATCH_SD, (1, *shape[1:]))
        + rng.normal(0, LINE_SD, shape)
        + rng.normal(0, WELL_SD / np.sqrt(design.wells), shape)
        - rng.normal(0, WELL_SD / np.sqrt(design.vehicles), (design.lines, 1, design.batches))
    )


def line_table(effects: np.ndarray) -> pl.DataFrame:
    """The product's tests of lines, in the order of lines and compounds."""
    lines, compounds, batches = (
        index.ravel() for index in np.meshgrid(*map(np.arange, effects.shape), indexing="ij")
    )
    count = len(lines)
    table = pl.DataFrame(
        {
            "phenotype": ["live_density"] * count,
            "line": [f"L{i:03d}" for i in lines],
            "compound": [f"c{i:03d}" for i in compounds],
            "dose_molar": np.full(count, 1e-6),
            "control": ["none"] * count,
            "batch": [f"b{i:02d}" for i in batches],
            "genotype": ["SOD1"] * count,
            "effect": effects.ravel(),
            "error": np.full(count, 0.1),
            **{
                name: np.ones(count, int)
                for name in ("n_plates", "n_wells", "n_cells", "n_floored", "freedom")
            },
        }
    )
    return with_moderated_tests(line_effects(table), table).sort("line", "compound")


def simulated_lines(
    rng: np.random.Generator, design: Design, effect: float, screens: int
) -> tuple[float, float]:
    """Power of the plain and of the borrowed test of lines."""
    working = np.arange(COMPOUNDS) < WORKING * COMPOUNDS
    found = []
    for _ in range(screens):
        table = line_table(drawn_effects(rng, design, effect * working))
        true = np.tile(working, design.lines)
        found.append(
            [
                (stats.false_discovery_control(table[name].to_numpy())[true] <= 0.05).mean()
                for name in ("p_value", "moderated_p_value")
            ]
        )
    plain, borrowed = np.mean(found, axis=0)
    return float(plain), float(borrowed)


def simulated_donors(
    rng: np.random.Generator, design: Design, effect: float, screens: int
) -> tuple[float, float]:
    """Power of the plain and of the borrowed mean over donors."""
    working = np.arange(COMPOUNDS) < WORKING * COMPOUNDS
    crossed = crossed_design(
        np.repeat(np.arange(design.lines), design.batches).tolist(),
        np.tile(np.arange(design.batches), design.lines).tolist(),
    )
    found = []
    for _ in range(screens):
        effects = drawn_effects(rng, design, effect * working, DONOR_SD)
        values = [effects[:, c].ravel() for c in range(COMPOUNDS)]
        squares = [mean_squares(y, crossed) for y in values]
        common = shared_variance(squares, [crossed] * COMPOUNDS)
        p = []
        for y, own in zip(values, squares, strict=True):
            borrowed = None if common is None else common.moderated(own, crossed)
            p.append([crossed_mean(y, crossed, s).p_value for s in (None, borrowed)])
        found.append(
            [
                (stats.false_discovery_control(np.array(of))[working] <= 0.05).mean()
                for of in np.transpose(p)
            ]
        )
    plain, borrowed = np.mean(found, axis=0)
    return float(plain), float(borrowed)


LINE_CASES = [
    (Design(3), 0.4),
    (Design(3), 0.5),
    (Design(3), 0.8),
    (Design(5), 0.4),
    (Design(5), 0.8),
    (Design(8), 0.3),
    (Design(8), 0.5),
    (Design(4, wells=2, vehicles=4), 0.5),
]
DONOR_CASES = [
    (Design(3, 4), 0.5),
    (Design(3, 6), 0.4),
    (Design(3, 12), 0.5),
    (Design(5, 6), 0.3),
    (Design(6, 6), 0.5),
    (Design(8, 12), 0.3),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--screens", type=int, default=40)
    screens = parser.parse_args().screens
    rng = np.random.default_rng(0)
    print("| test | design | effect | plain: predicted | simulated | borrowed: pred. | simulated |")
    for test, cases in (("line", LINE_CASES), ("donors", DONOR_CASES)):
        for design, effect in cases:
            components, question = components_of(design), Question(effect, WORKING)
            if test == "line":
                predicted = power_of_lines(components, design.row()[:, [0, 2, 3]], question)
                simulated = simulated_lines(rng, design, effect, screens)
            else:
                predicted = power_of_donors(components, design.row(), question)
                simulated = simulated_donors(rng, design, effect, screens)
            shown = [
                f"{value:.0%}"
                for pair in zip(predicted, simulated, strict=True)
                for value in (pair[0][0], pair[1])
            ]
            name = f"{design.batches} batches × {design.lines}, {design.wells} + {design.vehicles}"
            print(f"| {test} | {name} | {effect} | " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    main()
