"""The line registry: who the cells come from, as tables that a consortium can share.

One row per line, one row per differentiation batch, as TSV. Donors are named by a code only. Ages
are ranges, dates are years: what could lead to a person has no column here, and an unknown column
is refused.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from plate_maps.compound_names import name_key
from plate_maps.names import cell_error, damaged_name, look_alikes, shape
from plate_maps.wells import is_whole_number

_AGE = re.compile(r"^([0-9]{1,2})-([0-9]{1,2})$|^[89]0\+$")
# Ranges of 5 to 10 years, and those of 20 that a release makes of them.
_SPANS = (4, 5, 6, 7, 8, 9, 19)
_YEAR = re.compile(r"^(19|20)[0-9]{2}$")
_RRID = re.compile(r"^(RRID:)?CVCL_[A-Z0-9]{4}$")
_MONDO = re.compile(r"^MONDO:[0-9]{7}$")
# Institution and number are the donor's; "-A", "-A-1" are lines and subclones.
_HPSCREG = re.compile(r"^(?P<donor>[A-Z][A-Za-z0-9]*[ie][0-9]{3})-[A-Z](-[0-9]+)?$")
_DOI = re.compile(r"^10\.[0-9]{4,9}/\S+$")
SEXES = ("female", "male", "unknown")
SCOPES = ("open", "controlled", "none")
_COUNTRY = re.compile(r"^[A-Z]{2}$")
ZYGOSITIES = ("heterozygous", "homozygous", "hemizygous", "wild type")


@dataclass(frozen=True)
class Line:
    """A cell line.

    `line` is the name that plate maps use; `donor` is the lab's code of the person, never a name.
    `disease` is a MONDO id, `hpscreg` and `rrid` the public registries' names, `hgvs` the variant.
    `age_at_sampling` and `age_at_onset` are ranges such as 50-59, or 90+. `isogenic_parent` is the
    line it was edited from, `edit` what was done to it. `consent` holds DUO codes, `consent_scope`
    how far data may travel (open, controlled or none), `withdrawn` is yes once the donor has
    withdrawn. `country` is an ISO 3166 code of two letters, the finest place that is kept.
    """

    line: str
    donor: str
    genotype: str = ""
    gene: str = ""
    hgvs: str = ""
    zygosity: str = ""
    repeat_class: str = ""
    sporadic: str = ""
    disease: str = ""
    sex: str = ""
    age_at_sampling: str = ""
    age_at_onset: str = ""
    site_of_onset: str = ""
    source_tissue: str = ""
    reprogramming: str = ""
    clone: str = ""
    passage: str = ""
    karyotype: str = ""
    karyotype_year: str = ""
    str_profile: str = ""
    mycoplasma: str = ""
    isogenic_parent: str = ""
    edit: str = ""
    hpscreg: str = ""
    rrid: str = ""
    bank: str = ""
    consent: str = ""
    consent_scope: str = ""
    withdrawn: str = ""
    country: str = ""


@dataclass(frozen=True)
class Batch:
    """A differentiation batch.

    `operator` is a code; days are counted from the start of the differentiation.
    """

    batch: str
    protocol_doi: str = ""
    protocol_version: str = ""
    plating_day: str = ""
    imaging_day: str = ""
    cryo_lot: str = ""
    coating: str = ""
    media_lots: str = ""
    operator: str = ""
    purity: str = ""


class RegistryError(ValueError):
    """A registry that cannot be used.

    `problems` holds one sentence per fault with file, row and line.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"registry {source} cannot be used:\n  - " + "\n  - ".join(problems[:20]))


Record = TypeVar("Record", Line, Batch)


@dataclass(frozen=True)
class Registry:
    """Lines and batches by name."""

    lines: Mapping[str, Line]
    batches: Mapping[str, Batch]

    def donors(self) -> dict[str, str]:
        """Line ► donor: lines of one donor count as one person in statements across lines."""
        return {name: line.donor for name, line in self.lines.items()}

    def isogenic_pairs(self) -> list[tuple[str, str]]:
        """(parent, edited line) pairs, in the edited lines' order."""
        return [
            (line.isogenic_parent, name)
            for name, line in self.lines.items()
            if line.isogenic_parent
        ]

    def unknown(self, lines: Iterable[str], batches: Iterable[str] = ()) -> list[str]:
        """Sentences on lines and batches of plate maps that the registry does not know."""
        return [
            f"line {n} is not in the registry" for n in sorted(set(lines) - set(self.lines))
        ] + [
            f"batch {n} is not in the registry"
            for n in sorted({b for b in batches if b} - set(self.batches))
        ]


