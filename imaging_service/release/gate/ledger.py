"""The ledger of releases, and the rules on statistics over donors that follow from it.

A mean over few donors gives the donors, and so does the difference of two means over nearly the
same donors; and the mean over all, less those over each gene, gives who has no gene. So a row over
donors needs five of them in an open release, and no sum or difference of it and of rows of the same
compound, phenotype and dose, of this release and of earlier ones, may be over fewer than five. The
ledger holds who was in which row by the laboratory's own names: it stays in the laboratory. Each
entry holds the digest of the one before, and screens and runs those of their releases, so that a
changed, removed or lost entry shows, and a second screen with a ledger of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from imaging_service.errors import ReleaseRefused
from imaging_service.files import write_bytes
from imaging_service.release.gate.consent import Tier
from imaging_service.release.gate.people import K, Published
from plate_maps.compound_names import name_key
from plate_maps.compounds import Compounds
from plate_maps.conditions import format_dose

Real = NDArray[np.float64]
_WAIT_S = 30.0
_ZERO = 1e-9  # of sums of ones and zeros over some dozens of donors
# Digests of the entries of a screen or of a run, in its folder.
NOTED = "released.txt"
# Digest of a plate ► compound ► dose ► the wells that were given it, with spaces between.
Treated = Mapping[str, Mapping[str, Mapping[str, str]]]


class DonorRow(BaseModel):
    """A released row over donors, and the donors in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compound: str
    phenotype: str
    dose_molar: float
    group: str
    donors: tuple[str, ...]


