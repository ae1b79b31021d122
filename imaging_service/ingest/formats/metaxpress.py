"""MetaXpress's `.HTD`: what an ImageXpress was told to take, and the names of its waves.

Comma-separated lines of a key in quotes and its values. The description holds bytes of no encoding.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from imaging_service.errors import ScanError
from imaging_service.ingest.images.scan_files import ScanFiles
from imaging_service.ingest.pixel_size import SizeStatement
from imaging_service.ingest.plan import Announced, ImageRef
from imaging_service.ingest.plate_size import plate_of
from plate_maps import PlateFormat, Well
from plate_maps.wells import whole_number

_MOST_BYTES = 1_000_000
# Far more than any filter wheel has; a number from a damaged file is not counted up to.
_MOST_WAVES = 99


@dataclass(frozen=True)
class Acquired:
    """What a file beside the images says.

    `waves` are the names of the channels in their order, `images` those that it lists by name.
    """

    announced: Announced
    format: PlateFormat | None = None
    waves: tuple[str, ...] = ()
    size: SizeStatement | None = None
    images: tuple[ImageRef, ...] = ()


def read_htd(files: ScanFiles) -> Acquired | None:
    """The scan's HTD, or None where there is none. Exports repeat it in every TimePoint folder.

    Raises ScanError naming the file and the key that is wrong.
    """
    paths = sorted(files.named("*.htd"), key=lambda p: (p.count("/"), p))
    if not paths:
        return None
    settings = _settings(files.root / paths[0])

    def number(key: str, default: int) -> int:
        given = settings.get(key, [])
        if not given:
            return default
        try:
            return whole_number(given[0])
        except ValueError as error:
            raise ScanError(f"{files.root / paths[0]}: {key}: {error}") from error

    def chosen(key: str) -> list[int]:
        return [i for i, flag in enumerate(settings.get(key, []), 1) if flag.upper() == "TRUE"]

    fmt = plate_of(number("YWells", 0), number("XWells", 0), str(files.root / paths[0]))
    rows = range(1, fmt.rows + 1) if fmt else ()
    wells = tuple(Well(row, c) for row in rows for c in chosen(f"WellsSelection{row}"))
    sites = sum(
        len(chosen(f"SiteSelection{y}")) for y in range(1, min(number("YSites", 1), 99) + 1)
    )
    stacked = settings.get("ZSeries", ["FALSE"])[0].upper() == "TRUE"
    waves = _waves(settings, number("NWavelengths", 0))
    return Acquired(
        Announced(
            paths[0],
            wells,
            sites if settings.get("Sites", [""])[0].upper() == "TRUE" else 1,
            waves,
            number("ZSteps", 0) if stacked else 0,
            number("TimePoints", 0),
        ),
        fmt,
        waves,
    )


def _settings(path: Path) -> dict[str, list[str]]:
    if path.stat().st_size > _MOST_BYTES:
        raise ScanError(f"{path} is larger than {_MOST_BYTES:,} bytes and is not an HTD file")
    text = path.read_bytes().decode("utf-8", "replace").replace("\0", "")
    try:
        lines = list(csv.reader(text.splitlines(), skipinitialspace=True))
    except csv.Error as error:
        raise ScanError(f"{path} cannot be read as an HTD file: {error}") from error
    return {line[0]: [value.strip() for value in line[1:]] for line in lines if line}


def _waves(settings: dict[str, list[str]], count: int) -> tuple[str, ...]:
    names = [
        (settings.get(f"WaveName{n}") or [""])[0] or str(n)
        for n in range(1, min(count, _MOST_WAVES) + 1)
    ]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(names, start=1)
    )
