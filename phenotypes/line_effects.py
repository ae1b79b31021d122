"""What a compound at a dose does to a line, and to lines in general: batches are n within a line, donors across lines.

Strategy. A well's effect is its log ratio (or difference) to the vehicle wells of the same line on the same plate. Wells are averaged to
their plate, plates to their differentiation batch, and the line's estimate is the mean of its batches with the standard error
between them. Lines are combined by random-effects meta-analysis, one line a donor. Cells, fields and wells are never n: with no
effect at all, cells as n call 80 % of comparisons significant and wells 48 %, donor means 4.4 %.

With one batch there is no between-batch error; the wells' is given in its place with the status `one_batch`, and such a line takes no
part in a statement across lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns import phenotype
from phenotypes.meta_analysis import MIN_STUDIES, meta_analysis

Row = dict[str, object]
KEYS = ("line", "compound", "dose_molar", "control")
MIN_BATCHES = 2


def well_effects(wells: pl.DataFrame, name: str) -> pl.DataFrame:
    """`wells` with `effect`: log2 ratio to, or difference from, the mean of vehicle wells of the same line and plate.

    `wells` has plate, batch, line, compound, dose_molar, control, status and the phenotype. Rows without an effect (not done, no
    vehicle on the plate, a ratio to or of nothing) are left out.
    """
    column = phenotype(name)
    done = wells.filter((pl.col("status") == "done") & pl.col(name).is_not_null())
    vehicle = (
        done.filter(pl.col("control") == "vehicle")
        .group_by("plate", "line", maintain_order=True)
        .agg(pl.col(name).mean().alias("reference"))
    )
    joined = done.join(vehicle, on=["plate", "line"], how="inner", maintain_order="left")
    if column.scale == "percent":
        positive = joined.filter((pl.col("reference") > 0) & (pl.col(name) > 0))
        return positive.with_columns((pl.col(name) / pl.col("reference")).log(2).alias("effect"))
    return joined.with_columns((pl.col(name) - pl.col("reference")).alias("effect"))


def batch_effects(effects: pl.DataFrame) -> pl.DataFrame:
    """Mean effect of each line × compound × dose in each batch: wells ► plate ► batch.

    `error` is the standard error between the batch's wells, their vehicle wells' included.
    """
    vehicles = effects.filter(pl.col("control") == "vehicle").group_by("line", "batch").agg(
        pl.col("effect").std().alias("vehicle_sd"), pl.len().alias("n_vehicle")
    )  # fmt: skip
    plates = effects.group_by(*KEYS, "batch", "plate", maintain_order=True).agg(
        pl.col("effect").mean(), pl.col("effect").var().alias("variance"), pl.len().alias("n_wells")
    )
    batches = plates.group_by(*KEYS, "batch", maintain_order=True).agg(
        pl.col("effect").mean(),
        pl.col("n_wells").sum(),
        pl.col("plate").n_unique().alias("n_plates"),
        pl.col("variance").mean().alias("variance"),
    )
    joined = batches.join(vehicles, on=["line", "batch"], how="left", maintain_order="left")
    own = pl.coalesce(pl.col("variance"), pl.col("vehicle_sd") ** 2)
    error = (own / pl.col("n_wells") + pl.col("vehicle_sd") ** 2 / pl.col("n_vehicle")).sqrt()
    return joined.with_columns(error.alias("error")).drop("variance", "vehicle_sd").sort(*KEYS, "batch")


def line_effects(batches: pl.DataFrame) -> pl.DataFrame:
    """One row a line × compound × dose: `effect`, `error`, 95 % interval and p with batches as n, counts, `same_direction`, status."""
    rows: list[Row] = []
    treated = batches.filter(pl.col("control") != "vehicle").sort(*KEYS, "batch")
    for key, part in treated.group_by(*KEYS, maintain_order=True):
        y = part["effect"].to_numpy()
        row: Row = dict(zip(KEYS, key, strict=True)) | {
            "n_batches": len(part), "n_plates": int(part["n_plates"].sum()), "n_wells": int(part["n_wells"].sum()), "effect": float(y.mean()),
            "same_direction": int(max((y > 0).sum(), (y < 0).sum())),
        }  # fmt: skip
        if len(part) >= MIN_BATCHES:
            error, freedom = float(y.std(ddof=1) / np.sqrt(len(y))), len(y) - 1
            row |= {"status": "ok", "reason": ""}
        else:
            error = float(part["error"][0]) if part["error"][0] is not None else np.nan
            freedom = max(1, int(part["n_wells"][0]) + int(part["n_vehicle"][0] or 0) - 2)
            row |= {
                "status": "one_batch",
                "reason": "one differentiation batch: the interval is between its wells and says nothing of another batch",
            }
        rows.append(row | _interval(float(y.mean()), error, freedom))
    return pl.DataFrame(rows, infer_schema_length=None)


def _interval(mean: float, error: float, freedom: int) -> Row:
    if not np.isfinite(error):
        return {"error": None, "low": None, "high": None, "p_value": None}
    wide = float(stats.t.ppf(0.975, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom)) if error > 0 else float(mean == 0)
    return {"error": error, "low": mean - wide, "high": mean + wide, "p_value": p}


def across_lines(lines: pl.DataFrame, donors: dict[str, str] | None = None) -> pl.DataFrame:
    """One row a compound × dose: meta-analysis over donors of the lines given, or the reason why there is none.

    `donors` maps line ► donor; lines of one donor are averaged first, since they are not two people. Sampling variances of single
    lines with two or three batches are themselves poor: they are shrunk to the median over lines of the variance between batches.
    """
    rows: list[Row] = []
    for (compound, dose), part in lines.sort("line").group_by("compound", "dose_molar", maintain_order=True):
        row: Row = {"compound": compound, "dose_molar": dose, "n_lines": len(part)}
        usable = part.filter((pl.col("status") == "ok") & pl.col("error").is_not_null())
        between = (usable["error"].to_numpy() ** 2) * usable["n_batches"].to_numpy()
        named = [(donors or {}).get(line, line) for line in usable["line"]]
        row["n_donors"] = len(set(named))
        if len(set(named)) < MIN_STUDIES:
            words = f"{len(set(named))} donors with at least {MIN_BATCHES} batches; a statement across donors needs {MIN_STUDIES}"
            rows.append(row | {"status": "too_few_donors", "reason": words})
            continue
        pooled = float(np.median(between))
        # Half the line's own, half what is usual: three batches know their own variance within a factor of five.
        shrunk = (between + pooled) / 2 / usable["n_batches"].to_numpy()
        y, v = _by_donor(named, usable["effect"].to_numpy(), np.maximum(shrunk, 1e-12))
        found = meta_analysis(y, v)
        rows.append(row | {
            "status": "ok", "reason": "", "effect": found.mean, "error": found.error, "low": found.low, "high": found.high, "p_value": found.p_value,
            "tau2": found.tau2, "i2": found.i2, "heterogeneity_p": found.q_p, "predicted_low": found.predicted_low, "predicted_high": found.predicted_high,
            "method": found.method,
        })  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def _by_donor(named: Sequence[str], effect: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    of = {d: [i for i, name in enumerate(named) if name == d] for d in dict.fromkeys(named)}
    return np.array([effect[i].mean() for i in of.values()]), np.array([variance[i].sum() / len(i) ** 2 for i in of.values()])


def confounded(wells: pl.DataFrame, of: str, *, by: Sequence[str] = ("plate", "batch")) -> list[str]:
    """Which of `by` cannot be told apart from `of` (line, genotype): the rank of the two factors together says so.

    Two factors are confounded where their levels fall into groups that share nothing: then a difference between groups is as much
    the one's as the other's. Returns one sentence a confounded factor.
    """
    found = []
    for other in by:
        pairs = wells.select(of, other).unique().drop_nulls()
        groups = _connected(pairs[of].to_list(), pairs[other].to_list())
        if pairs[other].n_unique() > 1 and pairs[of].n_unique() > 1 and len(groups) > 1:
            parts = "; ".join(f"{', '.join(sorted(a))} only on {other} {', '.join(sorted(b))}" for a, b in groups[:4])
            found.append(f"confounded_with_{other}: {of} and {other} share no common level ({parts})")
    return found


def _connected(first: Sequence[str], second: Sequence[str]) -> list[tuple[set[str], set[str]]]:
    """Connected groups of a bipartite graph; their number is the rank deficiency of the two-way design plus one."""
    groups: list[tuple[set[str], set[str]]] = []
    for a, b in zip(first, second, strict=True):
        joined = [g for g in groups if a in g[0] or b in g[1]]
        merged: tuple[set[str], set[str]] = ({a}, {b})
        for g in joined:
            merged = (merged[0] | g[0], merged[1] | g[1])
            groups.remove(g)
        groups.append(merged)
    return groups


def group_contrast(lines: pl.DataFrame, group: str, donors: dict[str, str] | None = None) -> Row:
    """Two groups of donors (genotypes, say) compared by Student's t on donor means; the donor is n.

    `lines` has line, effect and the column `group` with two levels. Under three donors a group it is refused: no stratum that small.
    """
    named = pl.Series([(donors or {}).get(line, line) for line in lines["line"]])
    by_donor = lines.with_columns(named.alias("donor")).group_by("donor", group, maintain_order=True).agg(pl.col("effect").mean())
    levels = by_donor[group].unique().sort().to_list()
    if len(levels) != 2:
        return {"status": "no_two_groups", "reason": f"{group} has {len(levels)} levels: {', '.join(map(str, levels))}"}
    a, b = (by_donor.filter(pl.col(group) == level)["effect"].to_numpy() for level in levels)
    row: Row = {"contrast": f"{levels[1]} − {levels[0]}", "n_donors": len(a) + len(b)}
    if min(len(a), len(b)) < MIN_STUDIES:
        return row | {
            "status": "too_few_donors",
            "reason": f"{levels[0]} has {len(a)} and {levels[1]} {len(b)} donors; {MIN_STUDIES} of each are needed",
        }
    freedom = len(a) + len(b) - 2
    pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / freedom
    error = float(np.sqrt(pooled * (1 / len(a) + 1 / len(b))))
    mean = float(b.mean() - a.mean())
    return row | {"status": "ok", "reason": "", "effect": mean} | _interval(mean, error, freedom)