def public_donor(line: Line) -> str:
    """What hPSCreg's names of all lines of one donor share; empty without such a name.

    Examples
    --------
    >>> public_donor(Line("S1", "D1", hpscreg="UKXi001-B-2")), public_donor(Line("S2", "D2"))
    ('UKXi001', '')
    """
    match = _HPSCREG.match(line.hpscreg)
    return match.group("donor") if match else ""


def read_lines(
    text: str, source: str = "lines.tsv", known: Mapping[str, Line] | None = None
) -> dict[str, Line]:
    """Read lines from TSV text.

    Isogenic parents may also be among those `known`. Raises RegistryError with every fault.
    """
    rows, problems = _read(text, source, Line, "line")
    for place, line in rows:
        problems += [f"{place}, line {line.line}: {fault}" for fault in _faults(line)]
    given = {line.line: line for _, line in rows}
    every = {**(known or {}), **given}
    # Two spellings of one donor would count as two people.
    places = {line.line: place.removeprefix(f"{source}, ") for place, line in rows}
    for column, shared in (("line", shape), ("donor", name_key)):
        spellings: dict[str, list[str]] = {}
        for name, line in every.items():
            spellings.setdefault(getattr(line, column), []).append(places.get(name, "the registry"))
        problems += [f"{source}: {sentence}" for sentence in look_alikes(column, spellings, shared)]
    problems += [f"{source}: {sentence}" for sentence in _one_person_twice(every)]
    for place, line in rows:
        parent = every.get(line.isogenic_parent)
        if line.isogenic_parent and parent is None:
            problems.append(
                f"{place}, line {line.line}: isogenic parent {line.isogenic_parent} is not in the"
                " registry"
            )
        elif parent is not None and parent.donor != line.donor:
            problems.append(
                f"{place}, line {line.line}: isogenic parent {parent.line} has donor"
                f" {parent.donor}, but the line has {line.donor}; isogenic lines share a donor"
            )
        elif parent is line:
            problems.append(
                f"{place}, line {line.line}: it is its own isogenic parent; name another line"
            )
    if problems:
        raise RegistryError(source, problems)
    return given


def read_batches(text: str, source: str = "batches.tsv") -> dict[str, Batch]:
    """Read batches from TSV text. Raises RegistryError with every fault."""
    rows, problems = _read(text, source, Batch, "batch")
    spellings = {batch.batch: [place.removeprefix(f"{source}, ")] for place, batch in rows}
    problems += [f"{source}: {sentence}" for sentence in look_alikes("batch", spellings)]
    for place, batch in rows:
        if batch.protocol_doi and not _DOI.match(batch.protocol_doi):
            problems.append(
                f"{place}, batch {batch.batch}: {batch.protocol_doi!r} is not a DOI such as"
                " 10.17504/protocols.io.abcd"
            )
        if batch.purity and not _share(batch.purity):
            problems.append(
                f"{place}, batch {batch.batch}: purity {batch.purity!r} is not a number from 0 to 1"
            )
    if problems:
        raise RegistryError(source, problems)
    return {batch.batch: batch for _, batch in rows}