class Entry(BaseModel):
    """One release.

    `places` maps what stays when a donor's code is changed (a line's name, the wells of a line on a
    plate) to the code at that time; `treated` does the same for compounds and doses, and
    `structures` maps their names to InChIKeys. `levels` and `facts` are what the release said of
    its donors, `shift_days` by how much a plate's dates moved; `secret_sha256` tells whether
    another release has the same secret.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str
    made_on: date
    tier: Tier
    k: int
    lines: tuple[str, ...]
    donors: tuple[str, ...]
    left_out: Mapping[str, str]
    withdrawn: tuple[str, ...]
    rows: tuple[DonorRow, ...]
    withheld: tuple[str, ...]
    manifest_sha256: str
    places: Mapping[str, str] = {}
    treated: Treated = {}
    structures: Mapping[str, str] = {}
    levels: Mapping[str, int] = {}
    facts: Mapping[str, Mapping[str, str]] = {}
    shift_days: Mapping[str, int] = {}
    secret_sha256: str = ""
    previous: str = ""


class RowCode(StrEnum):
    """Why a row over donors is not released."""

    TOO_FEW_DONORS = "too_few_donors"
    NESTED = "nested"
    WITHDRAWN = "withdrawn"
    DIFFERENCING = "differencing"


@dataclass(frozen=True)
class RefusedRow:
    """A row that is not released. Of code `differencing` it refuses the release."""

    row: DonorRow
    code: RowCode
    reason: str


def read_ledger(path: Path) -> list[Entry]:
    """The entries of a ledger, oldest first; none without a file.

    Raises ReleaseRefused for a ledger that is damaged, or that was changed after it was written.
    """
    if not path.is_file():
        return []
    entries: list[Entry] = []
    previous = ""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            raise ReleaseRefused(f"{path}, entry {number}: is damaged: {error}") from error
        if entry.previous != previous:
            raise ReleaseRefused(
                f"{path}, entry {number}: does not follow the entry before it, which was changed or"
                " removed; restore the ledger from a copy before anything is released"
            )
        entries.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return entries


def append(path: Path, entry: Entry, folders: Sequence[Path], seen: int) -> None:
    """Add an entry, whole or not at all, and note in screen and runs that the ledger has it.

    `seen` is the number of entries that the release was compared with. Raises ReleaseRefused where
    another release was written since, or where one of the folders cannot be written to.
    """
    for folder in folders:
        if not os.access(folder, os.W_OK):
            raise ReleaseRefused(
                f"{folder} cannot be written to: a release is noted there ({NOTED}), so that no"
                " other ledger is taken for it; allow it, and write the release again"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock"), timeout=_WAIT_S):
        lines = path.read_bytes().splitlines() if path.is_file() else []
        if len(lines) != seen:
            raise ReleaseRefused(
                f"another release was written into {path} meanwhile; write this one again, so that"
                " it is compared with it"
            )
        previous = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
        chained = entry.model_copy(update={"previous": previous}).model_dump_json().encode()
        write_bytes(path, b"\n".join([*lines, chained]) + b"\n")
    for folder in folders:
        noted = folder / NOTED
        kept = noted.read_bytes() if noted.is_file() else b""
        write_bytes(noted, kept + hashlib.sha256(chained).hexdigest().encode() + b"\n")


def judge_rows(
    rows: Sequence[DonorRow],
    tier: Tier,
    entries: Sequence[Entry],
    withdrawn: Collection[str],
    k: int = K,
    compounds: Compounds | None = None,
    treated: Treated | None = None,
) -> tuple[list[DonorRow], list[RefusedRow]]:
    """Split rows over donors into those that may be released and those that may not.

    Parameters
    ----------
    rows
        Rows in the order in which they are to be kept: the first of two nested ones stays.
    tier
        Of the release. Under controlled access only earlier releases are compared with.
    entries
        The ledger, with today's codes of donors.
    withdrawn
        Donors that have withdrawn. A row that would give away only them is withheld; any other that
        earlier rows are nearly equal to refuses the release.
    compounds
        The compound registry: a compound that has another name now is the same one.
    treated
        Wells of this release, by plate, compound and dose: what the same wells were given is the
        same compound and dose, also under another name and in another screen.
    """
    identity = _identities(
        compounds or Compounds({}),
        {name: key for entry in entries for name, key in entry.structures.items()},
        [*(entry.treated for entry in entries), treated or {}],
    )
    earlier: dict[_Key, set[frozenset[str]]] = {}
    releases: dict[_Key, dict[str, None]] = {}
    for entry in entries:
        for row in entry.rows:
            earlier.setdefault(identity(row), set()).add(frozenset(row.donors))
            releases.setdefault(identity(row), {})[entry.release] = None
    now: dict[_Key, set[frozenset[str]]] = {}
    kept: list[DonorRow] = []
    refused: list[RefusedRow] = []
    for row in rows:
        key, donors = identity(row), frozenset(row.donors)
        before, others = frozenset(earlier.get(key, ())), frozenset(now.get(key, ()))
        fault = None
        if tier is Tier.OPEN:
            fault = _small(row, k) or _nested(donors, others, k)
        fault = fault or _differs(donors, before, withdrawn, tuple(releases.get(key, ())), k)
        if fault is None and tier is Tier.OPEN:
            fault = _nested(donors, before | others, k)
        if fault is None:
            kept.append(row)
            now.setdefault(key, set()).add(donors)
        else:
            refused.append(RefusedRow(row, *fault))
    return kept, refused


_Key = tuple[str, str, str]


def _identities(
    compounds: Compounds, structures: Mapping[str, str], treated: Sequence[Treated]
) -> Callable[[DonorRow], _Key]:
    """What makes two rows the same quantity.

    The group's name is not part of it: "SOD1" and "SOD1 missense" may be nearly the same donors.
    """

    def given(compound: str, dose: str) -> tuple[str, str]:
        # Another screen's registry may have another name and id for the structure.
        record = compounds.named(compound)
        structure = record.inchikey if record else structures.get(compound, "")
        known = compounds.unblinded(compound)
        name = f"id {known[0]}" if known else name_key(compound)
        return (f"structure {structure}" if structure else name), dose

    # (Compound, dose) ► another that the same well was given, up to one that stands for all.
    same: dict[tuple[str, str], tuple[str, str]] = {}

    def first(one: tuple[str, str]) -> tuple[str, str]:
        while one in same:
            one = same[one]
        return one

    wells: dict[tuple[str, str], tuple[str, str]] = {}
    for layout in treated:
        for plate, by_compound in layout.items():
            for compound, by_dose in by_compound.items():
                for dose, names in by_dose.items():
                    for well in names.split():
                        one = first(given(compound, dose))
                        other = first(wells.setdefault((plate, well), one))
                        if one != other:
                            same[one] = other

    def identity(row: DonorRow) -> _Key:
        name, dose = first(given(row.compound, format_dose(row.dose_molar)))
        return name, row.phenotype, dose

    return identity


def _small(row: DonorRow, k: int) -> tuple[RowCode, str] | None:
    if len(row.donors) >= k:
        return None
    reason = f"{len(row.donors)} donors; an open release shows no mean over fewer than {k}"
    return RowCode.TOO_FEW_DONORS, reason


def _nested(
    donors: frozenset[str], others: frozenset[frozenset[str]], k: int
) -> tuple[RowCode, str] | None:
    given = given_away(others, donors, k)
    if not given:
        return None
    return RowCode.NESTED, (
        f"a difference of it and of means over other groups would be over {len(given[0])}"
        f" donor(s), fewer than {k}"
    )


def _differs(
    donors: frozenset[str],
    earlier: frozenset[frozenset[str]],
    withdrawn: Collection[str],
    releases: Sequence[str],
    k: int,
) -> tuple[RowCode, str] | None:
    given = given_away(earlier, donors, k)
    if not given:
        return None
    reason = (
        f"a difference of it and of rows in release {', '.join(releases)} would give away"
        f" {min(map(len, given))} donor(s), fewer than {k}"
    )
    if all(group <= set(withdrawn) for group in given):
        return RowCode.WITHDRAWN, f"{reason}, who have withdrawn"
    return RowCode.DIFFERENCING, reason


@cache
def given_away(
    known: frozenset[frozenset[str]], row: frozenset[str], k: int
) -> tuple[frozenset[str], ...]:
    """Smallest groups of fewer than k donors over which a new sum or difference can be made.

    Each mean is a sum over its donors, so what can be made of several is the space that their rows
    span; a combination over a group is one that is zero outside of it. There is one where the
    group's coordinates of what is orthogonal to that space are linearly dependent. Donors that are
    in the same rows cannot be told apart: they are one coordinate.

    Examples
    --------
    >>> seven, first, last = frozenset("ABCDEFG"), frozenset("ABC"), frozenset("DEF")
    >>> given_away(frozenset([first, last]), seven, 2)
    (frozenset({'G'}),)
    """
    rows = [*sorted(known, key=sorted), row]
    alike: dict[tuple[bool, ...], set[str]] = {}
    for donor in sorted(frozenset().union(*rows)):
        alike.setdefault(tuple(donor in r for r in rows), set()).add(donor)
    places = list(alike.values())
    spanned = np.array(list(alike), dtype=np.float64).T.reshape(len(rows), len(places))
    after, before = _orthogonal(spanned), _orthogonal(spanned[:-1])
    given: list[frozenset[str]] = []
    for chosen in _under(k, np.array([len(place) for place in places])):
        for indices in chosen[_combinations(after, chosen) > _combinations(before, chosen)]:
            group = frozenset().union(*(places[i] for i in indices))
            # That the row itself is over few donors is another rule's.
            if not (row <= group or any(smaller <= group for smaller in given)):
                given.append(group)
    return tuple(given)


def _under(k: int, sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Sets of places with fewer than k donors together: those of one place, of two …"""
    few = np.flatnonzero(sizes < k).tolist()
    for n in range(1, k):
        chosen = np.array(list(combinations(few, n)), dtype=np.int64).reshape(-1, n)
        yield chosen[sizes[chosen].sum(axis=1) < k]


