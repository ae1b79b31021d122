"""Donors across sites: one person at two sites has one hash, and no name.

Two laboratories call a donor by codes of their own. What they share is the public name of the line:
in hPSCreg's names (UKXi001-A) all lines of one donor begin alike. One line of a donor with such a
name is enough; where none has, the donor can only be told apart within the site.
"""

from __future__ import annotations

from collections.abc import Iterable

from imaging_service.release.gate.identifiers import keyed_hash
from plate_maps.registry import Line, public_donor

_DIGITS = 16


def donor_hash(key: bytes, line: Line, site: str, lines: Iterable[Line] = ()) -> str:
    """The donor of a line under the consortium's key; `lines` are all of the site.

    Examples
    --------
    >>> from plate_maps.registry import Line
    >>> a, b = Line("S1", "D1", hpscreg="UKXi001-A"), Line("x", "P-9", hpscreg="UKXi001-B-2")
    >>> donor_hash(b"k", a, "north") == donor_hash(b"k", b, "south")
    True
    >>> edited = Line("S1-iso", "D1", isogenic_parent="S1")
    >>> donor_hash(b"k", edited, "north", [a]) == donor_hash(b"k", a, "north")
    True
    """
    shared = _public(line, lines) or f"{site}/{line.donor}"
    return f"D-{keyed_hash(key, 'donor', shared)[:_DIGITS]}"


def is_matched(line: Line, lines: Iterable[Line] = ()) -> bool:
    """Whether the donor of a line can be matched with other sites."""
    return _public(line, lines) != ""


def _public(line: Line, lines: Iterable[Line]) -> str:
    """The donor's public name, from any of its lines: an edited clone often has none."""
    names = {public_donor(other) for other in (line, *lines) if other.donor == line.donor}
    return min(names - {""}, default="")
