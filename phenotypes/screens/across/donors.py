"""Effects of compounds over donors: the mean, whether donors differ, whether genes explain it.

Strategy. Lines of one person are averaged in each batch: they are not two people. Where donors
share batches, a batch's deviation moves all of them: they are combined as donors crossed with
batches (`phenotypes.statistics.crossed`), beside a test that borrows the variance of batches over
compounds. Where every donor has batches of its own, their means are combined by
`phenotypes.statistics.meta_analysis`. Genes are compared, by permuting donors over genes, only
where donors are shown to differ and only genes with three donors or more. Where lines fall into
groups that share no batch, a difference between lines may be one between batches: the mean over
donors is still reported (each line was compared with its own vehicle), but differences between
donors are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import (
    CompoundStatus,
    DonorModerationStatus,
    DoseStatus,
)
from phenotypes.screens.across.genes import association, lines_apart
from phenotypes.screens.lines import MIN_BATCHES
from phenotypes.statistics.crossed import (
    CrossedMean,
    Design,
    MeanSquares,
    SharedVariance,
    crossed_design,
    crossed_mean,
    mean_squares,
    shared_variance,
)
from phenotypes.statistics.meta_analysis import MIN_STUDIES, meta_analysis
from phenotypes.statistics.mixed_model import donor_model
from phenotypes.statistics.multiple_testing import with_q_values
from plate_maps.health import ASK

Row = dict[str, object]
Real = NDArray[np.float64]
ALPHA = 0.05
DISEASE, HEALTHY, UNKNOWN = "disease lines", "healthy lines", "lines of unknown health"
CROSSED = "crossed"


@dataclass(frozen=True)
class _Group:
    """Lines of one group under one compound: the effect of each donor in each batch.

    `cells` are (line, batch) of the effects behind it. `design` is None under three donors.
    """

    cells: tuple[tuple[str, str], ...]
    donor: tuple[str, ...]
    batch: tuple[str, ...]
    effect: Real
    design: Design | None

    @property
    def squares(self) -> MeanSquares | None:
        return None if self.design is None else mean_squares(self.effect, self.design)

    def donor_effects(self) -> list[float]:
        """Effect of each donor, freed of the batches that it was seen in."""
        return [] if self.design is None else list(self.design.effects @ self.effect)

    def without(self, batch: str) -> _Group:
        """The group without one batch."""
        keep = np.array([b != batch for b in self.batch])
        donor = tuple(d for d, k in zip(self.donor, keep, strict=True) if k)
        names = tuple(b for b in self.batch if b != batch)
        return _Group(self.cells, donor, names, self.effect[keep], _design_of(donor, names))


def across_lines_table(
    at_dose: pl.DataFrame,
    batches: pl.DataFrame,
    doses: Mapping[str, float],
    *,
    donors: Mapping[str, str],
    genes: Mapping[str, str],
    healthy: frozenset[str],
    unknown: Mapping[str, str] | None = None,
    placed: Set[tuple[str, str, str]] = frozenset(),
    edge: Set[tuple[str, str, str]] = frozenset(),
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
    unknown
        Line ► what is known of it, for lines that may be healthy or not: no statement is made over
        them, and they are in no other group.
    placed
        (phenotype, line, compound) whose effect may be that of the vehicle's place. Where most
        lines of a group are among them, no number is given.
    edge
        (phenotype, line, compound) whose dose lies at the edge of the plate, without an effect at
        another. Where most lines of a group are among them, no effect of it is claimed.
    """
    unknown = unknown or {}
    # A screen has thousands of groups of a few dozen numbers: tables would cost more time than the
    # statistics.
    cells: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    treated = batches.filter(pl.col("control") == "none").join(
        pl.DataFrame(
            {"compound": list(doses), "dose_molar": list(doses.values())},
            schema={"compound": pl.String, "dose_molar": pl.Float64},
        ),
        on=["compound", "dose_molar"],
        how="semi",
    )
    for name, compound, line, batch, effect in (
        treated.sort("batch").select("phenotype", "compound", "line", "batch", "effect").iter_rows()
    ):
        cells.setdefault((name, compound, line), []).append((batch, effect))
    rows: list[Row] = []
    members: list[_Group] = []
    asked: list[Row] = []
    at_edge: dict[int, Row] = {}
    for (name, compound), part in at_dose.sort("phenotype", "compound", "line").group_by(
        "phenotype", "compound", maintain_order=True
    ):
        present = part["line"].to_list()
        tested = dict(
            zip(
                present,
                part["status"].is_in([DoseStatus.OK, DoseStatus.NO_VARIATION]),
                strict=True,
            )
        )
        groups = {
            DISEASE: [n for n in present if n not in healthy and n not in unknown],
            HEALTHY: [n for n in present if n in healthy],
            UNKNOWN: [n for n in present if n in unknown],
        }
        for gene in sorted({genes[n] for n in groups[DISEASE] if genes.get(n)}):
            groups[gene] = [n for n in groups[DISEASE] if genes.get(n) == gene]
        for group, lines in groups.items():
            if not lines:
                continue
            row: Row = {
                "compound": compound,
                "phenotype": name,
                "group": group,
                "effect_dose_molar": doses[str(compound)],
            }
            if group == UNKNOWN:
                asked.append(row | _unknown_health(lines, unknown, donors))
                continue
            held = [n for n in lines if (name, n, compound) in placed]
            on_edge = [n for n in lines if (name, n, compound) in edge]
            words = _EDGE if set(held) <= set(on_edge) else _VEHICLES
            if 2 * len(held) > len(lines):
                asked.append(row | _place_unknown(lines, held, donors, words))
                continue
            if 2 * len(on_edge) > len(lines):
                at_edge[len(rows)] = row | _place_unknown(lines, on_edge, donors, _EDGE)
            of_line = {n: cells[str(name), str(compound), n] for n in lines if tested[n]}
            rows.append(row)
            members.append(_group(of_line, donors))
    if not rows and not asked:
        return empty_table("compound")
    shared = _shared_variances(rows, members)
    for row, member in zip(rows, members, strict=True):
        row |= _combine(member, shared.get((row["phenotype"], row["group"])))
        if row["group"] == DISEASE and row["status"] == CompoundStatus.OK:
            row |= association(
                member.cells,
                dict(zip(dict.fromkeys(member.donor), member.donor_effects(), strict=True)),
                donors,
                genes,
                row.get("heterogeneity_p"),
            )
            if row["stable"] is not None:
                # The secondary analysis only confirms: it takes fifty times as long as the
                # primary one.
                row |= donor_model(member.effect, member.donor, member.batch)
    rows = [at_edge[i] if i in at_edge and _claimed(row) else row for i, row in enumerate(rows)]
    table = conform(pl.DataFrame([*rows, *asked], infer_schema_length=None), "compound")
    family = ["phenotype", "group"]
    table = with_q_values(with_q_values(table, family), family, of="moderated_")
    return table.sort("phenotype", "compound", "group")


