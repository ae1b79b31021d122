"""People behind the lines: facts are generalised until k donors share each combination.

k counts distinct donors, never rows, lines or clones: twelve donors with five clones each are
twelve. Facts about a person (genotype, ages, sex, country, site of onset) go up a ladder, all
donors by the same step, and the fewest steps that give k donors in every class are taken. Whether a
donor is healthy is never generalised, since the numbers are about it; it counts in the classes.

A well has the same numbers in every release, so a reader of two releases can join their rows: what
earlier releases said of a donor counts together with what this one says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from imaging_service.errors import ReleaseRefused
from imaging_service.release.gate.continents import continent
from plate_maps.registry import Line

K = 5
# Fact ► what each step leaves of it. The first is what the registry holds.
LADDER: Mapping[str, tuple[str, ...]] = {
    "age_at_onset": ("10 years", "20 years", "removed"),
    "age_at_sampling": ("10 years", "20 years", "removed"),
    "country": ("country", "continent", "removed"),
    "genotype": ("variant", "gene and kind of variant", "gene", "familial or sporadic"),
    # Public registries of lines list these two beside sex, age and variant.
    "reprogramming": ("method", "removed"),
    "sex": ("sex", "removed"),
    "site_of_onset": ("site", "removed"),
    "source_tissue": ("tissue", "removed"),
}
_FACTS = tuple(LADDER)
_MISSENSE = re.compile(r"p\.\(?[A-Z][a-z]{0,2}[0-9]+[A-Z][a-z]{0,2}\)?$")
_TRUNCATING = re.compile(r"(\*|Ter|fs)")
_REPEAT_GENES = frozenset({"C9orf72", "ATXN2", "AR"})


@dataclass(frozen=True)
class Step:
    """One step of one fact up its ladder, and k after it."""

    fact: str
    left: str
    k: int


@dataclass(frozen=True)
class Published:
    """What an earlier release said: fact ► step, and donor ► fact ► generalised value."""

    levels: Mapping[str, int]
    facts: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class People:
    """What a release says of its donors.

    `facts` maps donor ► fact ► generalised value, `levels` fact ► step, `steps` is how k was
    reached. `k` is the fewest donors that one of them may be, by this release alone and together
    with earlier ones.
    """

    facts: Mapping[str, Mapping[str, str]]
    levels: Mapping[str, int]
    k: int
    steps: tuple[Step, ...]


def generalise(
    lines: Sequence[Line],
    healthy: frozenset[str],
    k: int = K,
    before: Sequence[Published] = (),
) -> People:
    """Generalise the donors of lines until each class has k of them, or the ladder ends.

    Parameters
    ----------
    lines
        Lines of the registry that are released.
    healthy
        Names of lines that are healthy or corrected.
    k
        Distinct donors that a class needs.
    before
        Earlier releases that the same readers may have.

    Raises
    ------
    ReleaseRefused
        Where two lines of one donor differ in a fact about the person.

    Examples
    --------
    >>> from plate_maps.registry import Line
    >>> people = generalise([Line("A", "D1", gene="SOD1"), Line("A-2", "D1", gene="SOD1")],
    ...     frozenset())
    >>> people.k
    1
    """
    donors = _donors(lines)
    sick = {donor: _sick(group, healthy) for donor, group in donors.items()}
    persons = {donor: _person(donor, group) for donor, group in donors.items()}
    # Fact ► step ► value of each donor: 1,728 combinations of steps look values up.
    values = {
        fact: [
            [_fact(persons[d], fact, step, sick[d]) for d in donors] for step in range(len(left))
        ]
        for fact, left in LADDER.items()
    }

    alike = [_alike(d, persons[d], sick[d], list(donors), before) for d in donors]

    def smallest(levels: Sequence[int]) -> int:
        of_facts = [values[fact][step] for fact, step in zip(_FACTS, levels, strict=True)]
        classes = list(zip(*of_facts, strict=True))
        alone = min(Counter(classes).values(), default=0)
        if not before:
            return alone
        joined = (
            others + sum(classes[i] == classes[j] for j in here)
            for i, (here, others) in enumerate(alike)
        )
        return min(alone, *joined)

    nodes = sorted(product(*(range(len(LADDER[f])) for f in _FACTS)), key=lambda n: (sum(n), n))
    chosen = next((node for node in nodes if smallest(node) >= k), nodes[-1])
    levels, steps = [0] * len(_FACTS), []
    for i, fact in enumerate(_FACTS):
        while levels[i] < chosen[i]:
            levels[i] += 1
            steps.append(Step(fact, LADDER[fact][levels[i]], smallest(levels)))
    facts = {
        donor: {fact: values[fact][step][i] for fact, step in zip(_FACTS, chosen, strict=True)}
        for i, donor in enumerate(donors)
    }
    return People(facts, dict(zip(_FACTS, chosen, strict=True)), smallest(chosen), tuple(steps))


def _alike(
    donor: str, person: Line, sick: bool, donors: Sequence[str], before: Sequence[Published]
) -> tuple[list[int], int]:
    """Donors who may be a person, by what earlier releases said of them.

    Returns places in `donors`, and the number of those whom only earlier releases have.
    """

    def would_say(release: Published, fact: str) -> str:
        # What was said stays said, also where the registry was corrected since.
        told = release.facts.get(donor, {})
        return told[fact] if fact in told else _fact(person, fact, release.levels[fact], sick)

    def may_be(other: str) -> bool:
        return all(
            told == would_say(release, fact)
            for release in before
            for fact, told in release.facts.get(other, {}).items()
        )

    earlier = {other for release in before for other in release.facts} - set(donors)
    return [i for i, d in enumerate(donors) if may_be(d)], sum(map(may_be, earlier))


def smallest_class(facts: Mapping[str, Mapping[str, str]]) -> int:
    """k: the fewest donors that share one combination of facts; 0 without donors."""
    sizes = Counter(tuple(sorted(of_donor.items())) for of_donor in facts.values())
    return min(sizes.values(), default=0)


def _donors(lines: Sequence[Line]) -> dict[str, list[Line]]:
    donors: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.line):
        donors.setdefault(line.donor, []).append(line)
    return donors


def _sick(lines: Sequence[Line], healthy: frozenset[str]) -> bool:
    """Whether the person is a patient: by the lines that were not edited, where there is one."""
    unedited = [line.line not in healthy for line in lines if not line.isogenic_parent]
    # A corrected line was a patient's, a line that was given a variant was not.
    return any(unedited) if unedited else all(line.line in healthy for line in lines)


def _person(donor: str, lines: Sequence[Line]) -> Line:
    """The line that stands for the person: as the donor is, not as a clone was edited."""
    for fact in ("sex", "age_at_sampling", "age_at_onset", "country", "site_of_onset"):
        values = sorted({getattr(line, fact) for line in lines} - {""})
        if len(values) > 1:
            names = ", ".join(line.line for line in lines)
            raise ReleaseRefused(
                f"lines {names} are of one donor, {donor}, and have {fact} {' and '.join(values)};"
                " correct the line registry"
            )
    person = next((line for line in lines if not line.isogenic_parent), lines[0])
    known = {
        fact: next((getattr(line, fact) for line in lines if getattr(line, fact)), "")
        for fact in ("sex", "age_at_sampling", "age_at_onset", "country", "site_of_onset")
    }
    # Two lines of one donor may be of two tissues: both tell of the donor.
    for fact in ("source_tissue", "reprogramming"):
        known[fact] = ", ".join(sorted({getattr(line, fact) for line in lines} - {""}))
    return Line(
        person.line,
        donor,
        person.genotype,
        gene=person.gene,
        hgvs=person.hgvs,
        zygosity=person.zygosity,
        repeat_class=person.repeat_class,
        sporadic=person.sporadic,
        **known,
    )


def _fact(person: Line, fact: str, level: int, sick: bool) -> str:
    if fact == "genotype":
        return genotype(person, level) if sick else "healthy"
    value = str(getattr(person, fact))
    if level == len(LADDER[fact]) - 1:
        return ""
    if fact == "country":
        return value if level == 0 else continent(value)
    return age(value, 10 * (level + 1)) if fact.startswith("age") else value


def age(text: str, width: int) -> str:
    """The class of `width` years that holds a range of ages; empty where it holds only a part.

    Examples
    --------
    >>> age("52-57", 10), age("55-64", 10), age("55-64", 20), age("90+", 20)
    ('50-59', '', '', '80+')
    """
    if not text:
        return ""
    last_class = 90 // width * width
    low = int(text.rstrip("+").split("-")[0])
    high = 90 if text.endswith("+") else int(text.split("-")[1])
    first = low // width * width
    if first >= last_class:
        return f"{last_class}+"
    return f"{first}-{first + width - 1}" if high < first + width else ""


def genotype(line: Line, level: int) -> str:
    """The genotype of a disease line on a step of its ladder.

    Examples
    --------
    >>> from plate_maps.registry import Line
    >>> line = Line("A", "D1", gene="SOD1", hgvs="p.A5V", zygosity="heterozygous")
    >>> [genotype(line, level) for level in range(4)]
    ['SOD1 p.A5V heterozygous', 'SOD1 missense', 'SOD1', 'familial']
    """
    if not line.gene:
        return "sporadic" if line.sporadic == "yes" else "disease, gene not known"
    if level == 0:
        parts = (line.gene, line.hgvs, line.repeat_class, line.zygosity)
        return " ".join(filter(None, parts))
    if level == 1:
        return f"{line.gene} {_kind(line)}"
    return line.gene if level == 2 else "familial"


def _kind(line: Line) -> str:
    variant = line.hgvs or line.genotype.split(" ")[-1]
    if line.repeat_class or line.gene in _REPEAT_GENES:
        return "repeat expansion"
    if _TRUNCATING.search(variant):
        return "truncating"
    return "missense" if _MISSENSE.search(variant) else "variant"
