"""Disease window: the gap between vehicle of a disease line and of its isogenic control.

Within a batch by SSMD = (µ1 − µ2)/√(σ1² + σ2²) from the vehicle wells' means and standard
deviations; over batches by the gap between the lines on the effect's scale, batches as n. Both
lines must stand on the same plate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.dictionary import conform, empty_table, phenotype
from phenotypes.columns.statuses import WindowStatus
from phenotypes.screens.across.rescue import mean_interval

Row = dict[str, object]
MIN_WELLS = 3
# Columns of the table of gaps: sums over the plates of a batch, "_i" of the isogenic line.
GAPS = {
    "line": pl.String(),
    "isogenic": pl.String(),
    "phenotype": pl.String(),
    "batch": pl.String(),
    "gap": pl.Float64(),
    "difference": pl.Float64(),
    "squares": pl.Float64(),
    "squares_i": pl.Float64(),
    "degrees": pl.Int64(),
    "degrees_i": pl.Int64(),
    "n": pl.Int64(),
    "n_i": pl.Int64(),
}


def batch_gaps(plates: pl.DataFrame, isogenic: Mapping[str, str]) -> pl.DataFrame:
    """Vehicles of pairs, averaged over the plates of each batch: what windows are made of.

    Parameters
    ----------
    plates
        The table of `plate_effects`.
    isogenic
        Disease line ► its isogenic partner.

    Returns
    -------
    One row per line × phenotype × batch with both lines on a plate, columns of GAPS.
    """
    if not isogenic:
        return pl.DataFrame(schema=GAPS)
    pairs = pl.DataFrame({"line": list(isogenic), "isogenic": list(isogenic.values())})
    keys = ["plate", "batch", "phenotype"]
    degrees = pl.col("n_wells") - 1
    # Several vehicles of a line are one group, as for effects; the scatter is that within each.
    vehicle = (
        plates.filter(pl.col("control") == "vehicle")
        .group_by(*keys, "line")
        .agg(
            ((pl.col("level") * pl.col("n_wells")).sum() / pl.col("n_wells").sum()).alias("level"),
            (pl.col("level_sd") ** 2 * degrees).sum().alias("squares"),
            degrees.sum().alias("degrees"),
            pl.col("n_wells").sum().alias("n"),
        )
    )
    disease = vehicle.join(pairs, on="line", how="inner")
    partner = vehicle.rename(
        {c: "isogenic" if c == "line" else f"{c}_i" for c in vehicle.columns if c not in keys}
    )
    both = disease.join(partner, on=[*keys, "isogenic"], how="inner").sort(keys)
    return (
        both.with_columns(_gap())
        .group_by("line", "isogenic", "phenotype", "batch", maintain_order=True)
        .agg(
            pl.col("gap").mean(),
            (pl.col("level_i") - pl.col("level")).mean().alias("difference"),
            *(
                pl.col(c).sum()
                for c in ("squares", "squares_i", "degrees", "degrees_i", "n", "n_i")
            ),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in GAPS.items())
        .sort("line", "phenotype", "batch")
    )


def windows_of(
    gaps: pl.DataFrame,
) -> tuple[pl.DataFrame, dict[tuple[str, str], dict[str, float]]]:
    """Estimate windows per batch and over batches.

    `gaps` is the table of `batch_gaps`. Returns the window table, and (disease line, phenotype) ►
    batch ► gap.
    """
    if gaps.is_empty():
        return empty_table("window"), {}
    rows: list[Row] = []
    known: dict[tuple[str, str], dict[str, float]] = {}
    for (line, partner, name), part in gaps.group_by(
        "line", "isogenic", "phenotype", maintain_order=True
    ):
        keys_of_row: Row = {"line": line, "isogenic": partner, "phenotype": name}
        rows += [keys_of_row | _of_batch(r) for r in part.iter_rows(named=True)]
        usable = part.filter(pl.col("gap").is_not_null())
        if len(usable):
            known[str(line), str(name)] = dict(usable.select("batch", "gap").rows())
        rows.append(keys_of_row | _overall(usable))
    return conform(pl.DataFrame(rows, infer_schema_length=None), "window"), known


def _gap() -> pl.Expr:
    """Gap of the vehicle means: log2 ratio for phenotypes in percent, else the difference."""
    ratio = pl.col("phenotype").map_elements(
        lambda name: phenotype(name).scale == "percent", pl.Boolean
    )
    log = pl.when((pl.col("level_i") > 0) & (pl.col("level") > 0)).then(
        (pl.col("level_i") / pl.col("level")).log(2)
    )
    return pl.when(ratio).then(log).otherwise(pl.col("level_i") - pl.col("level")).alias("gap")


def ssmd_interval(
    difference: float, sd: tuple[float, float], n: tuple[int, int]
) -> tuple[float, float, float] | None:
    """(SSMD, low, high) from the difference of two means, the standard deviations and sizes.

    None where neither group varies.

    SSMD = d/√2 of the standardised difference d, whose variance is 1/n1 + 1/n2 + d²/2(n1 + n2 − 2)
    (Hedges & Olkin, Statistical Methods for Meta-Analysis, 1985); the interval takes Student's t
    with n1 + n2 − 2 degrees of freedom.
    """
    spread = float(np.hypot(*sd))
    if not np.isfinite(spread) or spread == 0:
        return None
    degrees = n[0] + n[1] - 2
    value = difference / spread
    error = float(np.sqrt((1 / n[0] + 1 / n[1]) / 2 + value**2 / (2 * degrees)))
    half_width = float(stats.t.ppf(0.975, degrees)) * error
    return value, value - half_width, value + half_width


def _of_batch(r: dict[str, Any]) -> Row:
    n, n_i = int(r["n"]), int(r["n_i"])
    row: Row = {"batch": r["batch"], "n_wells": n + n_i, "n_batches": 1, "gap": r["gap"]}
    if min(n, n_i) < MIN_WELLS or min(r["degrees"], r["degrees_i"]) < 1:
        reason = (
            f"{n} disease and {n_i} isogenic vehicle wells; {MIN_WELLS} of each are needed, and two"
            " on one plate"
        )
        return row | {"status": WindowStatus.TOO_FEW_WELLS, "reason": reason}
    sd = (
        float(np.sqrt(r["squares"] / r["degrees"])),
        float(np.sqrt(r["squares_i"] / r["degrees_i"])),
    )
    interval = ssmd_interval(float(r["difference"]), sd, (n, n_i))
    if interval is None:
        return row | {
            "status": WindowStatus.NO_VARIATION,
            "reason": "vehicle wells of neither line vary: SSMD is not defined",
        }
    value, low, high = interval
    apart = not low <= 0 <= high
    reason = "" if apart else f"SSMD {value:.2g} (95 % {low:.2g} … {high:.2g}) includes 0"
    return row | {
        "status": WindowStatus.EXPRESSED if apart else WindowStatus.NOT_EXPRESSED,
        "reason": reason,
        "ssmd": value,
        "ssmd_low": low,
        "ssmd_high": high,
    }


def _overall(usable: pl.DataFrame) -> Row:
    gap = usable["gap"].to_numpy().astype(float)
    row: Row = {
        "batch": "",
        "n_batches": len(gap),
        "n_wells": int(usable["n"].sum()) + int(usable["n_i"].sum()),
    }
    if len(gap) < 2:
        return row | {
            "status": WindowStatus.TOO_FEW_BATCHES,
            "reason": f"{len(gap)} batch with both lines; 2 are needed",
            "gap": float(gap[0]) if len(gap) else None,
        }
    mean = float(gap.mean())
    low, high = mean_interval(gap)
    half_width = (high - low) / 2
    if half_width <= 1e-12 * max(1.0, abs(mean)):
        return row | {
            "status": WindowStatus.NO_VARIATION,
            "reason": "all batches gave the very same gap: no interval",
            "gap": mean,
        }
    apart = abs(mean) > half_width
    reason = (
        ""
        if apart
        else (
            f"gap {mean:.3g} (95 % {mean - half_width:.3g} … {mean + half_width:.3g}) includes 0:"
            " there is nothing to rescue"
        )
    )
    return row | {
        "status": WindowStatus.EXPRESSED if apart else WindowStatus.NOT_EXPRESSED,
        "reason": reason,
        "gap": mean,
        "gap_low": mean - half_width,
        "gap_high": mean + half_width,
    }
