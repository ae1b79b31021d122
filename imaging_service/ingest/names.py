"""Wells, fields and channels by the names of files: the shipped patterns, and a protocol's own.

A pattern is matched to the path below the scan from its beginning. Its groups are `well` (or `row`
and `column`), and where the name has them `field`, `channel`, `z`, `time`, `plate` (images of two
plates are two scans) and `stamp` (a date and time that counts time points).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from imaging_service.errors import ScanError
from imaging_service.incoming.file_pattern import FilePattern
from imaging_service.ingest.plan import ImageRef
from plate_maps import Well
from plate_maps.wells import is_whole_number, row_number, whole_number

_GUID = r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
_WELL = r"(?P<well>[A-Z]{1,2}\d{1,2})"

# The common exports. Folders count for ImageXpress only, which keeps time points and planes in
# folders of their own; its pattern also takes short tokens after the well in any order (_s1, _f1,
# _w1, _c1, _t1, _z1). The first name that looks like a well is the well: B02_t01 is B02, not T01.
# In names of its database a GUID follows the wave's number without a separator, so that digits are
# taken one by one.
PATTERNS: dict[str, str] = {
    "imagexpress": (
        r"(?:.*TimePoint_(?P<time>\d+)/)?(?:.*ZStep_(?P<z>\d+)/)?(?:.*/)?(?:(?P<plate>[^/]+?)_)??"
        + _WELL
        + r"(?:_(?:[sf](?P<field>\d+)|(?:w|ch?)(?P<channel>\d{1,2}?)|t(?P<token_time>\d+)"
        r"|[zp](?P<token_z>\d+)))*(?:" + _GUID + r")?(?:\.ome)?\.tiff?$"
    ),
    "harmony-tiff": (
        r"(?:.*/)?r(?P<row>\d+)c(?P<column>\d+)f(?P<field>\d+)p(?P<z>\d+)-ch(?P<channel>\d+)(?:sk(?P<time>\d+))?[^/]*\.tiff?$"
    ),
    "cellvoyager": (
        r"(?:.*/)?(?P<plate>[^/]*)_"
        + _WELL
        + r"_T(?P<time>\d+)F(?P<field>\d+)L\d+A\d+Z(?P<z>\d+)C(?P<channel>\d+)\.tiff?$"
    ),
    "incell": (
        r"(?:.*/)?(?P<row>[A-Z]{1,2}) - (?P<column>\d+)\(fld (?P<field>\d+) wv"
        r" (?P<channel>[^)]+?)(?: z (?P<z>\d+))?(?: time (?P<time>\d+)(?: - \d+ ms)?)?\)\.tiff?$"
    ),
    "cellomics": (
        r"(?:.*/)?(?P<plate>[^/]*)_" + _WELL + r"f(?P<field>\d+)d(?P<channel>\d+)\.tiff?$"
    ),
    "incucyte": (
        r"(?:.*/)?(?P<plate>[^/]*?)_(?:(?P<channel>phase|green|red|nir|orange)_)?"
        + _WELL
        + r"_(?P<field>\d+)_(?P<stamp>\d{4}y\d\dm\d\dd_\d\dh\d\dm|\d+d\d\dh\d\dm)\.tiff?$"
    ),
    "bbbc013": r"(?:.*/)?Channel(?P<channel>\d+)-\d+-(?P<row>[A-Z])-(?P<column>\d+)\.tiff?$",
}


# As instruments write them: lower-case letters before a number, upper-case ones in a well.
_TOKEN = re.compile(r"[sfwctzp][0-9]{1,2}")
_WELL_LIKE = re.compile(r"[A-Z]{1,2}[0-9]{1,2}", re.ASCII)


@dataclass(frozen=True)
class Named:
    """Files that fit one pattern, by path, and those that do not."""

    pattern: str
    groups: Mapping[str, Mapping[str, str | None]]
    strays: tuple[str, ...]


def parse_names(root: object, names: Iterable[str], wanted: str) -> Named:
    """Match names to the pattern that the protocol asks for, or to the one that most of them fit.

    Raises ScanError if none fits, or the pattern is unknown.
    """
    names = list(names)
    if wanted in PATTERNS:
        candidates = {wanted: PATTERNS[wanted]}
    elif "(" in wanted:
        candidates = {"the protocol's pattern": wanted}
    elif wanted == "auto":
        candidates = PATTERNS
    else:
        raise ScanError(
            f"unknown file_pattern {wanted!r}; shipped: {', '.join(PATTERNS)}, or a regular"
            " expression with named groups"
        )
    matched = {key: _matches(FilePattern(text), names) for key, text in candidates.items()}
    best = max(matched, key=lambda key: len(matched[key]))
    if not matched[best]:
        raise ScanError(
            f"no TIFF in {root} fits {', '.join(candidates)}; the first is called {names[0]};"
            " set acquisition.file_pattern in the protocol"
        )
    return Named(best, matched[best], tuple(n for n in names if n not in matched[best]))


def is_known(names: Iterable[str]) -> bool:
    """Whether any name fits a shipped pattern."""
    patterns = [FilePattern(text) for text in PATTERNS.values()]
    return any(_match(pattern, name) is not None for name in names for pattern in patterns)


@dataclass(frozen=True)
class Taken:
    """A time point by its number from 1, and the seconds that its stamp says."""

    number: int
    seconds: float
    local: bool


def time_points(stamps: Iterable[str]) -> dict[str, Taken]:
    """Stamp ► time point, in order: 2026y01m31d_12h30m, or 00d06h00m since the start."""
    seconds = {}
    for stamp in {s for s in stamps if s}:
        numbers = [int(n) for n in re.findall(r"\d+", stamp)]
        if len(numbers) == 5:
            try:
                year, month, day, hour, minute = numbers
                taken = datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()
            except ValueError as error:
                raise ScanError(f"{stamp} in the names of files is not a date: {error}") from error
        else:
            days, hours, minutes = numbers
            taken = 60.0 * (minutes + 60 * (hours + 24 * days))
        seconds[stamp] = (taken, len(numbers) == 5)
    ordered = sorted(seconds, key=lambda stamp: seconds[stamp])
    return {stamp: Taken(n, *seconds[stamp]) for n, stamp in enumerate(ordered, start=1)}


def image_named(
    groups: Mapping[str, str | None], name: str, taken: Taken | None = None
) -> ImageRef:
    """The image that a name says it is; `taken` counts where the name has a stamp.

    Raises ValueError naming the part that is wrong.
    """
    if groups.get("well"):
        well = Well.parse(str(groups["well"]))
    else:
        row, column = str(groups.get("row")), str(groups.get("column"))
        well = Well(
            whole_number(row) if is_whole_number(row) else row_number(row), whole_number(column)
        )
    number = {
        key: whole_number(groups.get(key) or groups.get(f"token_{key}") or "1")
        for key in ("field", "z", "time")
    }
    channel = str(groups.get("channel") or "1")
    if is_whole_number(channel):
        channel = str(whole_number(channel))
    image = ImageRef(well, number["field"], number["time"], channel, number["z"], name)
    if taken is None:
        return image
    return replace(
        image, time=taken.number, exposed_s=taken.seconds or None, local_time=taken.local
    )


def channel_order(channel: str) -> tuple[bool, int, str]:
    """Numbered channels by their number, before named ones."""
    numbered = is_whole_number(channel)
    return not numbered, whole_number(channel) if numbered else 0, channel


def _matches(pattern: FilePattern, names: Iterable[str]) -> dict[str, dict[str, str | None]]:
    return {name: groups for name in names if (groups := _match(pattern, name)) is not None}


def _match(pattern: FilePattern, name: str) -> dict[str, str | None] | None:
    groups = pattern.match(name)
    return None if groups is None or _token_for_well(groups) else groups


def _token_for_well(groups: Mapping[str, str | None]) -> bool:
    """Whether what was taken for the well is a wave or a site, behind a name that is the well.

    In B02_x_w1 a word that no pattern knows stands between them: row W is not meant.
    """
    well, before = groups.get("well") or "", groups.get("plate") or ""
    return bool(_TOKEN.fullmatch(well)) and any(
        _WELL_LIKE.fullmatch(part) for part in before.split("_")
    )
