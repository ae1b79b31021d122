"""A screen's settings and the origin of its plates, and remarks on them."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from phenotypes.columns.statuses import WellStatus
from phenotypes.plates.quality.vehicle_places import with_edge
from phenotypes.screens.fit import LineFacts
from plate_maps.check import confounded
from plate_maps.compounds import Compounds, name_remarks
from plate_maps.conditions import split_steps
from plate_maps.genotypes import Health
from plate_maps.health import LineHealth, asked, genotypes_of, healths
from plate_maps.names import look_alikes, shape
from plate_maps.registry import Registry


class ScreenFile(BaseModel):
    """`screen.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    healthy_lines: tuple[str, ...] | None = Field(
        None,
        description="All lines without disease; [] where there is none. If not given, from the"
        " registry, else from genotypes.",
    )
    effect_dose_molar: dict[str, float] = Field(
        {}, description="Compound ► dose in mol/L at which lines are compared."
    )
    effect_floor: dict[str, float] = Field({}, description="Phenotype ► least effect of a hit.")
    robust_curves: bool = Field(False, description="Weigh batch means far from their curve less.")


class PlateFile(BaseModel):
    """The origin of a plate's contribution: `plates/RUN/plate.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    plate_digest: str
    plate_name: str
    lab: str
    plate_map_digest: str
    protocol_digest: str
    software_version: str
    label_version: int
    rows: int
    columns: int
    phenotypes: tuple[str, ...]
    too_coarse: tuple[str, ...]
    # Plates that were added before version 0.3 do not say.
    engine: str = ""
    weights_sha256: str = ""


def facts_of(conditions: pl.DataFrame, registry: Registry, file: ScreenFile) -> LineFacts:
    """Donors, genes, isogenic pairs and healthy lines.

    From the registry, the settings and the genotypes of the plate maps.
    """
    genotype = dict(
        conditions.select("line", "genotype").unique(subset="line", keep="first").rows()
    )
    judged = line_healths(conditions, registry, file)
    named = {n for n, line in judged.items() if line.health is Health.HEALTHY}
    unknown = {n: str(line) for n, line in judged.items() if line.health is Health.UNKNOWN}
    pairs: dict[str, str] = {}
    for parent, edited in sorted(registry.isogenic_pairs()):
        sick = [n for n in (parent, edited) if n not in named]
        if len(sick) == 1 and sick[0] not in unknown:
            # Of several corrected clones the first that was plated; a remark names it.
            partner = edited if sick[0] == parent else parent
            if sick[0] not in pairs or (partner in genotype and pairs[sick[0]] not in genotype):
                pairs[sick[0]] = partner
    genes = {
        n: (registry.lines[n].gene if n in registry.lines else "") or genotype[n] or ""
        for n in genotype
        if n not in named and n not in unknown
    }
    return LineFacts(registry.donors(), genes, pairs, frozenset(named), unknown)


def line_healths(
    conditions: pl.DataFrame, registry: Registry, file: ScreenFile
) -> dict[str, LineHealth]:
    """Who is taken for healthy, and why: lines of the plates and of the registry."""
    pairs = conditions.select("line", "genotype").unique().rows()
    of_registry = [(n, "") for n in registry.lines]
    return healths(genotypes_of([*pairs, *of_registry]), registry.lines, file.healthy_lines)


def place_remarks(wells: pl.DataFrame, plate: PlateFile) -> list[str]:
    """Lines of a plate that have all vehicle wells at the edge, and most treated wells inside.

    An effect of the edge is then in every effect of the line on this plate.
    """
    placed = with_edge(wells, (plate.rows, plate.columns)).filter(
        (pl.col("status") == WellStatus.DONE) & pl.col("at_edge").is_not_null()
    )
    at_edge = pl.col("at_edge").cast(pl.Float64)
    shares = placed.group_by("line").agg(
        at_edge.filter(pl.col("control") == "vehicle").mean().alias("vehicle"),
        at_edge.filter(pl.col("control") == "none").mean().alias("treated"),
    )
    lines = shares.filter((pl.col("vehicle") == 1) & (pl.col("treated") < 0.5))["line"].sort()
    return [
        f"plate {plate.plate_name}: all vehicle wells of line {line} lie at the edge, treated wells"
        " inside: an effect of the edge is in every effect of this line on this plate"
        for line in lines
    ]


