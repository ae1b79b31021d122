"""Level, coverage and power of survival, in designs where neurons, wells and plates mislead.

    python -m benchmarks.inference.survival_designs --plates 200

Lives are drawn, not images: every 12 h to 108 h, wells of 60 neurons whose hazards differ by a
log-normal factor (σ 0.15), plates by 0.3, and batches in what the compound does. `level` is the
share of draws without an effect whose interval of the hazard ratio excludes 1 (where there is a p,
it is under 0.05 then), `covers` that of intervals that hold the true ratio without and with an
effect, `RMST` that of intervals of the RMST difference that hold 0, `power` the share found at a
ratio of 2. `per neuron` is the level of Cox's model as it is often used: neurons are n, plates are
pooled, and the clock starts when a neuron is first seen.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import conform
from phenotypes.films.hazard import hazard_table

END_H, INTERVAL_H, HAZARD, PLATE_SD, RATIO = 108.0, 12.0, 0.008, 0.3, 2.0


@dataclass(frozen=True)
class Design:
    """`wells` (vehicle, treated) on each plate; a plate per batch, or two where `bare`.

    `bare`: a second plate of the batch has vehicle wells only. `late`: half of the treated wells'
    fields are first usable at 24 h, and neurons die five times as fast before then. `detach`: this
    share of dying treated neurons floats off before its death is seen; a tenth of all neurons is
    lost alive.
    """

    name: str
    wells: tuple[int, int] = (6, 6)
    batches: int = 1
    batch_sd: float = 0.0
    well_sd: float = 0.15
    bare: bool = False
    late: bool = False
    detach: float = 0.0


DESIGNS = (
    Design("6 v 6 wells"),
    Design("2 v 2 wells", (2, 2)),
    Design("2 v 2 wells that differ by 0.3", (2, 2), well_sd=0.3),
    Design("1 treated v 8 vehicle wells", (8, 1)),
    Design("late fields, 6 v 6 wells", late=True),
    Design("late fields, 3 batches of 3 v 3", (3, 3), 3, late=True),
    Design("vehicle also on another plate", (4, 4), bare=True),
    Design("the same, 3 batches", (4, 4), 3, bare=True),
    Design("3 batches of 2 v 2", (2, 2), 3),
    Design("3 batches of 2 v 2, batch × compound 0.2", (2, 2), 3, 0.2),
    Design("3 batches of 2 v 2, batch × compound 0.4", (2, 2), 3, 0.4),
    Design("6 batches of 4 v 1, batch × compound 0.2", (4, 1), 6, 0.2),
    Design("the dying float off, 3 batches of 4 v 4", (4, 4), 3, detach=0.5),
)


def draw(rng, design, ratio):
    """The track table of one compound on one line."""
    parts = []
    for batch in range(design.batches):
        effect = np.log(ratio) + rng.normal(0, design.batch_sd)
        for plate in range(2 if design.bare else 1):
            level = np.log(HAZARD) + rng.normal(0, PLATE_SD)
            vehicle, treated = design.wells
            for well in range(vehicle + (0 if plate else treated)):
                z = well >= vehicle
                hazard = np.exp(level + rng.normal(0, design.well_sd) + z * effect)
                parts.append(
                    lives(rng, design, hazard, late=design.late and z, treated=z).with_columns(
                        # A screen names wells by their plate and place.
                        well=pl.lit(f"{batch}-{plate} A{well + 1:02d}"),
                        batch=pl.lit(f"b{batch}"),
                        compound=pl.lit("x" if z else "DMSO"),
                        control=pl.lit("none" if z else "vehicle"),
                        dose_molar=pl.lit(1e-6 if z else 0.0),
                    )
                )
    named = pl.concat(parts).with_columns(
        line=pl.lit("L"),
        genotype=pl.lit(""),
        field=pl.lit(1),
        included=pl.lit(value=True),
        study_end_h=pl.lit(END_H),
        track=pl.int_range(1, pl.len() + 1),
    )
    return conform(named, "track")


def lives(rng, design, hazard, *, late, treated, neurons=60):
    """Entry, exit, event and reason of a well's neurons."""
    unit = rng.exponential(size=neurons)
    if design.late:
        early = 5 * hazard * 24
        death = np.where(unit < early, unit / (5 * hazard), 24 + (unit - early) / hazard)
    else:
        death = unit / hazard
    death = np.ceil(death / INTERVAL_H) * INTERVAL_H
    entry = np.where(late & (np.arange(neurons) % 2 == 1), 24.0, 0.0)
    gone = np.full(neurons, np.inf)
    if design.detach:
        alive = rng.random(neurons) < 0.1
        gone[alive] = np.floor(rng.uniform(0, END_H, alive.sum()) / INTERVAL_H) * INTERVAL_H
        floats = treated & (rng.random(neurons) < design.detach)
        gone[floats] = np.minimum(gone, death - INTERVAL_H)[floats]
    stop = np.minimum(np.minimum(death, gone), END_H)
    event = (death <= END_H) & (death <= gone)
    reason = np.where(event, "", np.where(gone < END_H, "lost", "end_of_study"))
    return pl.DataFrame(
        {"entry_h": entry, "exit_h": stop, "event": event, "reason": reason}
    ).filter(pl.Series(death > entry))


def per_neuron(tracks):
    """P of Cox's model over all neurons of the line."""
    import pandas as pd
    from lifelines import CoxPHFitter

    chosen = tracks.select(
        (pl.col("exit_h") - pl.col("entry_h")).clip(1e-3).alias("hours"),
        pl.col("event").cast(pl.Int64),
        (pl.col("control") == "none").cast(pl.Float64).alias("treated"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = CoxPHFitter().fit(pd.DataFrame(chosen.to_dict(as_series=False)), "hours", "event")
    return float(fit.summary.loc["treated", "p"])


def holds(rows, low, high, value):
    """Share of the given intervals that hold a value."""
    given = [r for r in rows if r[low] is not None and r[high] is not None]
    return np.mean([r[low] <= value <= r[high] for r in given]) if given else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plates", type=int, default=200, help="draws per design and ratio")
    parser.add_argument("--only", default="", help="designs whose name contains this")
    arguments = parser.parse_args()
    print(
        "| design | level | covers 1 | covers 2 | RMST covers 0 | power at 2 | per neuron: level |"
        " statuses |\n|---|---|---|---|---|---|---|---|"
    )
    for design in (d for d in DESIGNS if arguments.only in d.name):
        null, effect, naive = [], [], []
        for n in range(arguments.plates):
            tracks = draw(np.random.default_rng([n, 0]), design, 1.0)
            null += hazard_table(tracks).to_dicts()
            naive.append(per_neuron(tracks) < 0.05)
            treated = draw(np.random.default_rng([n, 1]), design, RATIO)
            effect += hazard_table(treated).to_dicts()
        covers = holds(null, "hr_low", "hr_high", 1.0)
        counts = pl.Series([r["status"] for r in null]).value_counts(sort=True).rows()
        print(
            f"| {design.name} | {1 - covers:.1%} | {covers:.1%}"
            f" | {holds(effect, 'hr_low', 'hr_high', RATIO):.1%}"
            f" | {holds(null, 'rmst_difference_low', 'rmst_difference_high', 0.0):.1%}"
            f" | {1 - holds(effect, 'hr_low', 'hr_high', 1.0):.1%} | {np.mean(naive):.1%}"
            f" | {', '.join(f'{s} {k}' for s, k in counts)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
