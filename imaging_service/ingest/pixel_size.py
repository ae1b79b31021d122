"""The one place that decides the pixel size of a scan, from what its files say.

Strategy. Readers collect statements: a size in x and y, what says so (an index, a file's metadata,
its resolution tags) and where it stands. The strongest kind of source counts alone. All its
statements must be positive numbers, square and equal: lengths and areas of a plate are never
computed with the size of one file while another file contradicts it. Where nothing trustworthy is
said, the size is asked for.

Resolution tags are the weakest source. Harmony and many cameras write the sensor's pixel into
them, 2.4 to 16 µm and 4 to 100 times the sample's, so a size as large as a sensor's pixel is not
believed, and no tag of a file that Harmony named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from imaging_service.errors import ScanError
from imaging_service.ingest.plan import FindingKind, ScanFinding
from plate_maps import Well

# Sizes further apart than this are two sizes: indices round to four digits.
SAME = 0.005
# Pixels of camera sensors start here (IMX183: 2.4 µm).
SENSOR_UM = 2.4


class Trust(IntEnum):
    """How far a kind of source is believed."""

    TAG = 1  # TIFF's resolution tags
    FILE = 2  # metadata that the instrument's software wrote into the file
    INDEX = 3  # the instrument's index of the plate


@dataclass(frozen=True)
class SizeStatement:
    """One source's pixel size in µm; `place` names the file, and the well if it is of one."""

    x_um: float
    y_um: float
    source: str
    place: str
    trust: Trust = Trust.INDEX
    well: Well | None = None

    def __str__(self) -> str:
        of = f"well {self.well}, " if self.well else ""
        size = (
            f"{self.x_um:.6g}" if self.x_um == self.y_um else f"{self.x_um:.6g} × {self.y_um:.6g}"
        )
        return f"{of}{self.place}: {size} µm ({self.source})"


@dataclass(frozen=True)
class PixelSize:
    """The plate's pixel size, where it comes from, and what was doubted; `um` is None if unsaid."""

    um: float | None = None
    source: str = ""
    findings: tuple[ScanFinding, ...] = ()


def number_of(text: str | float | None, what: str) -> float:
    """A positive, finite number. Raises ScanError naming `what` and the text."""
    try:
        value = float(text if text is not None else "")
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ScanError(
            f"{what} is {text!r:.40}, not a number above 0; correct the metadata or export the"
            " plate again"
        )
    return value


def decide(statements: Iterable[SizeStatement]) -> PixelSize:
    """The size that all statements of the strongest source agree on.

    Raises
    ------
    ScanError
        A size is not a positive number, pixels are not square, or two places contradict each
        other; the message names well and file of each.
    """
    given = list(statements)
    doubted = [s for s in given if s.trust is Trust.TAG and max(s.x_um, s.y_um) >= SENSOR_UM]
    believed = [s for s in given if s not in doubted] if doubted else given
    findings: tuple[ScanFinding, ...] = ()
    if doubted:
        findings = (
            ScanFinding(
                FindingKind.PIXEL_SIZE,
                f"resolution tags of {len(doubted)} file(s) are not believed: they are as large as"
                f" a camera sensor's pixel, such as {doubted[0]}",
            ),
        )
    if not believed:
        return PixelSize(findings=findings)
    trust = max(s.trust for s in believed)
    strongest = [s for s in believed if s.trust is trust]
    for one in strongest:
        _refuse(one)
    first = strongest[0]
    other = next((s for s in strongest if abs(s.x_um / first.x_um - 1) > SAME), None)
    if other is not None:
        raise ScanError(
            f"the pixel size differs between files: {first}, but {other}; scans of one plate have"
            " one pixel size: give the right folder, or take the wrong files out"
        )
    return PixelSize(first.x_um, f"{first.source}, {first.place}", findings)


def _refuse(one: SizeStatement) -> None:
    for axis, value in (("x", one.x_um), ("y", one.y_um)):
        if not (math.isfinite(value) and value > 0):
            raise ScanError(
                f"{one}: the pixel size in {axis} is not a number above 0; correct the metadata or"
                " export the plate again"
            )
    if abs(one.x_um / one.y_um - 1) > SAME:
        raise ScanError(
            f"{one}: pixels are not square; areas and lengths would be wrong: scan with equal"
            " binning in x and y"
        )
