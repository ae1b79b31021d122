"""Sites of a pooled screen: do they differ, beside that donors do, and do they agree on a bridge?

Donors are nested in sites. The spread between sites is that of the sites' means beyond what donors
within sites explain (one-way analysis of variance with the donor as unit), so it is told apart from
the spread between donors: a mean per site alone cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import BridgeStatus, SiteStatus
from phenotypes.screens.across.donors import DISEASE, HEALTHY

Row = dict[str, object]
ALPHA, MIN_BATCHES = 0.05, 2


def sites_table(
    batches: pl.DataFrame,
    doses: Mapping[str, float],
    site_of: Mapping[str, str],
    *,
    donors: Mapping[str, str],
    healthy: frozenset[str],
    unknown: Sequence[str] = (),
) -> pl.DataFrame:
    """Compare sites: one row per compound × phenotype × disease or healthy lines.

    Parameters
    ----------
    batches
        Table of `batch_effects`.
    doses
        Compound ► mol/L at which lines are compared.
    site_of
        Batch ► its site.
    donors, healthy, unknown
        Line ► donor, lines without disease, and lines of unknown health, which are left out.
    """
    treated = batches.filter((pl.col("control") == "none") & pl.col("effect").is_finite())
    cells: dict[tuple[str, str, str], dict[tuple[str, str], list[float]]] = {}
    for name, compound, line, dose, batch, effect in treated.select(
        "phenotype", "compound", "line", "dose_molar", "batch", "effect"
    ).iter_rows():
        if dose == doses.get(compound) and line not in unknown:
            group = HEALTHY if line in healthy else DISEASE
            place = site_of[batch], donors.get(line, line)
            cells.setdefault((compound, name, group), {}).setdefault(place, []).append(effect)
    rows = [
        {"compound": c, "phenotype": n, "group": g} | _compared(of_row)
        for (c, n, g), of_row in sorted(cells.items())
    ]
    return (
        conform(pl.DataFrame(rows, infer_schema_length=None), "site")
        if rows
        else (empty_table("site"))
    )


def _compared(cells: Mapping[tuple[str, str], Sequence[float]]) -> Row:
    by_site: dict[str, list[float]] = {}
    for (site, _), effects in sorted(cells.items()):
        by_site.setdefault(site, []).append(float(np.mean(effects)))
    n = np.array([len(v) for v in by_site.values()])
    row: Row = {
        "n_sites": len(by_site),
        "n_donors": len({donor for _, donor in cells}),
        "site_effects": ", ".join(f"{s} {np.mean(v):.3g}" for s, v in by_site.items()),
    }
    if len(by_site) < 2:
        return row | {"status": SiteStatus.ONE_SITE, "reason": "one site: nothing to compare"}
    within = int(n.sum()) - len(n)
    if within < 1:
        reason = "no site has two donors: sites and donors cannot be told apart"
        return row | {"status": SiteStatus.TOO_FEW_DONORS, "reason": reason}
    means = np.array([np.mean(v) for v in by_site.values()])
    grand = float((n * means).sum() / n.sum())
    between = float((n * (means - grand) ** 2).sum()) / (len(n) - 1)
    donors = (
        float(
            sum(
                ((np.array(v) - m) ** 2).sum() for v, m in zip(by_site.values(), means, strict=True)
            )
        )
        / within
    )
    # The size of a balanced design with the same expected mean square.
    size = (n.sum() - (n**2).sum() / n.sum()) / (len(n) - 1)
    variance = max(0.0, (between - donors) / size)
    total = variance + donors
    return row | {
        "status": SiteStatus.OK,
        "reason": "",
        "site_sd": float(np.sqrt(variance)),
        "donor_sd": float(np.sqrt(donors)),
        "site_share": variance / total if total > 0 else None,
        "site_p": float(stats.f.sf(between / donors, len(n) - 1, within)) if donors > 0 else None,
    }


def bridge_table(
    known: pl.DataFrame, other: pl.DataFrame, lines: Sequence[str], compound: str
) -> pl.DataFrame:
    """Compare the bridge between sites: the same lines and compound in batches of both.

    Parameters
    ----------
    known, other
        Tables of `batch_effects` of the sites that are pooled already, and of the one to join them.
    lines, compound
        An isogenic pair and a reference compound that every site measured.

    Returns
    -------
    Phenotype, line, dose, batches on both sides, difference of the mean effects with its 95 %
    interval (Welch), p after Holm over all rows, and status: agrees, differs, too_few_batches.
    """
    rows: list[Row] = []
    for line in lines:
        ours, theirs = (_of_bridge(t, line, compound) for t in (known, other))
        for name in sorted({key[0] for key in ours} & {key[0] for key in theirs}):
            doses = {d for n, d in ours if n == name} & {d for n, d in theirs if n == name}
            if not doses:
                continue
            dose = max(doses)
            rows.append(
                {"phenotype": name, "line": line, "compound": compound, "dose_molar": dose}
                | _welch(ours[name, dose], theirs[name, dose])
            )
    if not rows:
        return empty_table("bridge")
    table = conform(pl.DataFrame(rows, infer_schema_length=None), "bridge")
    adjusted = _holm(table["p_value"].to_list())
    differs = pl.Series([p is not None and p < ALPHA for p in adjusted])
    return table.with_columns(
        pl.Series("p_value", adjusted, dtype=pl.Float64),
        pl.when(differs).then(pl.lit(BridgeStatus.DIFFERS)).otherwise("status").alias("status"),
    )


def _of_bridge(
    batches: pl.DataFrame, line: str, compound: str
) -> dict[tuple[str, float], list[float]]:
    chosen = batches.filter(
        (pl.col("line") == line)
        & (pl.col("compound") == compound)
        & (pl.col("control") != "vehicle")
        & pl.col("effect").is_finite()
    )
    of_site: dict[tuple[str, float], list[float]] = {}
    for name, dose, effect in chosen.select("phenotype", "dose_molar", "effect").iter_rows():
        of_site.setdefault((name, dose), []).append(effect)
    return of_site


def _welch(known: Sequence[float], other: Sequence[float]) -> Row:
    row: Row = {
        "n_batches": len(known),
        "n_batches_other": len(other),
        "difference": float(np.mean(other) - np.mean(known)),
    }
    if min(len(known), len(other)) < MIN_BATCHES:
        return row | {"status": BridgeStatus.TOO_FEW_BATCHES}
    if np.ptp(known) == 0 and np.ptp(other) == 0:
        return row | {"status": BridgeStatus.TOO_FEW_BATCHES}
    test = stats.ttest_ind(other, known, equal_var=False)
    interval = test.confidence_interval(0.95)
    return row | {
        "status": BridgeStatus.AGREES,
        "difference_low": float(interval.low),
        "difference_high": float(interval.high),
        "p_value": float(test.pvalue),
    }


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p after Holm's correction; None stays None."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = largest
    return adjusted
