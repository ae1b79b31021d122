"""The ledger of releases, and the rules on statistics over donors that follow from it.

A mean over few donors gives the donors, and so does the difference of two means over nearly the
same donors. So a row over donors needs five of them in an open release, and its donors must be
those of every row that was released before of the same compound, phenotype and dose, or differ from
them by five or more. The ledger holds who was in which row by the laboratory's own names: it stays
in the laboratory, and each entry holds the digest of the one before, so that a changed or removed
entry shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from imaging_service.errors import ReleaseRefused
from imaging_service.files import write_bytes
from imaging_service.release.gate.consent import Tier
from imaging_service.release.gate.people import K


class DonorRow(BaseModel):
    """A released row over donors, and the donors in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compound: str
    phenotype: str
    dose_molar: float
    group: str
    donors: tuple[str, ...]


class Entry(BaseModel):
    """One release."""

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


def append(path: Path, entry: Entry) -> None:
    """Add an entry, whole or not at all."""
    before = path.read_bytes() if path.is_file() else b""
    lines = before.splitlines()
    previous = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
    chained = entry.model_copy(update={"previous": previous}).model_dump_json().encode()
    write_bytes(path, b"\n".join([*lines, chained]) + b"\n")


def judge_rows(
    rows: Sequence[DonorRow],
    tier: Tier,
    entries: Sequence[Entry],
    withdrawn: Collection[str],
    k: int = K,
) -> tuple[list[DonorRow], list[RefusedRow]]:
    """Split rows over donors into those that may be released and those that may not.

    Parameters
    ----------
    rows
        Rows in the order in which they are to be kept: the first of two nested ones stays.
    tier
        Of the release. Under controlled access only earlier releases are compared with.
    entries
        The ledger.
    withdrawn
        Donors that have withdrawn. A row that differs from an earlier one by them only is withheld;
        any other small difference refuses the release.
    """
    earlier: dict[tuple[str, str, float], list[tuple[str, frozenset[str]]]] = {}
    for entry in entries:
        for row in entry.rows:
            earlier.setdefault(_key(row), []).append((entry.release, frozenset(row.donors)))
    kept: list[DonorRow] = []
    refused: list[RefusedRow] = []
    for row in rows:
        donors = frozenset(row.donors)
        fault = (_small(row, k) or _nested(row, kept, k)) if tier is Tier.OPEN else None
        fault = fault or _differs(donors, earlier.get(_key(row), ()), withdrawn, k)
        if fault is None:
            kept.append(row)
        else:
            refused.append(RefusedRow(row, *fault))
    return kept, refused


def _key(row: DonorRow) -> tuple[str, str, float]:
    # The group's name is not part of it: "SOD1" and "SOD1 missense" may be nearly the same donors.
    return row.compound, row.phenotype, row.dose_molar


def _small(row: DonorRow, k: int) -> tuple[RowCode, str] | None:
    if len(row.donors) >= k:
        return None
    reason = f"{len(row.donors)} donors; an open release shows no mean over fewer than {k}"
    return RowCode.TOO_FEW_DONORS, reason


def _nested(row: DonorRow, kept: Iterable[DonorRow], k: int) -> tuple[RowCode, str] | None:
    for other in kept:
        apart = len(set(row.donors) ^ set(other.donors))
        if _key(other) == _key(row) and 0 < apart < k:
            return RowCode.NESTED, (
                f"its donors and those of {other.group} differ by {apart}; the difference of the"
                f" two means would be that of fewer than {k} donors"
            )
    return None


def _differs(
    donors: frozenset[str],
    earlier: Iterable[tuple[str, frozenset[str]]],
    withdrawn: Collection[str],
    k: int,
) -> tuple[RowCode, str] | None:
    fault = None
    for release, before in earlier:
        apart = donors ^ before
        if not 0 < len(apart) < k:
            continue
        reason = (
            f"its donors differ by {len(apart)} from those of the same row in release {release};"
            f" the difference would give away fewer than {k} donors"
        )
        if not apart <= set(withdrawn):
            return RowCode.DIFFERENCING, reason
        fault = RowCode.WITHDRAWN, f"{reason}, who have withdrawn"
    return fault
