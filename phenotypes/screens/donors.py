"""Effects of compounds over donors: the mean, whether donors differ, whether genes explain it.

Strategy. One effect per donor (lines of one person are averaged: they are not two people), with its
sampling variance from batches. Donors are combined by `phenotypes.statistics.meta_analysis`. Genes
are compared, by permuting donors over genes, only where donors are shown to differ and only genes
with three donors or more. Where lines fall into groups that share no batch, a difference between
lines may be one between batches: the mean over donors is still reported (each line was
compared with its own vehicle), but differences between donors are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import AssociationStatus, CompoundStatus, DoseStatus
from phenotypes.screens.lines import MIN_BATCHES
from phenotypes.statistics.meta_analysis import MIN_STUDIES, meta_analysis
from phenotypes.statistics.mixed_model import donor_model
from phenotypes.statistics.multiple_testing import with_q_values
from phenotypes.statistics.permutation import permutation_p
from plate_maps.check import confounded

Row = dict[str, object]
Real = NDArray[np.float64]
ALPHA = 0.05
DISEASE, HEALTHY = "disease lines", "healthy lines"


def across_lines_table(
    at_dose: pl.DataFrame,
    batches: pl.DataFrame,
    doses: Mapping[str, float],
    *,
    donors: Mapping[str, str],
    genes: Mapping[str, str],
    healthy: frozenset[str],
) -> pl.DataFrame:
    """Combine lines: one row per compound × phenotype × group of lines.

    Parameters
    ----------
    at_dose
        Rows of `line_effects` at the dose at which lines are compared.
    batches
        Rows of `batch_effects`.
    doses
        Compound ► that dose.
    donors, genes, healthy
        Line ► donor, line ► gene, and the lines without disease.
    """
    treated = batches.filter(pl.col("control") == "none").select(
        "phenotype", "compound", "line", "dose_molar", "batch", "effect"
    )
    treated_of = {
        (str(k[0]), str(k[1])): part for k, part in treated.group_by("phenotype", "compound")
    }
    rows: list[Row] = []
    for (name, compound), part in at_dose.sort("phenotype", "compound", "line").group_by(
        "phenotype", "compound", maintain_order=True
    ):
        dose = doses[str(compound)]
        dose_batches = treated_of[str(name), str(compound)].filter(pl.col("dose_molar") == dose)
        groups = {
            DISEASE: [n for n in part["line"] if n not in healthy],
            HEALTHY: [n for n in part["line"] if n in healthy],
        }
        for gene in sorted({genes[n] for n in groups[DISEASE] if genes.get(n)}):
            groups[gene] = [n for n in groups[DISEASE] if genes.get(n) == gene]
        for group, lines in groups.items():
            group_effects = part.filter(pl.col("line").is_in(lines))
            if group_effects.is_empty():
                continue
            row: Row = {
                "compound": compound,
                "phenotype": name,
                "group": group,
                "effect_dose_molar": dose,
            }
            group_batches = dose_batches.filter(pl.col("line").is_in(lines))
            usable = group_effects.filter(
                (pl.col("status") == DoseStatus.OK) & pl.col("error").is_not_null()
            )
            used = group_batches.filter(pl.col("line").is_in(usable["line"].implode()))
            row |= _combine(usable, used, donors)
            if group == DISEASE and row["status"] == CompoundStatus.OK:
                row |= _association(usable, used, donors, genes, row.get("heterogeneity_p"))
                if row["stable"] is not None:
                    # The secondary analysis only confirms: it takes fifty times as long as the
                    # primary one.
                    row |= donor_model(
                        used["effect"].to_numpy(), [donors.get(line, line) for line in used["line"]]
                    )
            rows.append(row)
    if not rows:
        return empty_table("compound")
    table = conform(pl.DataFrame(rows, infer_schema_length=None), "compound")
    return with_q_values(table, ["phenotype", "group"]).sort("phenotype", "compound", "group")


def _combine(usable: pl.DataFrame, used: pl.DataFrame, donors: Mapping[str, str]) -> Row:
    """Combine one group: its lines' effects (`usable`), the batches behind them (`used`)."""
    donor_of_line = [donors.get(line, line) for line in usable["line"]]
    k = len(set(donor_of_line))
    row: Row = {"n_lines": len(usable), "n_donors": k, "n_batches": used["batch"].n_unique()}
    if k < MIN_STUDIES:
        return row | {
            "status": CompoundStatus.TOO_FEW_DONORS,
            "reason": (
                f"{k} donors with at least {MIN_BATCHES} batches; a statement across donors needs"
                f" {MIN_STUDIES}"
            ),
        }
    y, v, degrees = donor_estimates(
        usable["effect"].to_numpy(),
        usable["error"].to_numpy(),
        usable["n_batches"].to_numpy(),
        donor_of_line,
    )
    pooled = meta_analysis(y, v)
    row |= {
        "status": CompoundStatus.OK,
        "reason": "",
        "effect": pooled.mean,
        "effect_low": pooled.low,
        "effect_high": pooled.high,
        "p_value": pooled.p_value,
        "method": pooled.method,
    }
    separate_groups = confounded(used.select("line", "batch").unique(), "line", by=["batch"])
    if separate_groups:
        row["reason"] = "nothing is said of differences between lines: " + "; ".join(
            separate_groups
        )
    else:
        # The variance within lines is estimated too: Q over its degrees of freedom follows F, and
        # χ² would call donors different that are alike.
        row |= {
            "predicted_low": pooled.predicted_low,
            "predicted_high": pooled.predicted_high,
            "tau2": pooled.tau2,
            "i2": pooled.i2,
            "heterogeneity_p": float(stats.f.sf(pooled.q / (k - 1), k - 1, degrees)),
        }
    row["stable"] = (
        _stable(usable, used, donors, pooled.tau2, pooled.mean) if pooled.p_value < ALPHA else None
    )
    return row


