"""Hits of a screen and statements across donors: level, coverage, false discoveries and power.

    python -m benchmarks.inference.hits --screens 20      # all parts; --part NAME for one

The audit's designs with generators of this file's own. `screen`: 20 lines × 30 compounds × 6
phenotypes in three batches that all lines share, 4 wells per condition and 16 vehicle wells, 0.15
log2 between well means of a batch × compound (all lines of the batch move alike), 0.08 of a line's
own, wells of 0.15; a fifth of the compounds do −0.8 log2 in every line. Beside the product: what
people do instead. `donors`: level of the mean over donors, which is one less its coverage, in
designs whose batches are own, shared or in part shared. `few`: the same with two shared batches,
and where donors do not differ. `families`: false discoveries and power of
the mean over donors in families of few compounds, of which a fifth works and another fifth may be
noisier.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import fit_screen
from phenotypes.statistics.crossed import (
    crossed_design,
    crossed_mean,
    mean_squares,
    shared_variance,
)
from phenotypes.statistics.meta_analysis import meta_analysis
from phenotypes.statistics.moderation import variance_prior

LINES, COMPOUNDS, BATCHES, WELLS, VEHICLES = 20, 30, 3, 4, 16
SHARED_SD, OWN_SD, WELL_SD, EFFECT = 0.15, 0.08, 0.15, -0.8
FLOOR = np.log2(1.2)
PHENOTYPES = (
    "live_density",
    "neurite_length_density",
    "soma_area_mean",
    "nucleus_area_mean",
    "mean_process_mean",
    "branch_points_per_100um",
)


def screen_wells(rng: np.random.Generator, active: np.ndarray, noisy: np.ndarray) -> pl.DataFrame:
    """Wells of one screen: each phenotype in log2 about its batch and line."""
    size = np.where(noisy, 4.0, 1.0)
    common = rng.normal(0, SHARED_SD, (len(PHENOTYPES), BATCHES, COMPOUNDS)) * size
    parts = []
    for line in range(LINES):
        for b in range(BATCHES):
            values = {}
            for k, name in enumerate(PHENOTYPES):
                own = common[k, b] + rng.normal(0, OWN_SD, COMPOUNDS) * size + EFFECT * active
                level = np.r_[np.zeros(VEHICLES), np.repeat(own, WELLS)] + rng.normal(0, 0.3)
                values[name] = 200 * 2 ** (level + rng.normal(0, WELL_SD, len(level)))
            parts.append(
                pl.DataFrame(
                    {
                        "plate": f"b{b}-L{line}",
                        "batch": f"b{b}",
                        "line": f"L{line}",
                        "genotype": "SOD1",
                        "status": "done",
                        "control": ["vehicle"] * VEHICLES + ["none"] * (WELLS * COMPOUNDS),
                        "compound": ["DMSO"] * VEHICLES
                        + [f"c{c:02d}" for c in range(COMPOUNDS) for _ in range(WELLS)],
                        "dose_molar": np.r_[np.zeros(VEHICLES), np.full(WELLS * COMPOUNDS, 1e-6)],
                        "nuclei_count": 300,
                        **values,
                    }
                )
            )
    return pl.concat(parts)


def well_tests(wells: pl.DataFrame, name: str) -> dict[str, np.ndarray]:
    """What people do instead, per line and compound: Welch's t over wells, and robust z of wells."""
    p, z = [], []
    for _, line in wells.sort("line").group_by("line", maintain_order=True):
        vehicle = pl.col("control") == "vehicle"
        y = line.with_columns(y=pl.col(name).log(2)).with_columns(
            pl.col("y") - pl.col("y").filter(vehicle).mean().over("plate")
        )
        control = y.filter(vehicle)["y"].to_numpy()
        scale = stats.median_abs_deviation(control, scale="normal")
        for _, part in (
            y.filter(~vehicle).sort("compound").group_by("compound", maintain_order=True)
        ):
            treated = part["y"].to_numpy()
            p.append(stats.ttest_ind(treated, control, equal_var=False).pvalue)
            z.append(abs(np.median(treated) - np.median(control)) / scale)
    return {"p": np.array(p), "z": np.array(z)}


