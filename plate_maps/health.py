"""Who is taken for healthy, and why: named lines first, then the registry, then the genotype.

A line whose health none of them tells is asked for by name. It is no reference for others, and it
enters neither the disease lines nor the healthy ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from plate_maps.genotypes import Health, health_of, is_gene
from plate_maps.names import shape
from plate_maps.registry import Line

ASK = (
    "name all healthy and corrected lines in healthy_lines, or give the zygosity in the line"
    " registry, or write the genotype as in 'healthy', 'SOD1 p.A5V' or 'SOD1 corrected'"
)


@dataclass(frozen=True)
class LineHealth:
    """Whether a line is healthy or corrected, and where that stands.

    `contradicted` says what a source of lower rank says otherwise; it is empty where all agree.
    """

    line: str
    health: Health
    why: str
    contradicted: str = ""

    def __str__(self) -> str:
        other = f", although of {self.contradicted}" if self.contradicted else ""
        return f"{self.line} ({self.why}{other})"


def asked(healths: Iterable[LineHealth]) -> str:
    """The question about lines of unknown health, in one sentence; empty without any."""
    unknown = [str(line) for line in healths if line.health is Health.UNKNOWN]
    return f"whether {', '.join(unknown)} is healthy is not known; {ASK}" if unknown else ""


def healths(
    genotypes: Mapping[str, Collection[str]],
    registry: Mapping[str, Line] | None = None,
    healthy_lines: Sequence[str] | None = None,
) -> dict[str, LineHealth]:
    """The health of every line, in alphabetical order.

    Parameters
    ----------
    genotypes
        Line ► its genotypes in the plate maps.
    registry
        The registry's lines by name.
    healthy_lines
        All healthy and corrected lines, as the protocol or screen names them: then every other line
        is a disease line. Empty: there is none. None: they are not named.

    Examples
    --------
    >>> from plate_maps.health import healths
    >>> judged = healths({"HC-01": ["WT"], "P-02": ["healthy carrier"]})
    >>> [(line.line, line.health.value, line.why) for line in judged.values()]
    [('HC-01', 'healthy', "genotype 'WT'"), ('P-02', 'unknown', "genotype 'healthy carrier'")]
    """
    registry = registry or {}
    names = {*genotypes, *registry}
    return {
        line: _health(line, sorted(genotypes[line]), names, registry, healthy_lines)
        for line in sorted(genotypes)
    }


def _health(
    line: str,
    genotypes: Sequence[str],
    lines: Collection[str],
    registry: Mapping[str, Line],
    healthy_lines: Sequence[str] | None,
) -> LineHealth:
    record = registry.get(line)
    texts = list(dict.fromkeys(t for t in (*genotypes, record.genotype if record else "") if t))
    by_words = {text: health_of(text, lines) for text in texts}
    written = ", ".join(f"genotype {text!r}" for text in texts) or "no genotype"
    if healthy_lines is not None:
        # "hc-01" is HC-01: with a slip of the pen it would count as a disease line.
        named = {shape(name) for name in healthy_lines}
        health = Health.HEALTHY if shape(line) in named else Health.DISEASE
        why = f"{'named' if health is Health.HEALTHY else 'not named'} in healthy_lines"
        return LineHealth(line, health, why, _contradiction(health, by_words))
    if record is not None:
        recorded, why = _of_record(record, lines)
        if recorded is not Health.UNKNOWN:
            return LineHealth(line, recorded, why, _contradiction(recorded, by_words))
        if why:
            return LineHealth(line, Health.UNKNOWN, why)
    # All genotypes must be known and agree: two plates that differ are asked about.
    told = set(by_words.values())
    return LineHealth(line, told.pop() if len(told) == 1 else Health.UNKNOWN, written)


def genotypes_of(pairs: Iterable[tuple[str, str | None]]) -> dict[str, set[str]]:
    """Line ► its genotypes, from (line, genotype) pairs; plates may differ, or name none."""
    genotypes: dict[str, set[str]] = {}
    for line, genotype in pairs:
        genotypes.setdefault(line, set()).update({genotype} if genotype else ())
    return genotypes


def _contradiction(health: Health, by_words: Mapping[str, Health]) -> str:
    other = [t for t, h in by_words.items() if h not in {health, Health.UNKNOWN}]
    return ", ".join(f"genotype {text!r}" for text in other)


def _of_record(record: Line, lines: Collection[str]) -> tuple[Health, str]:
    """What the registry's facts say of a line, and the facts; an empty reason without any.

    A corrected line may keep the donor's disease in its record, so the disease and the gene count
    for lines that were not edited only. A donor with the disease and without a variant has it too.
    """
    edited = bool(record.isogenic_parent)
    facts: list[tuple[Health, str]] = []
    if record.zygosity == "wild type":
        facts.append((Health.HEALTHY, "zygosity wild type"))
    elif record.zygosity:
        facts.append((Health.DISEASE, f"zygosity {record.zygosity}"))
    if edited and health_of(record.edit) is not Health.UNKNOWN:
        facts.append((health_of(record.edit), f"edit {record.edit!r}"))
    if not edited and (record.disease or record.sporadic == "yes"):
        # No variant was found in a patient: the line is a disease line all the same.
        facts = [f for f in facts if f[0] is Health.DISEASE]
        facts.append(
            (Health.DISEASE, f"disease {record.disease}" if record.disease else "sporadic")
        )
    elif not edited and not facts and (record.hgvs or is_gene(record.gene)):
        facts.append((Health.DISEASE, f"variant {record.hgvs}" if record.hgvs else record.gene))
    if not facts:
        return Health.UNKNOWN, ""
    words = health_of(record.genotype, lines)
    if words is not Health.UNKNOWN:
        facts.append((words, f"genotype {record.genotype!r}"))
    shown = ", ".join(fact for _, fact in facts)
    kinds = {health for health, _ in facts}
    if len(kinds) > 1:
        return Health.UNKNOWN, f"the registry contradicts itself: {shown}"
    return kinds.pop(), f"registry: {shown}"
