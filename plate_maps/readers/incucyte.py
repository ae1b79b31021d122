"""IncuCyte's plate maps (.PlateMap, XML).

The vendor publishes no description of the format. Files of the instrument have `well` elements with
`row` and `col` counted from 0. Each holds `wellItem` elements of a `type` (Compound, CellType,
GrowthCondition), and each of these the `referenceItem` that it refers to, which repeats the type
and has the name. A library of reference items stands before the wells and is not read. Empty wells
are listed too. Anything that does not fit is refused by well and item rather than passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plate_maps.conditions import Condition, is_solvent, parse_dose
from plate_maps.names import shape, tidy
from plate_maps.readers.grid import wells_from
from plate_maps.wells import Well, whole_number

_TYPES = {"compound": "Compound", "celltype": "CellType", "growthcondition": "GrowthCondition"}
_KNOWN = ", ".join(_TYPES.values())
_PLACES = ("", "_2", "_3", "_4")


def read_incucyte(
    path: Path, root: Any, line: str = ""
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Wells as (place, well, condition), and the problems found.

    `root` is the file's XML; the cell type is read as the line.
    """
    cells: dict[Well, dict[str, str]] = {}
    places: dict[Well, dict[str, str]] = {}
    problems: list[str] = []
    described: dict[tuple[str, str], dict[str, Well]] = {}
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
        items = list(_items(element))
        if items and well in cells:
            problems.append(f"{path.name}, well {well}: filled in twice; keep one")
            continue
        well_cells: dict[str, str] = {}
        faults: list[str] = []
        for item in items:
            faults += _take(item, well_cells)
            for kind, name, description in _described(item):
                described.setdefault((kind, name), {}).setdefault(description, well)
        faults = faults or _vehicle(well_cells)
        problems += [f"{path.name}, well {well}: {fault}" for fault in faults]
        # A well with a fault is named once, not again for what the fault left out.
        if items and not faults:
            cells[well] = well_cells
            places[well] = dict.fromkeys(well_cells, path.name)
    problems += [
        f"{path.name}: {kind} {name} has several descriptions: "
        + ", ".join(f"{text!r} at {well}" for text, well in descriptions.items())
        + "; give each its own display name"
        for (kind, name), descriptions in described.items()
        if len(descriptions) > 1
    ]
    if not cells and not problems:
        problems.append(f"{path.name}: no well is filled in")
    entries, more = wells_from(cells, places, line)
    return entries, problems + more


def _take(item: Any, well_cells: dict[str, str]) -> list[str]:
    """Put one item's content into the well's cells; returns what cannot be used."""
    kinds = list(dict.fromkeys(e.get("type") for e in item.iter() if e.get("type")))
    if len({_type(kind) for kind in kinds}) > 1:
        return [f"item {_name(item)} has several types: {', '.join(kinds)}; keep one"]
    kind, name = _type(kinds[0]) if kinds else "", _name(item)
    if not kind:
        what = f"unknown item type {kinds[0]!r}" if kinds else f"item {name!r} without a type"
        return [f"{what}; known: {_KNOWN}"]
    if not name:
        return [f"item {kind} has no name (displayName or description of its referenceItem)"]
    if kind == "CellType":
        given = {
            "line": name,
            "passage": item.get("passage", ""),
            "seeding_density": _amount(item, "seedingDensity"),
        }
        given = {key: value for key, value in given.items() if value}
        if well_cells.get("line", name) != name:
            return [
                f"two cell types, {well_cells['line']} and {name}; one line per well is analysed"
            ]
        well_cells |= given
        return []
    if kind == "Compound":
        return _take_compound(item, name, well_cells)
    # Items stand in the order in which they were clicked.
    conditions = {*filter(None, well_cells.get("growth_condition", "").split("; ")), name}
    well_cells["growth_condition"] = "; ".join(sorted(conditions))
    return []


def _take_compound(item: Any, name: str, well_cells: dict[str, str]) -> list[str]:
    free = [s for s in _PLACES if f"compound{s}" not in well_cells]
    if not free:
        return [f"more than four compounds, the fifth is {name}"]
    well_cells[f"compound{free[0]}"] = name
    # A solvent's number is its fraction (0.1 %), not a dose.
    if is_solvent(name):
        return []
    amount, unit = item.get("concentration", "").strip(), tidy(item.get("concentrationUnits", ""))
    if _is_zero(amount):
        well_cells[f"dose{free[0]}"] = "0"
        return []
    try:
        if amount:
            parse_dose(amount, unit)
            well_cells |= {f"dose{free[0]}": amount, f"unit{free[0]}": unit}
    except ValueError as error:
        return [
            f"item Compound {name}: {error}. Only the number of a solvent may be in %; a supplement"
            " that all wells have is a growth condition"
        ]
    return []


def _vehicle(well_cells: dict[str, str]) -> list[str]:
    """Mark a well of solvents as vehicle; returns why a well without a compound cannot be used."""
    names = {s: well_cells[f"compound{s}"] for s in _PLACES if f"compound{s}" in well_cells}
    if not names and "line" in well_cells:
        return [
            f"cells ({well_cells['line']}) without a compound; add the solvent as a compound of the"
            " well if it is vehicle (such as DMSO), or empty the well"
        ]
    given = [
        s for s, n in names.items() if not is_solvent(n) and well_cells.get(f"dose{s}", "") != "0"
    ]
    solvents = sorted({n for n in names.values() if is_solvent(n)})
    if not given and solvents:
        # A compound at 0 beside its solvent is the ladder's vehicle.
        for suffix in names:
            for cell in ("compound", "dose", "unit"):
                well_cells.pop(f"{cell}{suffix}", None)
        well_cells |= {"compound": " + ".join(solvents), "control": "vehicle"}
    elif not given and names:
        return [
            f"item Compound {', '.join(names.values())} at 0 without a solvent; add the solvent as"
            " a compound of the well if it is vehicle"
        ]
    return []


def _is_zero(amount: str) -> bool:
    try:
        return bool(amount) and float(amount.replace(",", ".")) == 0
    except ValueError:
        return False


def _amount(item: Any, name: str) -> str:
    """A number with its unit; empty for 0, which the instrument writes where none was given."""
    amount = item.get(name, "").strip()
    return "" if _is_zero(amount) else f"{amount} {item.get(f'{name}Units', '')}".strip()


def _items(element: Any) -> Iterator[Any]:
    """The outermost elements that are items: the reference item inside repeats its item's type."""
    for child in element:
        if child.get("type") or _local(child).lower() in ("wellitem", "referenceitem"):
            yield child
        else:
            yield from _items(child)


def _type(text: str) -> str:
    return _TYPES.get(shape(text).replace(" ", ""), "")


def _name(item: Any) -> str:
    """The name of what an item refers to: its own, or that of the element inside it."""
    for key in ("displayName", "name", "description"):
        for element in item.iter():
            if tidy(element.get(key, "")):
                return tidy(element.get(key))
    return ""


def _described(item: Any) -> Iterator[tuple[str, str, str]]:
    """(type, display name, description) of the reference items with both."""
    for element in item.iter():
        shown, description = (tidy(element.get(key, "")) for key in ("displayName", "description"))
        if shown and description:
            yield element.get("type") or item.get("type", ""), shown, description


def _local(element: Any) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def is_incucyte(root: Any) -> bool:
    """Whether the XML is of this kind: it has wells at (row, col)."""
    return any(_local(e) == "well" and e.get("row") is not None for e in root.iter())