def limma_like(wells: pl.DataFrame, name: str) -> np.ndarray:
    """P values as limma's eBayes gives them: log2 ratio to vehicle of each plate, one per batch, and
    a t test of their mean with the variance of all rows of the phenotype in common.
    """
    y = wells.with_columns(y=pl.col(name).log(2)).with_columns(
        pl.col("y") - pl.col("y").filter(pl.col("control") == "vehicle").mean().over("plate")
    )
    rows = (
        y.filter(pl.col("control") != "vehicle")
        .group_by("line", "compound", "batch")
        .agg(pl.col("y").mean())
        .group_by("line", "compound")
        .agg(pl.col("y").mean().alias("mean"), pl.col("y").var().alias("variance"))
        .sort("line", "compound")
    )
    mean, freedom = rows["mean"].to_numpy(), np.full(len(rows), BATCHES - 1.0)
    prior = variance_prior(rows["variance"].to_numpy(), freedom)
    variance, freedom = prior.moderated(rows["variance"].to_numpy(), freedom)
    return 2 * stats.t.sf(np.abs(mean) / np.sqrt(variance / BATCHES), freedom)


def called_hits(
    wells: pl.DataFrame, rows: pl.DataFrame, compounds: pl.DataFrame, name: str
) -> dict[str, np.ndarray]:
    """Rule ► what it calls, of one phenotype: rows by line and compound, or compounds."""
    rows = rows.filter(phenotype=name).sort("line", "compound")
    compounds = compounds.filter(phenotype=name).sort("compound")
    effect = rows["effect"].to_numpy()
    large = np.abs(effect) >= FLOOR
    instead = well_tests(wells, name)
    family = stats.false_discovery_control
    by_donor = family(stats.ttest_1samp(effect.reshape(LINES, COMPOUNDS), 0, axis=0).pvalue)
    of_all = np.abs(compounds["effect"].to_numpy()) >= FLOOR
    borrowed = compounds["moderated_q_value"].fill_null(1.0).to_numpy()
    return {
        "line, wells as n: Welch's t + BH": (family(instead["p"]) <= 0.05) & large,
        "line, wells as n: robust z > 3": (instead["z"] > 3) & large,
        "line, plain t over batches + BH": (rows["q_value"].to_numpy() <= 0.05) & large,
        "line, limma-like over batches + BH": (family(limma_like(wells, name)) <= 0.05) & large,
        "line, the product's hit": rows["hit"].to_numpy(),
        "donors, donor means as n + BH": (by_donor <= 0.05) & of_all,
        "donors, crossed + BH": (compounds["q_value"].to_numpy() <= 0.05) & of_all,
        "donors, crossed, moderated + BH": (borrowed <= 0.05) & of_all,
    }