def donor_estimates(
    effect: Real, error: Real, n_batches: NDArray[np.int64], donors: Sequence[str]
) -> tuple[Real, Real, int]:
    """Average lines to donors.

    Batches of all lines are assumed to have one variance: three batches determine their own only
    within a factor of five.

    Returns
    -------
    Effect and sampling variance of each donor, and the degrees of freedom of the pooled variance.
    """
    lines_of = {d: [i for i, name in enumerate(donors) if name == d] for d in dict.fromkeys(donors)}
    pooled, degrees = pooled_variance(error, n_batches)
    variance = np.maximum(pooled, 1e-12) / n_batches
    return (
        np.array([effect[i].mean() for i in lines_of.values()]),
        np.array([variance[i].sum() / len(i) ** 2 for i in lines_of.values()]),
        degrees,
    )


def pooled_variance(error: Real, n_batches: NDArray[np.int64]) -> tuple[float, int]:
    """Variance between batches of a line, pooled over lines, and its degrees of freedom."""
    degrees = n_batches - 1
    return float((error**2 * n_batches * degrees).sum() / degrees.sum()), int(degrees.sum())


def _stable(
    usable: pl.DataFrame, used: pl.DataFrame, donors: Mapping[str, str], tau2: float, mean: float
) -> bool:
    """Whether sign and significance hold when any one batch is left out.

    The variance between donors is held at `tau2`.
    """
    lines = usable["line"].to_list()
    index = {line: i for i, line in enumerate(lines)}
    line_index = np.array([index[n] for n in used["line"]])
    y, names = used["effect"].to_numpy(), used["batch"].to_numpy()
    variance, _ = pooled_variance(usable["error"].to_numpy(), usable["n_batches"].to_numpy())
    donor = np.unique([donors.get(n, n) for n in lines], return_inverse=True)[1]
    for left_out in np.unique(names):
        keep = names != left_out
        count = np.bincount(line_index[keep], minlength=len(lines))
        there = count > 0
        if len(set(donor[there])) < MIN_STUDIES:
            return False
        line = np.bincount(line_index[keep], y[keep], len(lines))[there] / count[there]
        n = np.bincount(donor[there])
        seen = n > 0
        value = np.bincount(donor[there], line)[seen] / n[seen]
        spread = np.bincount(donor[there], variance / count[there])[seen] / n[seen] ** 2
        w = 1 / (tau2 + np.maximum(spread, 1e-12))
        middle = float(np.average(value, weights=w))
        error = float(np.sqrt((w * (value - middle) ** 2).sum() / (len(value) - 1) / w.sum()))
        p = float(2 * stats.t.sf(abs(middle) / error, len(value) - 1)) if error > 0 else 0.0
        if middle * mean <= 0 or p >= ALPHA:
            return False
    return True


