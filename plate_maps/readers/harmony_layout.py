"""Harmony's assay layout (XML, beside the scan): one layer per property, one entry per well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plate_maps.conditions import Condition
from plate_maps.readers.grid import wells_from
from plate_maps.readers.headers import dose_unit, read_header
from plate_maps.wells import Well, whole_number

_NAMESPACE = "{*}"


def read_harmony_layout(
    path: Path, root: Any, line: str = ""
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Wells as (place, well, condition), and the problems found; `root` is the file's XML.

    Layers are named as the columns of other maps are: line, compound, "concentration (µM)",
    control. Wells that are empty in all layers are not used.
    """
    cells: dict[Well, dict[str, str]] = {}
    places: dict[Well, dict[str, str]] = {}
    problems: list[str] = []
    names: list[str] = []
    for layer in root.iterfind(f"{_NAMESPACE}Layer"):
        title = (layer.findtext(f"{_NAMESPACE}Name") or "").strip()
        name, unit = read_header(title)
        if name in names:
            problems.append(f"{path.name}: layer {title} occurs more than once; keep one")
            continue
        names.append(name)
        try:
            unit_cell = dose_unit(name, unit)
        except ValueError as error:
            problems.append(f"{path.name}, layer {title}: {error}")
            continue
        for entry in layer.iterfind(f"{_NAMESPACE}Well"):
            text = (entry.findtext(f"{_NAMESPACE}Value") or "").strip()
            if not text:
                continue
            try:
                well = Well(
                    *(
                        whole_number((entry.findtext(f"{_NAMESPACE}{name}") or "").strip())
                        for name in ("Row", "Col")
                    )
                )
            except ValueError:
                problems.append(
                    f"{path.name}, layer {title}: entry {text!r} needs Row and Col, counted from 1"
                )
                continue
            cells.setdefault(well, {})[name] = text
            if unit_cell:
                cells[well] |= [unit_cell]
            places.setdefault(well, {})[name] = f"{path.name}, layer {title}"
    if not cells:
        problems.append(f"{path.name}: no well is filled in (layers: {', '.join(names) or 'none'})")
    if cells and "line" not in names and not line:
        problems.append(
            f"{path.name}: no layer named line (layers found: {', '.join(names)}); every well needs"
            " its cell line: add the layer, or name one line for all wells"
        )
        return [], problems
    entries, more = wells_from(cells, places, line)
    return entries, problems + more
