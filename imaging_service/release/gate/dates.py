"""Dates of a plate, moved by a number of days that only the release's secret tells.

All dates of one plate move by the same whole days: hours of the day and intervals stay, so a film's
time axis and the order of its frames stay, and no calendar date is left. A plate that was released
before has its days of that time: each further shift would narrow where the true date may lie.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from imaging_service.release.gate.identifiers import keyed_hash

_LEAST, _MOST = 30, 365
_MONTH = r"(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*"
_CALENDAR = re.compile(
    r"(?i)(?<![0-9])(?:"
    r"(?:19|20)[0-9]{2}[-./_](?:0?[1-9]|1[0-2])(?![0-9])"
    r"|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"
    r"|[0-9]{1,2}[-./_ ][0-9]{1,2}[-./_ ](?:19|20)[0-9]{2}(?![0-9])"
    rf"|[0-9]{{0,2}}[-. ]*\b{_MONTH}[-., ]+(?:[0-9]{{1,2}},? +)?(?:19|20)[0-9]{{2}}(?![0-9])"
    r")"
)


def shift_days(secret: bytes, plate: str) -> int:
    """Days by which a plate's dates move back, from 30 to 365."""
    return _LEAST + int(keyed_hash(secret, "shift", plate), 16) % (_MOST - _LEAST + 1)


def shifted(when: datetime, days: int) -> datetime:
    """A date of a plate, moved back by the plate's days.

    Examples
    --------
    >>> from datetime import datetime
    >>> first, last = datetime(2026, 3, 1, 9), datetime(2026, 3, 4, 15)
    >>> shifted(last, 40) - shifted(first, 40) == last - first
    True
    """
    return when - timedelta(days=days)


def holds_date(text: str) -> bool:
    """Whether a text holds a month or a day of a calendar, which is finer than a year.

    Examples
    --------
    >>> holds_date("negative, 3.5.2024"), holds_date("May 2024"), holds_date("protocol 2.1 of 2024")
    (True, True, False)
    """
    return _CALENDAR.search(text) is not None
