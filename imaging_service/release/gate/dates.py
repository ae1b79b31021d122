"""Dates of a plate, moved by a number of days that only the release's secret tells.

All dates of one plate move by the same whole days: hours of the day and intervals stay, so a film's
time axis and the order of its frames stay, and no calendar date is left.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from imaging_service.release.gate.identifiers import keyed_hash

_LEAST, _MOST = 30, 365


def shift_days(secret: bytes, plate: str) -> int:
    """Days by which a plate's dates move back, from 30 to 365."""
    return _LEAST + int(keyed_hash(secret, "shift", plate), 16) % (_MOST - _LEAST + 1)


def shifted(secret: bytes, plate: str, when: datetime) -> datetime:
    """A date of a plate, moved back.

    Examples
    --------
    >>> from datetime import datetime
    >>> first, last = datetime(2026, 3, 1, 9), datetime(2026, 3, 4, 15)
    >>> shifted(b"s", "p", last) - shifted(b"s", "p", first) == last - first
    True
    """
    return when - timedelta(days=shift_days(secret, plate))
