"""The compound registry: which names are one compound, and what was bought, as a table.

One row per compound, from TSV, CSV or TOML. Names are compared without regard to case, spaces,
dashes, invisible characters and the form of accented letters. A name, a synonym, a blinded code
or an InChIKey that two rows share is refused: wells would go to either. Structures are not read; an
InChIKey is checked by its form.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from plate_maps.compound_names import (
    name_key,
    near_duplicates,
    parts_of_combination,
    single_names,
)
from plate_maps.conditions import parse_dose
from plate_maps.names import damaged_name, shape, spelled, tidy

_INCHIKEY = re.compile(r"[A-Z]{14}-[A-Z]{8}[SN][A-Z]-[A-Z]")


@dataclass(frozen=True)
class Compound:
    """A compound as it was bought and is named.

    `id` is the lab's key, `name` what tables show, `synonyms` what plate maps may also say.
    `blinded_code` stands in plate maps in place of the name, until the tables are unblinded.
    `stock` is a concentration with its unit, such as 10 mM.
    """

    id: str
    name: str
    synonyms: tuple[str, ...] = ()
    inchikey: str = ""
    vendor: str = ""
    lot: str = ""
    stock: str = ""
    salt: str = ""
    blinded_code: str = ""


class CompoundError(ValueError):
    """A compound registry that cannot be used.

    `problems` holds one sentence per fault with file, row and compound.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"compounds {source} cannot be used:\n  - " + "\n  - ".join(problems[:20]))