def _association(
    usable: pl.DataFrame,
    used: pl.DataFrame,
    donors: Mapping[str, str],
    genes: Mapping[str, str],
    differ_p: object,
) -> Row:
    """Test whether donors of different genes differ, or say why that cannot be tested."""
    typed = usable.filter(pl.col("line").is_in([n for n in usable["line"] if genes.get(n)]))
    gene_of = {donors.get(n, n): genes[n] for n in typed["line"]}
    lines_of: dict[str, list[float]] = {}
    for line, value in typed.select("line", "effect").rows():
        lines_of.setdefault(donors.get(line, line), []).append(value)
    sizes = {gene: sum(1 for g in gene_of.values() if g == gene) for gene in set(gene_of.values())}
    kept = [d for d in gene_of if sizes[gene_of[d]] >= MIN_STUDIES]
    if len({gene_of[d] for d in kept}) < 2:
        return {"association_status": AssociationStatus.TOO_FEW_DONORS}
    members = used.select(
        "line", "batch", pl.Series("gene", [genes.get(n) for n in used["line"]], dtype=pl.String)
    ).unique()
    if confounded(members, "line", by=["batch"]) or confounded(members, "gene", by=["batch"]):
        return {"association_status": AssociationStatus.CONFOUNDED_WITH_BATCH}
    if not isinstance(differ_p, float) or differ_p >= ALPHA:
        return {"association_status": AssociationStatus.HOMOGENEOUS}
    values = np.array([float(np.mean(lines_of[d])) for d in kept])
    return {
        "association_status": AssociationStatus.OK,
        "association_p": genes_differ_p(values, [gene_of[d] for d in kept]),
    }


def genes_differ_p(values: Real, groups: Sequence[str], *, seed: int = 0) -> float:
    """Permutation p of a difference between groups of donors (sum of squares between groups)."""
    _, group_index = np.unique(groups, return_inverse=True)
    member = np.eye(group_index.max() + 1)[group_index]

    def between(v: Real) -> Real:
        return np.asarray(((v @ member) ** 2 / member.sum(axis=0)).sum(axis=-1))

    return permutation_p(values, between, seed=seed)


def group_contrast(effects: Real, groups: Sequence[str]) -> Row:
    """Compare two groups of donors by Student's t, one effect per donor.

    Refused under three donors per group.
    """
    levels = sorted(set(groups))
    if len(levels) != 2:
        return {"status": "no_two_groups", "reason": f"{len(levels)} groups: {', '.join(levels)}"}
    a, b = (effects[[g == level for g in groups]] for level in levels)
    row: Row = {"contrast": f"{levels[1]} − {levels[0]}", "n_donors": len(a) + len(b)}
    if min(len(a), len(b)) < MIN_STUDIES:
        reason = (
            f"{levels[0]} has {len(a)} and {levels[1]} {len(b)} donors; {MIN_STUDIES} of each are"
            " needed"
        )
        return row | {"status": CompoundStatus.TOO_FEW_DONORS, "reason": reason}
    test = stats.ttest_ind(b, a)
    interval = test.confidence_interval()
    return row | {
        "status": CompoundStatus.OK,
        "reason": "",
        "effect": float(b.mean() - a.mean()),
        "effect_low": float(interval.low),
        "effect_high": float(interval.high),
        "p_value": float(test.pvalue),
    }
