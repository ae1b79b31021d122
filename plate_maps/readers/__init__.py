"""Reading plate maps from the files that labs have."""

from __future__ import annotations

from pathlib import Path

from plate_maps.conditions import Condition, Control
from plate_maps.plate_map import PlateMap, PlateMapError
from plate_maps.readers.grid import find_blocks, read_grid
from plate_maps.readers.harmony_layout import read_harmony_layout
from plate_maps.readers.long import find_header, read_long
from plate_maps.readers.sheets import read_sheets
from plate_maps.wells import PlateFormat, Well, smallest_format


def read_plate_map(path: Path, plate_format: PlateFormat | None = None, line: str = "") -> PlateMap:
    """Read a plate map: long or grid form from CSV, TSV or XLSX, a JUMP or Broad platemap, or Harmony's assay layout (XML).

    Parameters
    ----------
    path
        The file.
    plate_format
        The scanned plate's format, where known; a well outside it is refused. Without it the smallest standard plate
        that holds all wells is taken.
    line
        Cell line of wells that name none, for maps that know compounds only.

    Raises
    ------
    PlateMapError
        Every fault at once, each with file, row and well: unreadable names and doses, doses without unit, duplicate and
        off-plate wells, lines with two genotypes, a map without any vehicle well.
    """
    entries, problems = _entries(path, line)
    if not entries and not problems:
        problems.append(f"{path.name}: no well is filled in")
    first: dict[Well, str] = {}
    conditions: dict[Well, Condition] = {}
    for place, well, condition in entries:
        if plate_format is not None and well not in plate_format:
            problems.append(f"{place}, well {well}: outside the {plate_format} plate that was scanned")
        if well in first:
            problems.append(f"{place}, well {well}: given before, at {first[well]}")
            continue
        first[well] = place
        conditions[well] = condition
    if conditions and not any(c.control is Control.VEHICLE for c in conditions.values()):
        problems.append(f"{path.name}: no well is marked as vehicle; responses are relative to vehicle wells of the same line")
    problems += _genotype_conflicts(path.name, conditions)
    if problems:
        raise PlateMapError(path.name, problems)
    try:
        fmt = plate_format or smallest_format(list(conditions))
    except ValueError as error:
        raise PlateMapError(path.name, [str(error)]) from error
    return PlateMap(fmt, dict(sorted(conditions.items())), path.name)


def _entries(path: Path, line: str) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    if path.suffix.lower() == ".xml" and path.is_file():
        return read_harmony_layout(path, line)
    sheets = read_sheets(path)
    if not sheets:
        raise PlateMapError(path.name, ["the file is empty"])
    if any(find_blocks(sheet) for sheet in sheets):
        return read_grid(sheets, line)
    if find_header(sheets[0]) is None:
        raise PlateMapError(
            path.name,
            ["neither a column named well (long form) nor rows A, B, C … under columns 1, 2, 3 … (grid form) were found"],
        )
    entries, problems = read_long(sheets[0], line)
    problems += [f"{s.source}: a second sheet beside the long-form one; put one plate's map into one sheet" for s in sheets[1:]]
    return entries, problems


def _genotype_conflicts(source: str, conditions: dict[Well, Condition]) -> list[str]:
    """A line has one genotype; two of them mean a typing error that would end in the wrong stratum."""
    genotypes: dict[str, dict[str, Well]] = {}
    for well, c in conditions.items():
        genotypes.setdefault(c.line, {}).setdefault(c.genotype, well)
    return [
        f"{source}: line {line} has more than one genotype: "
        + ", ".join(f"{genotype or '(none)'} at {well}" for genotype, well in found.items())
        for line, found in genotypes.items()
        if len(found) > 1
    ]


__all__ = ["read_plate_map"]