def write(records: Iterable[Record], kind: type[Record]) -> str:
    """TSV text of lines or batches, which `read_lines` and `read_batches` read back."""
    out = io.StringIO()
    names = [f.name for f in fields(kind)]
    writer = csv.DictWriter(out, names, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    for record in records:
        # A cell that begins like a formula would be run by a spreadsheet.
        writer.writerow({n: _neutral(getattr(record, n)) for n in names})
    return out.getvalue()


def _neutral(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _read(
    text: str, source: str, kind: type[Record], key: str
) -> tuple[list[tuple[str, Record]], list[str]]:
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), delimiter="\t")
    names = [f.name for f in fields(kind)]
    header = [(h or "").strip() for h in reader.fieldnames or []]
    strange = [h for h in header if h not in names]
    if strange:
        return [], [
            f"{source}, row 1: unknown columns {', '.join(map(repr, strange))}; known:"
            f" {', '.join(names)}"
        ]
    if key not in header:
        return [], [f"{source}, row 1: no column named {key} (is the file separated by tabs?)"]
    rows: list[tuple[str, Record]] = []
    problems: list[str] = []
    seen: dict[str, str] = {}
    for number, row in enumerate(reader, start=2):
        place = f"{source}, row {number}"
        if None in row:
            problems.append(f"{place}: more cells than columns")
            continue
        values = {k.strip(): (v or "").strip().removeprefix("'") for k, v in row.items()}
        if not any(values.values()):
            continue
        name = values[key]
        problems += _damage(values, place)
        if not name:
            problems.append(f"{place}: the {key} has no name")
        elif name in seen:
            problems.append(f"{place}: {key} {name} was given before, at {seen[name]}; keep one")
        elif kind is Line and not values.get("donor"):
            problems.append(
                f"{place}, line {name}: the donor is missing; without it two lines of one person"
                " count as two people"
            )
        else:
            seen[name] = place
            rows.append((place, kind(**values)))
    return rows, problems


def _damage(values: Mapping[str, str], place: str) -> Iterator[str]:
    """What a spreadsheet left of names and of cells that it could not compute."""
    for column, text in values.items():
        name = column in ("line", "donor", "isogenic_parent")
        made = damaged_name(text) if name else cell_error(text)
        if made:
            yield (
                f"{place}: {column} {text!r} is {made}, as a spreadsheet makes of names and"
                " numbers; format the column as text and write it again"
            )


def _faults(line: Line) -> list[str]:
    faults = []
    for name in ("age_at_sampling", "age_at_onset"):
        value = getattr(line, name)
        match = _AGE.match(value)
        if value and (
            match is None
            or (match.group(1) and int(match.group(2)) - int(match.group(1)) not in _SPANS)
        ):
            faults.append(
                f"{name} {value!r} is not a range of 5 to 10 years such as 50-59, of 20, or 90+;"
                " exact ages identify people"
            )
    if line.karyotype_year and not _YEAR.match(line.karyotype_year):
        faults.append(
            f"karyotype_year {line.karyotype_year!r} is not a year such as 2019; finer"
            " dates identify people"
        )
    for name, pattern, example in (
        ("rrid", _RRID, "CVCL_B5P3"),
        ("hpscreg", _HPSCREG, "UKXi001-A"),
        ("disease", _MONDO, "MONDO:0004976"),
        ("country", _COUNTRY, "NL"),
    ):
        value = getattr(line, name)
        if value and not pattern.match(value):
            faults.append(f"{name} {value!r} is not of the form {example}")
    for name, known in (
        ("sex", SEXES),
        ("zygosity", ZYGOSITIES),
        ("sporadic", ("yes", "no")),
        ("consent_scope", SCOPES),
        ("withdrawn", ("yes", "no")),
    ):
        value = getattr(line, name)
        if value and value not in known:
            faults.append(f"{name} {value!r} is not one of {', '.join(known)}")
    if line.passage and not is_whole_number(line.passage):
        faults.append(f"passage {line.passage!r} is not a whole number")
    return faults


def _one_person_twice(lines: Mapping[str, Line]) -> Iterator[str]:
    """Donors that public registries know as one person: they would count as two people."""
    public: dict[tuple[str, str], Line] = {}
    for line in lines.values():
        rrid = line.rrid.removeprefix("RRID:")
        for name, text in (("hpscreg", public_donor(line)), ("rrid", rrid)):
            first = public.setdefault((name, text), line) if text else line
            if first.donor != line.donor:
                yield (
                    f"lines {first.line} and {line.line} have donors {first.donor} and"
                    f" {line.donor}, but their {name} {getattr(first, name)} and"
                    f" {getattr(line, name)} are of one; correct the donor or the name"
                )


def _share(text: str) -> bool:
    try:
        # `float` also takes "٠" and "0_1".
        return text.isascii() and "_" not in text and 0 <= float(text) <= 1
    except ValueError:
        return False
