"""The disease window: how far a disease line's vehicle is from its isogenic control's, in each batch and over all of them.

Within a batch by SSMD = (µ1 − µ2)/√(σ1² + σ2²) from the vehicle wells' means and standard deviations; over
batches by the gap between the lines on the effect's scale, batches as n. Both lines must stand on the same plate.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns import conform, empty_table, phenotype

Row = dict[str, object]
MIN_WELLS = 3


def windows_table(plates: pl.DataFrame, isogenic: Mapping[str, str]) -> tuple[pl.DataFrame, dict[tuple[str, str], dict[str, float]]]:
    """(the window table, (disease line, phenotype) ► batch ► gap of its window).

    `plates` as `plate_effects` gives it; `isogenic` maps disease line ► its isogenic partner.
    """
    if not isogenic:
        return empty_table("window"), {}
    pairs = pl.DataFrame({"line": list(isogenic), "isogenic": list(isogenic.values())})
    keys = ["plate", "batch", "phenotype"]
    vehicle = (
        plates.filter(pl.col("control") == "vehicle")
        .group_by(*keys, "line")
        .agg(pl.col("level").mean(), pl.col("level_sd").mean().alias("sd"), pl.col("n_wells").sum().alias("n"))
    )
    disease = vehicle.join(pairs, on="line", how="inner")
    both = disease.join(
        vehicle.rename({"line": "isogenic", "level": "level_i", "sd": "sd_i", "n": "n_i"}), on=[*keys, "isogenic"], how="inner"
    )
    if both.is_empty():
        return empty_table("window"), {}
    both = both.with_columns(_gap())
    per_batch = (
        both.group_by("line", "isogenic", "phenotype", "batch")
        .agg(
            pl.col("gap").mean(),
            pl.col("level_i").mean() - pl.col("level").mean(),
            (pl.col("sd") ** 2).mean().sqrt(),
            (pl.col("sd_i") ** 2).mean().sqrt(),
            pl.col("n").sum(),
            pl.col("n_i").sum(),
        )
        .sort("line", "phenotype", "batch")
    )
    rows: list[Row] = []
    gaps: dict[tuple[str, str], dict[str, float]] = {}
    for (line, partner, name), part in per_batch.group_by("line", "isogenic", "phenotype", maintain_order=True):
        place: Row = {"line": line, "isogenic": partner, "phenotype": name}
        rows += [place | _of_batch(r) for r in part.iter_rows(named=True)]
        usable = part.filter(pl.col("gap").is_not_null())
        gaps[str(line), str(name)] = dict(usable.select("batch", "gap").rows())
        rows.append(place | _overall(usable))
    return conform(pl.DataFrame(rows, infer_schema_length=None), "window"), gaps


def _gap() -> pl.Expr:
    """log2 ratio of the vehicle means for phenotypes that scale so, else their difference."""
    ratio = pl.col("phenotype").map_elements(lambda name: phenotype(name).scale == "percent", pl.Boolean)
    log = pl.when((pl.col("level_i") > 0) & (pl.col("level") > 0)).then((pl.col("level_i") / pl.col("level")).log(2))
    return pl.when(ratio).then(log).otherwise(pl.col("level_i") - pl.col("level")).alias("gap")


def ssmd_interval(difference: float, sd: tuple[float, float], n: tuple[int, int]) -> tuple[float, float, float] | None:
    """(SSMD, low, high) from two groups' difference of means, standard deviations and sizes; None where neither varies.

    SSMD = d/√2 of the standardised difference d, whose variance is 1/n1 + 1/n2 + d²/2(n1 + n2 − 2) (Hedges & Olkin, Statistical
    Methods for Meta-Analysis, 1985); the interval takes Student's t with n1 + n2 − 2 degrees of freedom.
    """
    spread = float(np.hypot(*sd))
    if not np.isfinite(spread) or spread == 0:
        return None
    freedom = n[0] + n[1] - 2
    value = difference / spread
    error = float(np.sqrt((1 / n[0] + 1 / n[1]) / 2 + value**2 / (2 * freedom)))
    wide = float(stats.t.ppf(0.975, freedom)) * error
    return value, value - wide, value + wide


def _of_batch(r: Row) -> Row:
    n, n_i = int(str(r["n"])), int(str(r["n_i"]))
    row: Row = {"batch": r["batch"], "n_wells": n + n_i, "n_batches": 1, "gap": r["gap"]}
    if min(n, n_i) < MIN_WELLS:
        return row | {"status": "too_few_wells", "reason": f"{n} disease and {n_i} isogenic vehicle wells; {MIN_WELLS} of each are needed"}
    found = ssmd_interval(float(str(r["level_i"])), (float(str(r["sd"])), float(str(r["sd_i"]))), (n, n_i))
    if found is None:
        return row | {"status": "not_expressed", "reason": "vehicle wells of neither line vary"}
    value, low, high = found
    apart = not low <= 0 <= high
    words = "" if apart else f"SSMD {value:.2g} (95 % {low:.2g} … {high:.2g}) includes 0"
    return row | {"status": "expressed" if apart else "not_expressed", "reason": words, "ssmd": value, "ssmd_low": low, "ssmd_high": high}


def _overall(usable: pl.DataFrame) -> Row:
    gap = usable["gap"].to_numpy().astype(float)
    row: Row = {"batch": "", "n_batches": len(gap), "n_wells": int(usable["n"].sum()) + int(usable["n_i"].sum())}
    if len(gap) < 2:
        return row | {
            "status": "too_few_batches",
            "reason": f"{len(gap)} batch with both lines; 2 are needed",
            "gap": float(gap[0]) if len(gap) else None,
        }
    wide = float(stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap)))
    mean = float(gap.mean())
    apart = abs(mean) > wide
    words = "" if apart else f"gap {mean:.3g} (95 % {mean - wide:.3g} … {mean + wide:.3g}) includes 0: there is nothing to rescue"
    return row | {
        "status": "expressed" if apart else "not_expressed",
        "reason": words,
        "gap": mean,
        "gap_low": mean - wide,
        "gap_high": mean + wide,
    }