def _orthogonal(rows: Real) -> Real:
    """The projection onto what is orthogonal to all rows."""
    if not rows.size:
        return np.eye(rows.shape[1])
    _, singular, axes = np.linalg.svd(rows)
    basis = axes[: len(singular)][singular > _ZERO]
    projection: Real = np.eye(rows.shape[1]) - basis.T @ basis
    return projection


def _combinations(orthogonal: Real, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of independent combinations of rows that are zero outside of each set of places."""
    within = orthogonal[chosen[:, :, None], chosen[:, None, :]]
    count: NDArray[np.int64] = (np.linalg.eigvalsh(within) < _ZERO).sum(axis=1)
    return count


def under_todays_codes(entries: Iterable[Entry], places: Mapping[str, str]) -> list[Entry]:
    """Entries in which donors have the codes that they have now.

    A donor whose code was changed would count as another one, and the rule on differences would not
    see them. `places` maps what stays to today's code, as `Entry.places` does.
    """
    written = []
    for entry in entries:
        now: dict[str, set[str]] = {}
        for place, donor in entry.places.items():
            if place in places:
                now.setdefault(donor, set()).add(places[place])

        def codes(donors: Iterable[str], now: Mapping[str, set[str]] = now) -> tuple[str, ...]:
            return tuple(sorted({code for d in donors for code in now.get(d, {d})}))

        rows = tuple(r.model_copy(update={"donors": codes(r.donors)}) for r in entry.rows)
        facts = {code: told for donor, told in entry.facts.items() for code in codes([donor])}
        written.append(
            entry.model_copy(update={"rows": rows, "donors": codes(entry.donors), "facts": facts})
        )
    return written


def published(entries: Iterable[Entry], tier: Tier) -> list[Published]:
    """What releases said of people to those who may read a release of this tier.

    A reader of an open release need not be one of a controlled one.
    """
    return [
        Published(entry.levels, entry.facts)
        for entry in entries
        if tier is Tier.CONTROLLED or entry.tier is Tier.OPEN
    ]


def ledger_of(path: Path, folders: Sequence[Path]) -> list[Entry]:
    """The entries of a ledger that has all releases of a screen and of its runs, by their folders.

    Raises ReleaseRefused as `read_ledger` does, and for a ledger that lacks one: it was deleted or
    cut, or the form names another.
    """
    entries = read_ledger(path)
    lines = path.read_bytes().splitlines() if path.is_file() else []
    there = {hashlib.sha256(line).hexdigest() for line in lines}
    for folder in folders:
        noted = folder / NOTED
        digests = noted.read_text(encoding="utf-8").split() if noted.is_file() else []
        if lost := [digest for digest in digests if digest not in there]:
            raise ReleaseRefused(
                f"the ledger {path} lacks {len(lost)} release(s) of {folder}: it was deleted or"
                " cut, or it is another one; restore it from a copy, or name the right one in the"
                " form"
            )
    return entries