def screens(rng: np.random.Generator, count: int, noisy_share: float) -> None:
    """False discoveries and power per screen, over the hits of all phenotypes together."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(count):
        active = np.isin(np.arange(COMPOUNDS), rng.choice(COMPOUNDS, COMPOUNDS // 5, replace=False))
        chosen = rng.choice(COMPOUNDS, int(noisy_share * COMPOUNDS), replace=False)
        wells = screen_wells(rng, active, np.isin(np.arange(COMPOUNDS), chosen))
        planned = wells.filter(control="none").select("line", "compound", "dose_molar").unique()
        tables = fit_screen(plate_effects(wells, PHENOTYPES), planned)
        called = [
            called_hits(wells, tables.responses, tables.compounds, name) for name in PHENOTYPES
        ]
        for rule in called[0]:
            hits = np.array([c[rule] for c in called])
            true = active if rule.startswith("donors") else np.tile(active, LINES)
            false = float(hits[:, ~true].sum() / max(hits.sum(), 1))
            found.setdefault(rule, []).append((false, float(hits[:, true].mean())))
    print(f"\nscreens, {noisy_share:.0%} of compounds four times noisier")
    for name, pairs in found.items():
        false, power = np.mean(pairs, axis=0)
        print(f"| {name} | {false:.1%} | {power:.1%} |", flush=True)


def designs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(11)
    chosen = [rng.choice(6, rng.integers(2, 5), replace=False) for _ in range(12)]
    return {
        "3 donors × 3 own batches": (np.repeat(np.arange(3), 3), np.arange(9)),
        "6 donors × 3 own batches": (np.repeat(np.arange(6), 3), np.arange(18)),
        "20 donors × 3 own batches": (np.repeat(np.arange(20), 3), np.arange(60)),
        "3 donors × 3 shared": (np.repeat(np.arange(3), 3), np.tile(np.arange(3), 3)),
        "6 donors × 3 shared": (np.repeat(np.arange(6), 3), np.tile(np.arange(3), 6)),
        "20 donors × 3 shared": (np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20)),
        "12 donors × 6 shared": (np.repeat(np.arange(12), 6), np.tile(np.arange(6), 12)),
        "12 donors, 2–4 of 6 batches": (
            np.repeat(np.arange(12), [len(c) for c in chosen]),
            np.concatenate(chosen),
        ),
    }


def donors(rng: np.random.Generator, count: int) -> None:
    """Level, and power at −0.5 log2, of 30 compounds; donors differ by 0.15, the rest is 0.1."""
    print(f"\n{DONOR_COLUMNS}")
    for name, (donor, batch) in designs().items():
        for batch_sd in (0.0, 0.1, 0.2, 0.4):
            print(
                f"| {name} | {batch_sd} | {levels(rng, count, donor, batch, batch_sd)} |",
                flush=True,
            )


def few(rng: np.random.Generator, count: int) -> None:
    """As `donors`: two batches that all donors share, and donors that do not differ."""
    print(f"\n{DONOR_COLUMNS}")
    for n in (3, 6, 20):
        donor, batch = np.repeat(np.arange(n), 2), np.tile(np.arange(2), n)
        for batch_sd in (0.0, 0.1, 0.2, 0.4):
            shown = levels(rng, count, donor, batch, batch_sd)
            print(f"| {n} donors × 2 shared | {batch_sd} | {shown} |", flush=True)
    for name, (donor, batch) in designs().items():
        if len(set(batch)) < len(batch):
            for batch_sd in (0.0, 0.05):
                shown = levels(rng, count, donor, batch, batch_sd, donor_sd=0.0)
                print(f"| {name}, donors alike | {batch_sd} | {shown} |", flush=True)


DONOR_COLUMNS = "| design | batch × compound SD | donor means as n | crossed | moderated | power |"


def levels(
    rng: np.random.Generator,
    count: int,
    donor: np.ndarray,
    batch: np.ndarray,
    batch_sd: float,
    *,
    donor_sd: float = 0.15,
) -> str:
    """Level of donor means as n, crossed and moderated, and the power of the last two."""
    design = crossed_design(donor, batch)
    level: dict[str, list[bool]] = {"donors": [], "crossed": [], "moderated": []}
    power: dict[str, list[bool]] = {"crossed": [], "moderated": []}
    for _ in range(count):
        effects = [
            rng.normal(0, donor_sd, donor.max() + 1)[donor]
            + rng.normal(0, batch_sd, batch.max() + 1)[batch]
            + rng.normal(0, 0.1, len(donor))
            for _ in range(COMPOUNDS)
        ]
        squares = [mean_squares(y, design) for y in effects]
        common = shared_variance(squares, [design] * COMPOUNDS)
        for y, own in zip(effects, squares, strict=True):
            means = np.bincount(donor, y) / np.bincount(donor)
            level["donors"].append(stats.ttest_1samp(means, 0).pvalue < 0.05)
            if not design.shared:
                n = np.bincount(donor)
                within = ((y - means[donor]) ** 2).sum() / (len(y) - len(n))
                level["crossed"].append(meta_analysis(means, within / n).p_value < 0.05)
                continue
            found = crossed_mean(y, design)
            level["crossed"].append(found.p_value < 0.05)
            power["crossed"].append(crossed_mean(y - 0.5, design).p_value < 0.05)
            if common is not None:
                borrowed = common.moderated(own, design)
                found = crossed_mean(y, design, borrowed)
                level["moderated"].append(found.p_value < 0.05)
                found = crossed_mean(y - 0.5, design, borrowed)
                power["moderated"].append(found.p_value < 0.05)
    return " | ".join(f"{np.mean(v):.1%}" if v else "–" for v in (*level.values(), *power.values()))


@dataclass(frozen=True)
class Family:
    """A phenotype's compounds over donors that share batches; `noisy`: what is four times noisier."""

    name: str
    donors: int
    batches: int = 3
    compounds: int = 30
    noisy: str = "batches and the rest"
    effect: float = EFFECT


