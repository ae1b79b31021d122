"""Curves as they are usually fitted (R's drc with its defaults) beside the product's, same wells.

    python -m benchmarks.inference.drc_like --plates 150 --screens 10      # --part plates or screens

"drc-like": per curve the four-parameter log-logistic LL.4 by least squares on percent of vehicle,
from one start; p of the likelihood ratio test against a constant (`noEffect`); the EC50 with the
delta method's interval (observed information, Student's t) wherever the search converges and the
test calls a response. No lack-of-fit test, no bound at the tested doses, and wells are n.

`plates`: 8 vehicle wells and 3 wells at each of 8 doses. `screens`: 2 lines × 30 compounds × 8 doses
in three batches that the lines share, 16 vehicle wells and 3 wells per dose, 0.15 log2 between wells;
a fifth of the compounds works (EC50 0.1 µM). Wells of all batches enter the drc-like curve.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import optimize, special, stats

from benchmarks.inference.curves import DEVIATIONS, DOSES, PLATE, TOP, hill
from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import fit_screen
from phenotypes.statistics.curves.dose_response import fit

BATCHES, LINES, COMPOUNDS, ACTIVE, VEHICLES, WELLS = 3, 2, 30, 6, 16, 3
OWN_SD, WELL_SD, EC50 = 0.0375, 0.15, 1e-7


@dataclass(frozen=True)
class Curve:
    """p of no effect, and the EC50 with its interval; None where the search or the error fails."""

    p_value: float
    ec50: float | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None


def drc_like(dose: np.ndarray, y: np.ndarray) -> Curve:
    """LL.4: y = c + (d − c) / (1 + exp(b (log x − log e))).

    The start is that of log-logistic self-starters: limits just outside the range of y, slope and
    EC50 by a straight line through the logits.
    """
    log_dose = np.log(np.where(dose > 0, dose, 1.0))
    n = len(y)

    def curve(p: np.ndarray) -> np.ndarray:
        b, c, d, log_e = p
        # A dose of 0 lies below all others: the upper limit of a rising exponent.
        place = np.where(dose > 0, b * (log_dose - log_e), -np.sign(b) * np.inf)
        return c + (d - c) * special.expit(-place)

    margin = 0.001 * np.ptp(y)
    c, d = y.min() - margin, y.max() + margin
    treated = dose > 0
    slope, intercept = np.polyfit(log_dose[treated], np.log((d - y[treated]) / (y[treated] - c)), 1)
    constant = float(((y - y.mean()) ** 2).sum())
    start = np.array([slope, c, d, -intercept / slope if slope else log_dose[treated].mean()])
    try:
        found = optimize.least_squares(lambda p: y - curve(p), start, method="lm", max_nfev=2000)
    except ValueError:
        return Curve(1.0)
    rss = 2 * float(found.cost)
    if found.status <= 0 or not np.isfinite(rss) or rss <= 0:
        return Curve(1.0)
    p_value = float(stats.chi2.sf(max(n * np.log(constant / rss), 0.0), 3))
    ec50 = float(np.exp(np.clip(found.x[3], -700, 700)))
    # Observed information by central differences of the residual sum of squares' gradient.
    step = 1e-4 * np.maximum(np.abs(found.x), 1.0)

    def gradient(p: np.ndarray) -> np.ndarray:
        residual, half = y - curve(p), 1e-6 * np.maximum(np.abs(p), 1.0)
        columns = [
            (curve(p + e) - curve(p - e)) / (2 * h)
            for e, h in zip(np.diag(half), half, strict=True)
        ]
        return -np.array(columns) @ residual

    hessian = np.array(
        [
            (gradient(found.x + e) - gradient(found.x - e)) / (2 * h)
            for e, h in zip(np.diag(step), step, strict=True)
        ]
    )
    try:
        variance = np.linalg.inv((hessian + hessian.T) / 2)[3, 3] * rss / (n - 4)
    except np.linalg.LinAlgError:
        return Curve(p_value, ec50)
    if not variance > 0:
        return Curve(p_value, ec50)
    error = ec50 * float(np.sqrt(variance))
    half_width = float(stats.t.ppf(0.975, n - 4)) * error
    return Curve(p_value, ec50, error, ec50 - half_width, ec50 + half_width)


@dataclass
class Tally:
    """What a rule says of many curves of one design."""

    called: list[bool]
    given: list[float]
    covered: list[bool]

    def cells(self) -> str:
        n = len(self.called)
        shown = f"{np.mean(self.called):.0%} | {len(self.given) / n:.0%}"
        if not self.given or not np.isfinite(self.given).all():
            return f"{shown} | – | –"
        return f"{shown} | {np.median(self.given):+.2f} | {np.mean(self.covered):.0%}"


# Name, response at doses, true EC50 or none, SD of wells, how many times treated wells scatter.
DESIGNS = (
    ("nothing, SD 10", lambda d: 100 + 0 * d, None, 10.0, 1.0),
    ("nothing, treated wells scatter twice as much", lambda d: 100 + 0 * d, None, 10.0, 2.0),
    ("span 15 at 0.3 µM, slope 1.2, SD 10", lambda d: 100 - 15 * hill(d, 3e-7, 1.2), 3e-7, 10, 1),
    ("span 70 at 0.3 µM, slope 1.2, SD 10", lambda d: 100 - 70 * hill(d, 3e-7, 1.2), 3e-7, 10, 1),
    (
        "cliff of 95 just above a dose, SD 2.5",
        lambda d: 100 - 95.0 * (d > 1.06e-7),
        1.06e-7,
        2.5,
        1,
    ),
    (
        "span 70 at 0.3 × top, slope 1, SD 8",
        lambda d: 100 - 70 * hill(d, 0.3 * TOP, 1),
        0.3 * TOP,
        8,
        1,
    ),
    ("span 70 at the top dose, slope 1, SD 8", lambda d: 100 - 70 * hill(d, TOP, 1), TOP, 8, 1),
    ("span 70 at 3 × top, slope 1, SD 8", lambda d: 100 - 70 * hill(d, 3 * TOP, 1), 3 * TOP, 8, 1),
    (
        "bell of 50, SD 10",
        lambda d: 100 + 50 * hill(d, 3e-8, 1.5) - 50 * hill(d, 1e-6, 2.0),
        None,
        10.0,
        1.0,
    ),
    (
        "hormesis of 40, SD 10",
        lambda d: 100 + 40 * hill(d, 5e-9, 1.5) - 110 * hill(d, 2e-6, 2.0),
        None,
        10.0,
        1.0,
    ),
)


def note(
    tally: Tally,
    true: float | None,
    p: float,
    ends: tuple[float | None, float | None, float | None],
) -> None:
    """Add one curve; `ends` are its EC50 and interval, the EC50 None where it is not given."""
    tally.called.append(p < 0.05)
    ec50, low, high = ends
    if ec50 is None:
        return
    tally.given.append(np.nan if true is None else float(np.log10(ec50 / true)))
    if true is not None:
        tally.covered.append((low or 0.0) <= true <= (np.inf if high is None else high))


def plates(rng: np.random.Generator, count: int) -> None:
    """One curve per plate."""
    print(
        "| design | drc-like: called | EC50 | bias | covered | here: called | EC50 | bias | covered |"
    )
    for name, mean, true, sd, times in DESIGNS:
        usual, ours = Tally([], [], []), Tally([], [], [])
        at_wells = mean(PLATE)
        for seed in range(count):
            y = at_wells + rng.normal(0, sd, len(PLATE)) * np.where(PLATE > 0, times, 1.0)
            found = drc_like(PLATE, 100 * y / y[PLATE == 0].mean())
            ec50 = found.ec50 if found.p_value < 0.05 else None
            note(usual, true, found.p_value, (ec50, found.low, found.high))
            curve = fit(PLATE, y, seed=seed)
            p = 1.0 if curve.p_value is None else curve.p_value
            note(ours, true, p, (curve.ec50, curve.ec50_low, curve.ec50_high))
        print(f"| {name} | {usual.cells()} | {ours.cells()} |", flush=True)


def screen_wells(
    rng: np.random.Generator, shape: np.ndarray, sd: float, span: float
) -> pl.DataFrame:
    """Wells of one screen; what a batch does to a compound moves both lines alike."""
    common = sd * rng.normal(size=(BATCHES, COMPOUNDS, 1)) * shape
    effect = (np.arange(COMPOUNDS) < ACTIVE)[:, None] * np.log2(1 + span * hill(DOSES, EC50, 1.2))
    parts = []
    for line in range(LINES):
        for b in range(BATCHES):
            own = common[b] + effect + rng.normal(0, OWN_SD, effect.shape)
            level = np.r_[np.zeros(VEHICLES), np.repeat(own.ravel(), WELLS)] + rng.normal(0, 0.3)
            treated = COMPOUNDS * len(DOSES) * WELLS
            parts.append(
                pl.DataFrame(
                    {
                        "plate": f"b{b}-L{line}",
                        "batch": f"b{b}",
                        "line": f"L{line}",
                        "genotype": "SOD1",
                        "status": "done",
                        "control": ["vehicle"] * VEHICLES + ["none"] * treated,
                        "compound": ["DMSO"] * VEHICLES
                        + [
                            f"c{c:02d}" for c in range(COMPOUNDS) for _ in range(len(DOSES) * WELLS)
                        ],
                        "dose_molar": np.r_[
                            np.zeros(VEHICLES), np.tile(np.repeat(DOSES, WELLS), COMPOUNDS)
                        ],
                        "nuclei_count": 300,
                        "live_density": 200 * 2 ** (level + rng.normal(0, WELL_SD, len(level))),
                    }
                )
            )
    return pl.concat(parts)


def usual_curves(wells: pl.DataFrame) -> dict[tuple[str, str], Curve]:
    """Line and compound ► drc-like curve through the wells of all batches."""
    vehicle = pl.col("control") == "vehicle"
    percent = wells.with_columns(
        y=100 * pl.col("live_density") / pl.col("live_density").filter(vehicle).mean().over("plate")
    )
    curves = {}
    for (line,), of_line in percent.group_by("line"):
        controls = of_line.filter(vehicle)
        for (compound,), part in of_line.filter(~vehicle).group_by("compound"):
            both = pl.concat([controls, part])
            curves[(line, compound)] = drc_like(both["dose_molar"].to_numpy(), both["y"].to_numpy())
    return curves


def screens(rng: np.random.Generator, count: int) -> None:
    """Level, false discoveries after BH, power, and the EC50s given of compounds that work or not."""
    print(
        "| what a batch does | largest effect | rule | p < 0.05 of no effect | false, BH | power, BH |"
        " EC50 of no effect | EC50 given | covered |"
    )
    designs = (
        ("nothing", 0.0),
        ("all doses alike", 0.15),
        ("from the lowest to the highest dose", 0.15),
    )
    for name, sd in designs:
        shape = DEVIATIONS[name]
        assert shape is not None
        for span in (-0.15, -0.43):
            seen: dict[str, list[np.ndarray]] = {"drc-like": [], "curve": [], "`hit`": []}
            for _ in range(count):
                wells = screen_wells(rng, shape, sd, span)
                for rule, of_rows in judged(wells).items():
                    seen[rule].append(of_rows)
            for rule, parts in seen.items():
                table = np.stack(parts)
                works, called, hit, given, held = np.moveaxis(table, 2, 0).astype(bool)
                false = np.mean((hit & ~works).sum(axis=1) / np.maximum(hit.sum(axis=1), 1))
                shown = [f"{called[~works].mean():.1%}"] if rule != "`hit`" else ["–"]
                shown += [f"{false:.1%}", f"{hit[works].mean():.0%}"]
                if rule == "`hit`":
                    shown += ["–"] * 3
                else:
                    covered = held[works & given]
                    shown += [f"{given[~works].mean():.1%}", f"{given[works].mean():.0%}"]
                    shown += [f"{covered.mean():.0%}" if covered.size else "–"]
                cells = " | ".join(shown)
                print(f"| {name}, SD {sd:g} | {-span:.0%} | {rule} | {cells} |", flush=True)


def judged(wells: pl.DataFrame) -> dict[str, np.ndarray]:
    """Rule ► one line per row: works, called at 5 %, found after BH, EC50 given, EC50 covered."""
    planned = wells.filter(control="none").select("line", "compound", "dose_molar").unique()
    rows = fit_screen(plate_effects(wells, ["live_density"]), planned).responses
    rows = rows.filter(phenotype="live_density").sort("line", "compound")
    of_wells = usual_curves(wells)
    usual = [of_wells[key] for key in rows.select("line", "compound").iter_rows()]
    works = (rows["compound"] < f"c{ACTIVE:02d}").to_numpy()
    ends = rows.select("ec50_molar", "ec50_molar_low", "ec50_molar_high").iter_rows()
    rules = {
        "drc-like": (
            [c.p_value for c in usual],
            [(c.ec50 if c.p_value < 0.05 else None, c.low, c.high) for c in usual],
        ),
        "curve": (rows["curve_p_value"].fill_null(1.0), list(ends)),
    }
    found = {}
    for rule, (p, ec50) in rules.items():
        p = np.array(p)
        given = [e is not None for e, _, _ in ec50]
        held = [(low or 0.0) <= EC50 <= (high or np.inf) for _, low, high in ec50]
        adjusted = stats.false_discovery_control(p)
        found[rule] = np.column_stack([works, p < 0.05, adjusted <= 0.05, given, held])
    hit = rows["hit"].fill_null(value=False).to_numpy()
    found["`hit`"] = np.column_stack([works, hit, hit, ~hit, ~hit])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plates", type=int, default=150)
    parser.add_argument("--screens", type=int, default=10)
    parser.add_argument("--part", choices=("plates", "screens"))
    arguments = parser.parse_args()
    if arguments.part in (None, "plates"):
        plates(np.random.default_rng(0), arguments.plates)
    if arguments.part in (None, "screens"):
        screens(np.random.default_rng(0), arguments.screens)


if __name__ == "__main__":
    main()
