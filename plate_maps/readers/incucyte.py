"""IncuCyte's plate maps (.PlateMap, XML).

A well holds items, each a cell type, a compound at a concentration, or a growth condition. The
vendor publishes no description of the format. What is read here is its outline as users' programs
read it: `well` elements with `row` and `col` counted from 0, in them items with a `type` (Compound,
CellType, GrowthCondition) and a referenced name. No file of the instrument was at hand; anything
that does not fit is refused by name rather than passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plate_maps.conditions import SOLVENTS, Condition
from plate_maps.names import shape
from plate_maps.readers.grid import wells_from
from plate_maps.wells import Well, whole_number


def read_incucyte(
    path: Path, root: Any, line: str = ""
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Wells as (place, well, condition), and the problems found.

    `root` is the file's XML; the cell type is read as the line.
    """
    cells: dict[Well, dict[str, str]] = {}
    places: dict[Well, dict[str, str]] = {}
    problems: list[str] = []
    for element in root.iter():
        if _local(element) != "well":
            continue
        try:
            well = Well(
                *(whole_number(element.get(name, "").strip()) + 1 for name in ("row", "col"))
            )
        except ValueError:
            problems.append(f"{path.name}: a well element needs row and col, counted from 0")
            continue
        well_cells: dict[str, str] = {}
        for item in _items(element):
            problems += [f"{path.name}, well {well}: {fault}" for fault in _take(item, well_cells)]
        if well_cells:
            names = [t for n, t in well_cells.items() if n.startswith("compound")]
            if names and all(shape(name) in SOLVENTS for name in names):
                well_cells["control"] = "vehicle"
            cells[well] = well_cells
            places[well] = dict.fromkeys(well_cells, path.name)
    if not cells:
        problems.append(f"{path.name}: no well is filled in")
    entries, more = wells_from(cells, places, line)
    return entries, problems + more


def _take(item: Any, well_cells: dict[str, str]) -> list[str]:
    """Put one item's content into the well's cells; returns what cannot be used."""
    kind, name = item.get("type", ""), _name(item)
    if kind == "CellType":
        if "line" in well_cells:
            return [
                f"two cell types, {well_cells['line']} and {name}; one line per well is analysed"
            ]
        well_cells["line"] = name
        well_cells |= {
            kept: item.get(given)
            for given, kept in (("passage", "passage"), ("seedingDensity", "seeding_density"))
            if item.get(given)
        }
        return []
    if kind == "Compound":
        free = [s for s in ("", "_2", "_3", "_4") if f"compound{s}" not in well_cells]
        if not free:
            return [f"more than four compounds, the fifth is {name}"]
        well_cells[f"compound{free[0]}"] = name
        # A solvent's number is its fraction (0.1 %), not a dose.
        if shape(name) not in SOLVENTS and item.get("concentration"):
            well_cells |= {
                f"dose{free[0]}": item.get("concentration"),
                f"unit{free[0]}": item.get("concentrationUnits", ""),
            }
        return []
    if kind == "GrowthCondition":
        well_cells["growth_condition"] = "; ".join(
            filter(None, (well_cells.get("growth_condition"), name))
        )
        return []
    return [f"unknown item type {kind!r}; known: CellType, Compound, GrowthCondition"]


def _items(element: Any) -> Iterator[Any]:
    """The outermost elements with a type: the item in the library repeats its well item's."""
    for child in element:
        if child.get("type"):
            yield child
        else:
            yield from _items(child)


def _name(item: Any) -> str:
    """The name of what an item refers to: its own, or that of the element inside it."""
    for element in item.iter():
        for key in ("displayName", "name", "description"):
            if element.get(key):
                return str(element.get(key)).strip()
    return ""


def _local(element: Any) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def is_incucyte(root: Any) -> bool:
    """Whether the XML is of this kind: it has wells at (row, col)."""
    return any(_local(e) == "well" and e.get("row") is not None for e in root.iter())