def _unknown_health(
    lines: Sequence[str], unknown: Mapping[str, str], donors: Mapping[str, str]
) -> Row:
    """Columns of lines that belong to the disease lines or to the healthy ones."""
    return {
        "status": CompoundStatus.HEALTH_UNKNOWN,
        "reason": f"whether {', '.join(unknown[n] for n in lines)} is healthy is not known; {ASK}",
        "n_lines": len(lines),
        "n_donors": len({donors.get(n, n) for n in lines}),
    }


# What could have made the effect of a group, and what to do.
_VEHICLES = (
    "the place of the vehicle wells",
    "lay vehicle among the treated wells (plate-map new)",
)
_EDGE = (
    "the edge of the plates, where all wells of the dose lie,",
    "lay doses at random, or leave the edge empty (plate-map new)",
)


def _place_unknown(
    lines: Sequence[str], held: Sequence[str], donors: Mapping[str, str], words: tuple[str, str]
) -> Row:
    """Columns of lines of which a place could have made the effect."""
    place, remedy = words
    return {
        "status": CompoundStatus.CONFOUNDED_WITH_POSITION,
        "reason": f"in {len(held)} of {len(lines)} lines {place} could have made the effect;"
        f" {remedy}",
        "n_lines": len(lines),
        "n_donors": len({donors.get(n, n) for n in lines}),
    }


def _claimed(row: Row) -> bool:
    """Whether either test of the mean over donors shows an effect."""
    p = [row.get("p_value"), row.get("moderated_p_value")]
    return any(isinstance(v, float) and v < ALPHA for v in p)


def _group(of_line: Mapping[str, Sequence[tuple[str, float]]], donors: Mapping[str, str]) -> _Group:
    """Average lines to donors within each batch. `of_line`: line ► its batches' effects."""
    values: dict[tuple[str, str], list[float]] = {}
    for line, by_batch in of_line.items():
        for batch, effect in by_batch:
            values.setdefault((donors.get(line, line), batch), []).append(effect)
    places = sorted(values)
    donor_of, batch_of = tuple(d for d, _ in places), tuple(b for _, b in places)
    cells = tuple((line, b) for line, by_batch in of_line.items() for b, _ in by_batch)
    effects = np.array([float(np.mean(values[place])) for place in places])
    return _Group(cells, donor_of, batch_of, effects, _design_of(donor_of, batch_of))


def _design_of(donor: Sequence[str], batch: Sequence[str]) -> Design | None:
    return crossed_design(donor, batch) if len(set(donor)) >= MIN_STUDIES else None


def _shared_variances(
    rows: Sequence[Row], members: Sequence[_Group]
) -> dict[tuple[object, object], SharedVariance]:
    """(phenotype, group) ► what its compounds have in common."""
    families: dict[tuple[object, object], list[_Group]] = {}
    for row, group in zip(rows, members, strict=True):
        families.setdefault((row["phenotype"], row["group"]), []).append(group)
    shared = {}
    for key, groups in families.items():
        pairs = [(g.squares, g.design) for g in groups]
        known = [(s, d) for s, d in pairs if s is not None and d is not None]
        common = shared_variance([s for s, _ in known], [d for _, d in known])
        if common is not None:
            shared[key] = common
    return shared


