"""Check a plate map for missing controls, short dose ladders and confounded factors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plate_maps.compounds import Compounds, name_remarks
from plate_maps.conditions import Control, dose_steps, split_steps
from plate_maps.health import LineHealth, asked, genotypes_of, healths
from plate_maps.layout import vehicles_apart
from plate_maps.plate_map import PlateMap
from plate_maps.registry import Registry

if TYPE_CHECKING:
    import polars as pl

# As many as `measurement.min_vehicle_wells`: under them a line has no responses.
MIN_VEHICLE_WELLS = 4
MIN_DOSES = 4


@dataclass(frozen=True)
class Finding:
    """A remark on a plate map.

    `code` is stable for programs; `message` is for people and names line, compound and wells.

    Examples
    --------
    >>> from plate_maps import Finding
    >>> Finding("warning", "no_positive", "no positive control").code
    'no_positive'
    """

    severity: Literal["error", "warning"]
    code: str
    message: str


def check(
    plate_map: PlateMap, registry: Registry | None = None, compounds: Compounds | None = None
) -> list[Finding]:
    """Findings on controls, dose ladders and lines, errors first.

    An error means that some response cannot be computed (`no_vehicle`); the others still can, so it
    does not refuse the plate: the rows concerned carry the status. `registry` may know which lines
    are healthy; where several lines are on the plate, those of unknown health are asked for.
    `compounds` may know which names are one compound.

    Examples
    --------
    >>> from plate_maps import check, read_plate_map
    >>> sorted({finding.code for finding in check(read_plate_map("plate_map.csv"))})
    ['few_doses', 'few_vehicle_wells']
    """
    findings: list[Finding] = []
    source = plate_map.source or "plate map"
    treated = [
        (w, c) for w, c in plate_map.conditions.items() if c.control is Control.NONE and c.compound
    ]
    if not plate_map.vehicle_wells():
        findings.append(
            Finding(
                "error",
                "no_vehicle",
                f"{source}: no well is marked as vehicle; mark the solvent wells in the control"
                " column",
            )
        )
    else:
        for line in sorted({c.line for _, c in treated}):
            wells = plate_map.vehicle_wells(line)
            if not wells:
                findings.append(
                    Finding(
                        "error",
                        "no_vehicle_for_line",
                        f"{source}: line {line} has treated wells but no vehicle well of its own",
                    )
                )
            elif len(wells) < MIN_VEHICLE_WELLS:
                names = ", ".join(map(str, wells))
                findings.append(
                    Finding(
                        "warning",
                        "few_vehicle_wells",
                        f"{source}: line {line} has only {len(wells)} vehicle well(s): {names};"
                        f" under {MIN_VEHICLE_WELLS} (measurement.min_vehicle_wells) it has no"
                        " responses",
                    )
                )
    for name in plate_map.lines:
        held = [plate_map[w] for w in plate_map.vehicle_wells(name)]
        for what, kinds in (
            ("vehicles", {c.compound for c in held}),
            ("batches", {c.batch for c in held}),
        ):
            if len(kinds) > 1:
                findings.append(
                    Finding(
                        "warning",
                        "mixed_vehicles",
                        f"{source}: the vehicle wells of line {name} hold different {what}"
                        f" ({', '.join(sorted(kinds))}) and are averaged as one",
                    )
                )
    doses: dict[tuple[str, str], set[float]] = defaultdict(set)
    for _, c in treated:
        if c.dose_molar is not None:
            doses[c.line, c.compound].add(c.dose_molar)
    for (line, compound), ladder in sorted(doses.items()):
        n_doses = len(dose_steps(ladder))
        if n_doses < MIN_DOSES:
            findings.append(
                Finding(
                    "warning",
                    "few_doses",
                    f"{source}: {compound} on line {line} has {n_doses} dose(s); a curve needs"
                    f" {MIN_DOSES}",
                )
            )
        findings += [
            Finding(
                "warning",
                "doses_split",
                f"{source}: {compound} on line {line} has {step}, which count as separate doses;"
                " write one number",
            )
            for step in split_steps(ladder)
        ]
    if treated and not any(c.control is Control.POSITIVE for c in plate_map.conditions.values()):
        findings.append(
            Finding(
                "warning",
                "no_positive",
                f"{source}: no positive control, so Z′ and SSMD cannot be computed",
            )
        )
    findings += [
        Finding(
            "warning",
            "vehicles_apart",
            f"{source}: all vehicle wells of line {line} lie at the edge of the plate or in one row"
            " or column, the treated ones do not: an effect of the place looks like one of every"
            " compound; lay them among the treated wells (plate-map new)",
        )
        for line in vehicles_apart(
            list(plate_map.conditions.values()), list(plate_map.conditions), plate_map.format
        )
    ]
    findings += [
        Finding("warning", "compound_names", f"{source}: {sentence}")
        for sentence in (
            *name_remarks(plate_map.compounds, compounds),
            *_synonyms(plate_map, compounds),
        )
    ]
    judged = line_healths(plate_map, registry).values()
    question = asked(judged)
    if question and len(plate_map.lines) > 1:
        findings.append(Finding("warning", "health_unknown", f"{source}: {question}"))
    findings += [
        Finding("warning", "health_contradicted", f"{source}: line {h} counts as a {h.health} line")
        for h in judged
        if h.contradicted
    ]
    return sorted(findings, key=lambda f: f.severity)


def _synonyms(plate_map: PlateMap, compounds: Compounds | None) -> list[str]:
    """Sentences on names of one plate that the registry has as one compound."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in plate_map.compounds if compounds else ():
        names[compounds.shown(name) if compounds else name].append(name)
    return [
        f"{' and '.join(map(repr, group))} are one compound, {shown}, and a plate's responses are"
        " fitted by the names of its map; write one name"
        for shown, group in names.items()
        if len(group) > 1
    ]


def line_healths(plate_map: PlateMap, registry: Registry | None = None) -> dict[str, LineHealth]:
    """Who is taken for healthy on a plate, and why."""
    pairs = [(c.line, c.genotype) for c in plate_map.conditions.values()]
    return healths(genotypes_of(pairs), registry.lines if registry else None)


def confounded(
    wells: pl.DataFrame, factor: str, *, by: Sequence[str] = ("plate", "batch")
) -> list[str]:
    """One sentence per column of `by` that is confounded with the factor (line, genotype).

    Two factors are confounded where their levels fall into groups that share no level: then a
    difference between groups may come from either (the two-way design lacks full rank).
    """
    sentences = []
    for other in by:
        pairs = wells.select(factor, other).drop_nulls().unique().sort(factor, other)
        groups = _connected(pairs[factor].to_list(), pairs[other].to_list())
        if pairs[other].n_unique() > 1 and pairs[factor].n_unique() > 1 and len(groups) > 1:
            parts = "; ".join(
                f"{', '.join(sorted(a))} only on {other} {', '.join(sorted(b))}"
                for a, b in groups[:4]
            )
            sentences.append(
                f"confounded_with_{other}: {factor} and {other} share no common level ({parts})"
            )
    return sentences


def _connected(first: Sequence[str], second: Sequence[str]) -> list[tuple[set[str], set[str]]]:
    """Connected groups of a bipartite graph.

    Their number is the rank deficiency of the two-way design plus one.
    """
    groups: list[tuple[set[str], set[str]]] = []
    for a, b in zip(first, second, strict=True):
        joined = [g for g in groups if a in g[0] or b in g[1]]
        merged: tuple[set[str], set[str]] = ({a}, {b})
        for g in joined:
            merged = (merged[0] | g[0], merged[1] | g[1])
            groups.remove(g)
        groups.append(merged)
    return groups