def remarks(
    conditions: pl.DataFrame,
    planned: pl.DataFrame,
    registry: Registry,
    plates: list[PlateFile],
    file: ScreenFile,
    facts: LineFacts,
    compounds: Compounds | None = None,
) -> list[str]:
    """Remarks on the screen as a whole: what may bias or weaken its results."""
    findings = name_remarks(planned["compound"].unique(), compounds)
    lines = conditions["line"].unique().sort()
    lab_of = {p.run_id: p.lab for p in plates}
    # (lab, batch as the plate map has it): a batch's own name may hold a "/".
    batches = sorted(
        {
            (lab_of[p], b.removeprefix(f"{lab_of[p]}/") if lab_of[p] else b)
            for p, b in conditions.select("plate", "batch").unique().rows()
        }
    )
    if not registry.lines:
        findings.append(
            "no line registry: every line counts as a donor of its own, and no isogenic pair is"
            " known (a service takes its laboratory's registry, imaging-service registry import; a"
            " folder: screen add --lines lines.tsv)"
        )
    else:
        findings += registry.unknown(lines, [b for _, b in batches] if registry.batches else [])
        corrected = [n for pair in registry.isogenic_pairs() for n in pair if n in facts.isogenic]
        findings += [
            f"line {n} has several isogenic partners; {facts.isogenic[n]} is used"
            for n in dict.fromkeys(corrected)
            if corrected.count(n) > 1
        ]
    if both := sorted(
        {b for lab, b in batches if b and not lab} & {b for lab, b in batches if lab}
    ):
        findings.append(
            f"batch {', '.join(both)} was added both with and without a lab: if it is one"
            " differentiation, it counts as two"
        )
    # A plate map refuses these; names of different plates meet here.
    names_of = {p.run_id: p.plate_name for p in plates}
    for kind in ("line", "batch"):
        spellings = (
            conditions.filter(pl.col(kind) != "").group_by(kind).agg(pl.col("plate").unique())
        )
        findings += [
            f"{sentence}: until then they count as several"
            for sentence in look_alikes(
                kind,
                {n: sorted({names_of[p] for p in held}) for n, held in spellings.sort(kind).rows()},
            )
        ]
    for (compound,), part in planned.group_by("compound", maintain_order=True):
        findings += [
            f"{compound} was given at {step}, which count as separate doses; write one number in"
            " the plate maps"
            for step in split_steps(part["dose_molar"].drop_nulls())
        ]
    if unnamed := [lab for lab, b in batches if not b]:
        labs = " and ".join(f"of lab {lab}" if lab else "without a lab" for lab in unnamed)
        findings.append(
            f"plates {labs} have no differentiation batch: they count as one batch together"
        )
    if len({p.protocol_digest for p in plates}) > 1:
        findings.append(
            f"{len({p.protocol_digest for p in plates})} protocols are pooled; effects are relative"
            " to each plate's own vehicle"
        )
    if len({p.software_version for p in plates}) > 1:
        findings.append(
            f"runs of {', '.join(sorted({p.software_version for p in plates}))} are pooled; analyse"
            " them again with one version"
        )
    for plate in plates:
        if plate.too_coarse:
            findings.append(
                f"plate {plate.plate_name}: pixels too coarse for {', '.join(plate.too_coarse)}"
            )
    findings += confounded(conditions.select("line", "plate", "batch").unique(), "line")
    genotypes = conditions.select("genotype", "plate", "batch").unique()
    findings += confounded(genotypes, "genotype")
    names = set(planned["compound"])
    findings += [
        f"screen.toml: effect_dose_molar names {c}, which no plate has"
        for c in file.effect_dose_molar
        if c not in names
    ]
    findings += [
        f"screen.toml: healthy_lines names {n}, which no plate has"
        for n in file.healthy_lines or ()
        if shape(n) not in set(map(shape, lines))
    ]
    judged = [h for h in line_healths(conditions, registry, file).values() if h.line in set(lines)]
    if question := asked(judged):
        findings.append(f"{question}. Until then no statement over donors is made of them")
    findings += [f"line {h} counts as a {h.health} line" for h in judged if h.contradicted]
    if not facts.healthy and file.healthy_lines is None and not question:
        findings.append("no line is known to be healthy or corrected: all count as disease lines")
    return findings