FAMILIES = (
    Family("20 donors, 3 batches", 20),
    Family("20 donors, 3 batches", 20, noisy="batches"),
    Family("6 donors, 3 batches", 6, noisy="batches"),
    Family("12 donors, 6 batches", 12, 6),
    Family("4 donors, 3 batches, 12 compounds", 4, compounds=12),
    Family("4 donors, 3 batches, 12 compounds", 4, compounds=12, noisy="batches"),
    Family("20 donors, 3 batches", 20, noisy="nothing", effect=-0.5),
    Family("4 donors, 3 batches, 12 compounds", 4, compounds=12, noisy="nothing", effect=-0.5),
)


def families(rng: np.random.Generator, count: int) -> None:
    """Donors differ by 0.1, batches by 0.15, the rest is 0.1 log2; 30 families of each per screen.

    "As estimated": the common variance counts as much as it is estimated to be worth.
    """
    print("\n| family | noisier | effect | as estimated: false | power | now: false | power |")
    for family in FAMILIES:
        compounds = family.compounds
        donor = np.repeat(np.arange(family.donors), family.batches)
        batch = np.tile(np.arange(family.batches), family.donors)
        design = crossed_design(donor, batch)
        counts = {False: np.zeros(3), True: np.zeros(3)}
        for _ in range(30 * count):
            works, loud = (
                np.isin(np.arange(compounds), rng.choice(compounds, compounds // 5, replace=False))
                for _ in range(2)
            )
            size = np.where(loud, 4.0, 1.0)
            of_batch = np.ones(compounds) if family.noisy == "nothing" else size
            of_rest = size if family.noisy == "batches and the rest" else np.ones(compounds)
            effects = (
                rng.normal(0, 0.1, (compounds, family.donors))[:, donor]
                + rng.normal(0, 0.15, (compounds, family.batches))[:, batch] * of_batch[:, None]
                + rng.normal(0, 0.1, (compounds, len(donor))) * of_rest[:, None]
                + family.effect * works[:, None]
            )
            squares = [mean_squares(y, design) for y in effects]
            common = shared_variance(squares, [design] * compounds)
            if common is None:
                continue
            estimated = replace(
                common,
                **{
                    name: replace(prior, lower_freedom=prior.freedom)
                    for name in ("batches_prior", "rest_prior")
                    for prior in (getattr(common, name),)
                },
            )
            for cautious, shared in ((False, estimated), (True, common)):
                p = [
                    crossed_mean(y, design, shared.moderated(own, design)).p_value
                    for y, own in zip(effects, squares, strict=True)
                ]
                hit = (stats.false_discovery_control(p) <= 0.05) & (
                    np.abs(effects.mean(axis=1)) >= FLOOR
                )
                counts[cautious] += [(hit & ~works).sum(), (hit & works).sum(), works.sum()]
        shown = [
            f"{false / max(false + true, 1):.1%} | {true / all_true:.1%}"
            for false, true, all_true in counts.values()
        ]
        print(
            f"| {family.name} | {family.noisy} | {family.effect:g} | {' | '.join(shown)} |",
            flush=True,
        )


PARTS = {
    "quiet": lambda rng, count: screens(rng, count, 0.0),
    "noisy": lambda rng, count: screens(rng, count, 0.2),
    "donors": donors,
    "few": few,
    "families": families,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--screens", type=int, default=20)
    parser.add_argument("--part", choices=sorted(PARTS))
    arguments = parser.parse_args()
    for name, part in PARTS.items():
        if arguments.part in (None, name):
            part(np.random.default_rng(0), arguments.screens)


if __name__ == "__main__":
    main()