def _combine(group: _Group, shared: SharedVariance | None) -> Row:
    """Combine one group."""
    k = len(set(group.donor))
    row: Row = {
        "n_lines": len({line for line, _ in group.cells}),
        "n_donors": k,
        "n_batches": len(set(group.batch)),
        "moderation_status": DonorModerationStatus.NOT_TESTED,
    }
    if group.design is None:
        return row | {
            "status": CompoundStatus.TOO_FEW_DONORS,
            "reason": (
                f"{k} donors with at least {MIN_BATCHES} batches; a statement across donors needs"
                f" {MIN_STUDIES}"
            ),
        }
    crossed = crossed_mean(group.effect, group.design)
    if crossed is None:
        return row | {
            "status": CompoundStatus.NO_VARIATION,
            "effect": float(group.effect.mean()),
            "reason": (
                "all donors gave the very same value in all batches: without scatter there is no"
                " interval and no test"
            ),
        }
    row |= {"status": CompoundStatus.OK, "reason": ""}
    if group.design.shared:
        row |= _crossed_columns(crossed) | {"method": CROSSED, "limited_by": crossed.limited_by}
        row |= _moderated_columns(group, shared)
    else:
        row |= _separate_columns(group) | {"limited_by": crossed.limited_by}
        row["moderation_status"] = DonorModerationStatus.BATCHES_NOT_SHARED
    separate_groups = lines_apart(group.cells)
    if separate_groups:
        row["reason"] = "differences between lines are not judged: " + "; ".join(separate_groups)
        for name in ("predicted_low", "predicted_high", "tau2", "i2", "heterogeneity_p"):
            row[name] = None
    row["stable"] = _stable(group, shared)
    return row


def _crossed_columns(crossed: CrossedMean) -> Row:
    return {
        "effect": crossed.mean,
        "effect_low": crossed.low,
        "effect_high": crossed.high,
        "p_value": crossed.p_value,
        "freedom": crossed.freedom,
        "predicted_low": crossed.predicted_low,
        "predicted_high": crossed.predicted_high,
        "tau2": crossed.tau2,
        "i2": crossed.i2,
        "heterogeneity_p": crossed.heterogeneity_p,
    }


def _moderated(group: _Group, shared: SharedVariance | None) -> CrossedMean | None:
    """The mean with the variances of batches and of the rest borrowed over compounds."""
    if shared is None or group.design is None or group.squares is None:
        return None
    return crossed_mean(group.effect, group.design, shared.moderated(group.squares, group.design))


def _moderated_columns(group: _Group, shared: SharedVariance | None) -> Row:
    crossed = _moderated(group, shared)
    if crossed is None:
        return {"moderation_status": DonorModerationStatus.TOO_FEW_ROWS}
    return {
        "moderation_status": DonorModerationStatus.OK,
        "moderated_low": crossed.low,
        "moderated_high": crossed.high,
        "moderated_p_value": crossed.p_value,
    }


def _separate_columns(group: _Group) -> Row:
    """Mean over donors that each have batches of their own."""
    names = dict.fromkeys(group.donor)
    values = [group.effect[[d == name for d in group.donor]] for name in names]
    n = np.array([len(v) for v in values])
    # Three batches determine a donor's own variance only within a factor of five: it is pooled.
    degrees = n - 1
    within = sum(float(((v - v.mean()) ** 2).sum()) for v in values) / max(degrees.sum(), 1)
    pooled = meta_analysis([v.mean() for v in values], np.maximum(within, 1e-12) / n)
    k = len(values)
    return {
        "effect": pooled.mean,
        "effect_low": pooled.low,
        "effect_high": pooled.high,
        "p_value": pooled.p_value,
        "freedom": float(k - 1),
        "method": pooled.method,
        "predicted_low": pooled.predicted_low,
        "predicted_high": pooled.predicted_high,
        "tau2": pooled.tau2,
        "i2": pooled.i2,
        # The variance within donors is estimated too: Q over its degrees of freedom follows F, and
        # χ² would call donors different that are alike.
        "heterogeneity_p": float(stats.f.sf(pooled.q / (k - 1), k - 1, degrees.sum())),
    }


def _stable(group: _Group, shared: SharedVariance | None) -> bool | None:
    """Whether sign and significance hold when any one batch is left out.

    None where the effect is not significant.
    """
    whole = _tested(group, shared)
    if whole is None or whole[1] >= ALPHA:
        return None
    for batch in dict.fromkeys(group.batch):
        rest = _tested(group.without(batch), shared)
        if rest is None or rest[0] * whole[0] <= 0 or rest[1] >= ALPHA:
            return False
    return True


def _tested(group: _Group, shared: SharedVariance | None) -> tuple[float, float] | None:
    """Mean and p of the group, moderated where that can be; None where there is no test."""
    if group.design is None:
        return None
    if not group.design.shared:
        row = _separate_columns(group)
        return float(str(row["effect"])), float(str(row["p_value"]))
    crossed = _moderated(group, shared) or crossed_mean(group.effect, group.design)
    return None if crossed is None else (crossed.mean, crossed.p_value)
