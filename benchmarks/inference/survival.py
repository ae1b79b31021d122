"""Does a hazard ratio's 95 % interval cover the true one, and is a lost neuron counted as dead?

    python -m benchmarks.inference.survival --plates 100

Plates are simulated and tracked. A plate has 6 vehicle and 6 treated wells with one field of about
60 neurons, seen 10 times in 12 h. Wells differ in their hazard by a log-normal factor (σ 0.15).
What the tracker is given is what segmentation gives: places with drift, crawling and error, missed
cells, debris that settles, a frame out of focus. Under GEDI 2 % of the living float off at each
frame, and a treated well loses twice as many in the plates marked "unequal loss".

    python -m benchmarks.inference.survival --part bands --plates 600

Do the 95 % bands of survival curves cover the true survival, at 24, 60 and 96 h? Lives are drawn
every 12 h to 108 h: arms of few wells whose hazards differ by a log-normal factor. "Late": half of
the fields are first usable at 24 h, and 30 % of the neurons are lost at random.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import polars as pl

from phenotypes.films.deaths import DeathSettings, plate_tracks
from phenotypes.films.hazard import compare
from phenotypes.films.survival_curves import ArmCurve, arm_curves
from phenotypes.films.tracking import TrackSettings, link

SIDE_UM, NEURONS, FRAMES, INTERVAL_H, HAZARD, WELL_SD = 900.0, 60, 10, 12.0, 0.006, 0.15
RATIOS = (1.0, 1.3, 2.0)


def spread(rng):
    """Places at least 20 µm apart: somas do not lie in each other."""
    places = []
    while len(places) < NEURONS:
        candidate = rng.uniform(20, SIDE_UM - 20, 2)
        if all(np.hypot(*(candidate - other)) > 20 for other in places):
            places.append(candidate)
    return np.array(places)


def simulate_well(rng, hazard, definition, lost_per_frame):
    """(objects linked, frames, hour of death or loss of each neuron by its place)."""
    start = spread(rng)
    death = rng.exponential(1 / hazard, NEURONS)
    lost = np.where(
        rng.random((FRAMES, NEURONS)) < lost_per_frame,
        np.arange(FRAMES)[:, None] * INTERVAL_H,
        np.inf,
    )
    lost[0] = np.inf
    lost_h = lost.min(axis=0)
    # A dead neuron stays where it died.
    lost_h[lost_h > death] = np.inf
    blurred = int(rng.integers(3, FRAMES - 1)) if rng.random() < 0.3 else -1
    drift = rng.normal(0, 5, (FRAMES, 2)).cumsum(axis=0)
    drift -= drift[0]
    place = start.copy()
    debris: list[np.ndarray] = []
    rows = []
    for frame in range(FRAMES):
        hour = frame * INTERVAL_H
        place = place + (rng.normal(0, 1.5, place.shape) if frame else 0)
        if frame == blurred:
            continue
        debris += [rng.uniform(0, SIDE_UM, 2) for _ in range(rng.poisson(1.0) if frame else 0)]
        for i in range(NEURONS):
            dead = death[i] <= hour
            if lost_h[i] <= hour or (dead and definition == "reporter_loss") or rng.random() < 0.01:
                continue
            sensor = max(0.02, rng.normal(1.0, 0.2) if dead else rng.normal(0.2, 0.05))
            rows.append(
                (
                    frame + 1,
                    *(place[i] + rng.normal(0, 0.7, 2)),
                    float(rng.lognormal(np.log(180), 0.08)),
                    sensor,
                )
            )
        rows += [
            (frame + 1, *d, float(rng.uniform(40, 120)), float(rng.uniform(0, 0.3))) for d in debris
        ]
    objects = pl.DataFrame(
        rows, ["frame", "y_um", "x_um", "soma_area_um2", "soma_mean_death"], orient="row"
    )
    objects = objects.with_columns(
        pl.int_range(1, pl.len() + 1).over("frame").alias("label"),
        pl.lit(1.0).alias("soma_mean_neurite"),
    )
    linked = link(objects, TrackSettings())
    # As in a cell table: places before registration.
    shift = pl.DataFrame(
        {"frame": range(1, FRAMES + 1), "drift_y_um": drift[:, 0], "drift_x_um": drift[:, 1]}
    )
    cells = linked.join(shift, on="frame", how="left").with_columns(
        y_um=pl.col("y_um") + pl.col("drift_y_um"),
        x_um=pl.col("x_um") + pl.col("drift_x_um"),
        soma_form_factor=pl.lit(0.8),
    )
    fields = shift.with_columns(
        ((pl.col("frame") - 1) * INTERVAL_H).alias("time_h"),
        (pl.col("frame") != blurred + 1).alias("usable"),
        pl.lit(0.0).alias("turn_deg"),
        pl.lit(SIDE_UM).alias("height_um"),
        pl.lit(SIDE_UM).alias("width_um"),
    )
    return cells, fields, (start, np.minimum(death, np.inf), lost_h)


def plate(job):
    """One simulated plate: its hazard row, and the number of lost neurons that were called dead."""
    seed, ratio, definition, unequal = job
    rng = np.random.default_rng([seed, int(10 * ratio), definition == "gedi", unequal])
    cells, fields, conditions, truths = [], [], [], {}
    for n in range(15):
        control = ("vehicle", "none", "positive")[n // 6]
        well = f"A{n + 1:02d}"
        hazard = (
            HAZARD
            * rng.lognormal(0, WELL_SD)
            * {"vehicle": 1.0, "none": ratio, "positive": 1e6}[control]
        )
        lost = (
            0.0
            if definition == "reporter_loss"
            else 0.04
            if unequal and control == "none"
            else 0.02
        )
        c, f, truths[well] = simulate_well(
            rng, hazard, definition, lost if control != "positive" else 0.0
        )
        cells.append(c.with_columns(pl.lit(well).alias("well"), pl.lit(1).alias("field")))
        fields.append(f.with_columns(pl.lit(well).alias("well"), pl.lit(1).alias("field")))
        conditions.append(
            {
                "well": well,
                "line": "L",
                "genotype": "",
                "compound": "x" if n >= 6 else "",
                "dose_molar": 1e-6,
                "control": control,
                "batch": "b",
            }
        )
    tracks, _ = plate_tracks(
        pl.concat(cells), pl.concat(fields), pl.DataFrame(conditions), DeathSettings(definition)
    )
    used = tracks.filter("included")
    called = false = 0
    placed = used.filter(pl.col("control") != "positive").select(
        "well", "y_um", "x_um", "event", "exit_h"
    )
    for well, y, x, event, exit_h in placed.iter_rows():
        start, _, lost_h = truths[well]
        i = int(np.argmin(np.hypot(*(start - (y, x)).T)))
        if np.isfinite(lost_h[i]) and np.hypot(*(start[i] - (y, x))) < 5:
            called += 1
            # A death that was called before the loss is the death sensor's error.
            false += event and exit_h >= lost_h[i]
    row = compare(
        used.filter(pl.col("control") == "vehicle"),
        used.filter(pl.col("control") == "none"),
        float(used["study_end_h"].min()),
    )
    return row, called, false


END_H, ARM_HAZARD = 108.0, 0.008
SEEN_H = (24.0, 60.0, 96.0)
# Wells of each arm, the last one looked at; a lone arm is one that borrows nothing.
ARMS = ((2,), (2, 2), (8, 2), (4, 2, 2, 2), (3, 3, 3), (8, 4, 4), (8, 8), (8, 1), (1,))
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def true_survival(hour: float, well_sd: float) -> float:
    """Mean over wells whose hazards differ by a log-normal factor."""
    alive = np.exp(-ARM_HAZARD * hour * np.exp(well_sd * _NODES))
    return float(_WEIGHTS @ alive / _WEIGHTS.sum())


def arm_tracks(
    rng: np.random.Generator, wells: int, neurons: int, well_sd: float, *, late: bool
) -> pl.DataFrame:
    """Tracks of an arm, seen every 12 h."""
    well = np.repeat(np.arange(wells), neurons)
    hazard = (ARM_HAZARD * np.exp(rng.normal(0, well_sd, wells)))[well]
    death = np.ceil(rng.exponential(size=len(well)) / hazard / INTERVAL_H) * INTERVAL_H
    entry = np.where(late & (np.arange(len(well)) % 2 == 1), 24.0, 0.0)
    gone = np.floor(rng.uniform(0, END_H, len(well)) / INTERVAL_H) * INTERVAL_H
    gone[rng.random(len(well)) > 0.3 * late] = np.inf
    stop = np.minimum(np.minimum(death, gone), END_H)
    event = (death <= END_H) & (death <= gone)
    seen = stop > entry
    return pl.DataFrame(
        {
            "well": [f"A{n + 1:02d}" for n in well[seen]],
            "entry_h": entry[seen],
            "exit_h": stop[seen],
            "event": event[seen],
            "reason": np.where(event[seen], "", "lost"),
        }
    )


def misses(curve: ArmCurve, well_sd: float, hours: Sequence[float] = SEEN_H) -> np.ndarray:
    """Per hour: −1, 0 or 1 where the true survival lies under, in or over the band; nan without."""
    place = np.searchsorted(curve.time, hours, "right") - 1
    low, high = curve.low[place], curve.high[place]
    true = np.array([true_survival(hour, well_sd) for hour in hours])
    return np.where(np.isnan(low), np.nan, 1.0 * (true > high) - (true < low))


def bands(plates: int) -> None:
    """Coverage per design, of the widths as they are and of the arm's own wells alone."""
    print(
        "| wells per arm, the last looked at | neurons | wells differ by | fields | covered at 24,"
    )
    print(
        "60, 96 h | true survival under, over the band | width at 60 h | of the arm's wells alone |"
    )
    for wells in ARMS:
        for neurons, well_sd, late in (
            (10, 0.0, False),
            (10, 0.3, False),
            (60, 0.0, False),
            (60, 0.15, False),
            (60, 0.3, False),
            (60, 0.6, False),
            (30, 0.3, True),
            (60, 0.0, True),
        ):
            rng = np.random.default_rng(1)
            seen, widths = [], []
            for _ in range(plates):
                arms = [arm_tracks(rng, n, neurons, well_sd, late=late) for n in wells]
                curve, own = arm_curves(arms, ("lost",))[-1], arm_curves(arms[-1:], ("lost",))[0]
                assert curve is not None
                assert own is not None
                seen.append(misses(curve, well_sd))
                place = int(np.searchsorted(curve.time, 60.0, "right")) - 1
                widths.append([c.high[place] - c.low[place] for c in (curve, own)])
            table = np.array(seen)
            given = (~np.isnan(table)).sum(axis=0)
            covered = ", ".join(f"{c:.0%}" for c in (table == 0).sum(axis=0) / given)
            under, over = ((table == side).sum() / given.sum() for side in (-1, 1))
            together, alone = np.nanmedian(widths, axis=0)
            print(
                f"| {', '.join(str(n) for n in wells)} | {neurons} | {well_sd:g}"
                f" | {'late, lost' if late else 'whole'} | {covered} | {under:.1%}, {over:.1%}"
                f" | {together:.2f} | {alone:.2f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plates", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part", choices=("ratios", "bands"), default="ratios")
    arguments = parser.parse_args()
    if arguments.part == "bands":
        bands(arguments.plates)
        return
    print(
        f"{'definition':15} {'true':>5} {'mean':>6} {'coverage':>9} {'lost, called dead':>18} "
        " statuses"
    )
    with ProcessPoolExecutor(arguments.workers) as pool:
        for definition, unequal in (("gedi", False), ("reporter_loss", False), ("gedi", True)):
            # Unequal loss tests the flag and the bounds, which need fewer plates than a coverage.
            plates = range(arguments.plates // 3 if unequal else arguments.plates)
            for ratio in RATIOS:
                rows, called, false = zip(
                    *pool.map(plate, [(s, ratio, definition, unequal) for s in plates]), strict=True
                )
                given = [r for r in rows if r.get("hr_low") is not None]
                mean = np.exp(np.mean([np.log(r["hazard_ratio"]) for r in given]))
                covered = np.mean([r["hr_low"] <= ratio <= r["hr_high"] for r in given])
                statuses = {
                    s: sum(r["status"] == s for r in rows)
                    for s in sorted({r["status"] for r in rows})
                }
                name = definition + (", unequal loss" if unequal else "")
                print(
                    f"{name:21} {ratio:5.1f} {mean:6.2f} {covered:9.1%} {sum(false):>7} of"
                    f" {sum(called):<7} {statuses}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