@dataclass(frozen=True)
class Compounds:
    """Compounds by id, found by any of their names.

    Examples
    --------
    >>> from plate_maps.compounds import read_compounds
    >>> rows = "C1;riluzole;Riluzole HCl;", "C2;x;;B-7"
    >>> known = read_compounds("\\n".join(["id;name;synonyms;blinded_code", *rows]), "known.csv")
    >>> known.shown("RILUZOLE  hcl"), known.shown("b-7"), known.shown("edaravone")
    ('riluzole', 'B-7', 'edaravone')
    >>> known.named("B-7").name
    'x'
    """

    records: Mapping[str, Compound]

    @cached_property
    def _by_key(self) -> dict[str, Compound]:
        return {
            name_key(name): record
            for record in self.records.values()
            for name in (record.name, *record.synonyms, record.blinded_code)
            if name
        }

    def __bool__(self) -> bool:
        return bool(self.records)

    def named(self, name: str) -> Compound | None:
        """The compound of a name, a synonym or a blinded code."""
        return self._by_key.get(name_key(name))

    def shown(self, name: str) -> str:
        """The name that tables fitted before unblinding show.

        A blinded code stays a code. A name that is not known stays as it is. In a combination
        ("edaravone 3 µM + riluzole HCl 1 µM") each name is replaced.
        """
        parts = parts_of_combination(name)
        if parts:
            shown = sorted(
                ((self.shown(part), dose) for part, dose in parts),
                key=lambda p: (shape(p[0]), p[1]),
            )
            return " + ".join(f"{part} {dose}" for part, dose in shown)
        record = self.named(name)
        if record is None:
            return name
        coded = record.blinded_code and name_key(name) == name_key(record.blinded_code)
        return record.blinded_code if coded else record.name

    def unblinded(self, name: str) -> tuple[str, str] | None:
        """(id, name) behind a name or a blinded code; of a combination, those of each part.

        None where any of them is not known.
        """
        parts = parts_of_combination(name) or [(name, "")]
        records = [(self.named(part), dose) for part, dose in parts]
        known = [(r, dose) for r, dose in records if r is not None]
        if len(known) < len(records):
            return None
        return (
            " + ".join(r.id for r, _ in known),
            " + ".join(f"{r.name} {dose}".strip() for r, dose in known),
        )

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Names that the registry does not have, in alphabetical order; of a combination, each."""
        single = {part for name in names for part in single_names(name)}
        return sorted(name for name in single if self.named(name) is None)


def read_compounds(text: str, source: str = "compounds.tsv") -> Compounds:
    """Read compounds from the text of a TSV, CSV or TOML file, by the ending of its name.

    Synonyms are separated by "|" in a table and are a list in TOML, which has one `[[compound]]`
    per compound. Raises CompoundError with every fault.
    """
    toml = Path(source).suffix.lower() == ".toml"
    rows, problems = _toml_rows(text, source) if toml else _table_rows(text, source)
    given: dict[str, Compound] = {}
    holders: dict[tuple[str, str], tuple[str, str]] = {}
    for place, record in rows:
        where = f"{place}, compound {record.name or record.id}"
        problems += [f"{where}: {fault}" for fault in _faults(record)]
        if record.id in given:
            problems.append(
                f"{where}: id {record.id} was given before, to {given[record.id].name}; one"
                " compound has one row, with its other names as synonyms"
            )
            continue
        given[record.id] = record
        keys = [("name", n) for n in (record.name, *record.synonyms, record.blinded_code) if n]
        if record.inchikey:
            keys.append(("InChIKey", record.inchikey))
        for kind, value in dict.fromkeys(keys):
            key = kind, name_key(value) if kind == "name" else value
            other, name = holders.setdefault(key, (record.id, value))
            if other != record.id:
                problems.append(
                    f"{where}: {kind} {value!r} also belongs to compound {given[other].name}"
                    f" ({name!r}); one compound has one row, with its other names as synonyms"
                )
    if problems:
        raise CompoundError(source, problems)
    return Compounds(given)


def write_compounds(compounds: Iterable[Compound]) -> str:
    """TSV text of compounds, which `read_compounds` reads back."""
    out = io.StringIO()
    names = [f.name for f in fields(Compound)]
    writer = csv.DictWriter(out, names, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    for record in compounds:
        values = {n: getattr(record, n) for n in names} | {"synonyms": "|".join(record.synonyms)}
        # A cell that begins like a formula would be run by a spreadsheet.
        writer.writerow(
            {n: f"'{v}" if v[:1] in tuple("=+-@") and v else v for n, v in values.items()}
        )
    return out.getvalue()


Row = tuple[str, Compound]


def _table_rows(text: str, source: str) -> tuple[list[Row], list[str]]:
    text = text.lstrip("\ufeff")
    head = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.DictReader(io.StringIO(text), delimiter=max("\t;,", key=head.count))
    header = [tidy(h or "").lower() for h in reader.fieldnames or []]
    reader.fieldnames = header
    problems = _unknown_columns(header, f"{source}, row 1")
    if problems:
        return [], problems
    rows: list[Row] = []
    for row in reader:
        place = f"{source}, row {reader.line_num}"
        if None in row:
            problems.append(f"{place}: more cells than columns")
            continue
        cells = {k: tidy((v or "").strip().removeprefix("'")) for k, v in row.items()}
        if any(cells.values()):
            synonyms = tuple(filter(None, map(tidy, cells.pop("synonyms", "").split("|"))))
            rows.append((place, Compound(**cells, synonyms=synonyms)))
    return rows, problems


def _toml_rows(text: str, source: str) -> tuple[list[Row], list[str]]:
    try:
        tables = tomllib.loads(text.lstrip("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        return [], [f"{source}: is not TOML: {error}"]
    given = tables.pop("compound", [])
    if tables or not isinstance(given, list) or not all(isinstance(r, dict) for r in given):
        return [], [f"{source}: write one [[compound]] per compound, and nothing else"]
    rows: list[Row] = []
    problems: list[str] = []
    for number, record in enumerate(given, start=1):
        place = f"{source}, compound {number}"
        faults = _unknown_columns([*record, *({"id", "name"} - set(record))], place)
        if not {"id", "name"} <= set(record):
            faults.append(f"{place}: id and name are needed")
        synonyms = record.get("synonyms", [])
        texts = [v for k, v in record.items() if k != "synonyms"]
        if not isinstance(synonyms, list) or not all(
            isinstance(v, str) for v in [*synonyms, *texts]
        ):
            faults.append(f"{place}: synonyms are a list of texts, everything else is a text")
        problems += faults
        if not faults:
            cells = {k: tidy(v) for k, v in record.items() if k != "synonyms"}
            rows.append(
                (place, Compound(**cells, synonyms=tuple(filter(None, map(tidy, synonyms)))))
            )
    return rows, problems


def _unknown_columns(header: Iterable[str], place: str) -> list[str]:
    known = [f.name for f in fields(Compound)]
    header = list(header)
    strange = [h for h in header if h not in known]
    missing = [h for h in ("id", "name") if h not in header]
    twice = sorted({h for h in header if header.count(h) > 1})
    return [
        f"{place}: {what} {', '.join(map(repr, names))}; known: {', '.join(known)}"
        for what, names in (
            ("unknown columns", strange),
            ("no column named", missing),
            ("columns given twice", twice),
        )
        if names
    ]


def _faults(record: Compound) -> list[str]:
    faults = [f"the {name} is missing" for name in ("id", "name") if not getattr(record, name)]
    faults += [
        f"{name!r} is {made}, as a spreadsheet makes of names and numbers; format the column as"
        " text and write it again"
        for name in (record.id, record.name, *record.synonyms, record.blinded_code)
        if (made := damaged_name(name))
    ]
    if record.inchikey and not _INCHIKEY.fullmatch(record.inchikey):
        faults.append(
            f"InChIKey {record.inchikey!r} is not of the form FTALBRSUTCGOEG-UHFFFAOYSA-N"
        )
    if record.stock:
        try:
            if parse_dose(record.stock) == 0:
                faults.append(f"stock {record.stock!r} is 0")
        except ValueError as error:
            faults.append(f"stock: {error}")
    return faults


def name_remarks(
    names: Iterable[str] | Mapping[str, Sequence[str]], known: Compounds | None = None
) -> list[str]:
    """Sentences on names that may be one compound, and on names that the registry does not have.

    Names that the registry has, of one compound or of several, are not remarked. `names` may map
    each name to the plates that have it, which are then named.
    """
    known = known or Compounds({})
    places: dict[str, list[str]] = {}
    for name in names:
        plates = names[name] if isinstance(names, Mapping) else ()
        for part in single_names(name):
            seen = places.setdefault(part, [])
            seen += [plate for plate in plates if plate not in seen]
    remarks = [
        f"compounds {' and '.join(spelled(name, places[name]) for name in group)} may be one"
        " compound, and their wells are fitted apart; give them one row in a compound registry,"
        " with synonyms, or a row each"
        for group in near_duplicates(places)
        if any(known.named(name) is None for name in group)
    ]
    if known:
        unknown = known.unknown(sorted(places))
        remarks += [f"compound {n} is not in the compound registry" for n in unknown]
    return remarks
