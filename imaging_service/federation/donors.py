"""Donors across sites: one person at two sites has one hash, and no name.

Two laboratories call a donor by codes of their own. What they share is the public name of the line:
in hPSCreg's names (UKXi001-A) all lines of one donor begin alike. Where a line has none, its donor
can only be told apart within the site.
"""

from __future__ import annotations

import re

from imaging_service.release.gate.identifiers import keyed_hash
from plate_maps.registry import Line

# Institution and number are the donor's; "-A", "-A-1" are lines and subclones.
_HPSCREG = re.compile(r"^(?P<donor>[A-Z][A-Za-z0-9]*[ie][0-9]{3})-[A-Z](-[0-9]+)?$")
_DIGITS = 16


def donor_hash(key: bytes, line: Line, site: str) -> str:
    """The donor of a line under the consortium's key.

    Examples
    --------
    >>> from plate_maps.registry import Line
    >>> a, b = Line("S1", "D1", hpscreg="UKXi001-A"), Line("x", "P-9", hpscreg="UKXi001-B-2")
    >>> donor_hash(b"k", a, "north") == donor_hash(b"k", b, "south")
    True
    """
    match = _HPSCREG.match(line.hpscreg)
    shared = match.group("donor") if match else f"{site}/{line.donor}"
    return f"D-{keyed_hash(key, 'donor', shared)[:_DIGITS]}"


def is_matched(line: Line) -> bool:
    """Whether the donor of a line can be matched with other sites."""
    return _HPSCREG.match(line.hpscreg) is not None
