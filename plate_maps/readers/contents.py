"""What a well holds, from its cells: one compound, a combination of several, or a control.

A combination is a condition of its own, named by its compounds and their doses
("edaravone 3 µM + riluzole 1 µM"), whatever their order in the map. It has one dose, the sum, so
that its effect is read and no curve is fitted: a curve against vehicle would give the second
compound's effect to the first.
"""

from __future__ import annotations

import re

from plate_maps.conditions import (
    ColumnNeeded,
    Condition,
    Control,
    format_dose,
    is_solvent,
    parse_dose,
)
from plate_maps.names import cell_error, damaged_name, is_date, shape, tidy
from plate_maps.readers.headers import HEADERS

_EXTRAS = ("_2", "_3", "_4")
_NAMES = ("line", "compound", "genotype", "batch", *(f"compound{s}" for s in _EXTRAS))
_WITH_DOSE = re.compile(r"(.*\S)\s+([0-9.,]+\s*[munpµμ]?M)")


def condition_from(given: dict[str, str]) -> Condition:
    """Condition from named cells, shared by all forms of a map.

    Raises ValueError saying what is wrong.
    """
    cells = {k: v if k in _NAMES else tidy(v) for k, v in given.items()}
    control = Control.parse(cells.get("control", ""))
    for name, text in cells.items():
        made = cell_error(text)
        if name in _NAMES and name != "batch":
            made = damaged_name(text)
        elif name == "dose" and is_date(text):
            made = "a date"
        if made:
            raise ValueError(
                f"{name} {text!r} is {made}, as a spreadsheet makes of names and numbers; format"
                " the column as text and write it again"
            )
    if not tidy(cells.get("line", "")):
        raise ColumnNeeded(
            "the cell line is missing; fill it in, or name one for all wells without (protocol:"
            " acquisition.line; plate-map check: --line)",
            "line",
        )
    if any(cells.get(f"{word}{s}") for word in ("compound", "dose") for s in _EXTRAS):
        compound, dose = _several(cells, control)
    else:
        compound, dose = _single(cells, control)
    known = set(HEADERS.values()) | {f"unit{s}" for s in _EXTRAS}
    return Condition(
        line=cells["line"],
        compound=compound,
        dose_molar=dose,
        control=control,
        genotype=cells.get("genotype", ""),
        batch=cells.get("batch", ""),
        replicate=cells.get("replicate", ""),
        annotations=tuple(sorted((k, v) for k, v in given.items() if k not in known and v)),
    )


def compounds_of(condition: Condition) -> list[str]:
    """Names of the compounds in a well, as written in the map."""
    if not any(name.startswith("compound_") for name, _ in condition.annotations):
        return [condition.compound]
    parts = condition.compound.split(" + ")
    return [match.group(1) if (match := _WITH_DOSE.fullmatch(p)) else p for p in parts]


def _single(cells: dict[str, str], control: Control) -> tuple[str, float | None]:
    compound, dose_text = cells.get("compound", ""), cells.get("dose", "")
    dose: float | None
    if control is Control.VEHICLE:
        # A vehicle's number is its solvent fraction (0.1 % DMSO), not a dose of a compound.
        dose = 0.0
    elif dose_text:
        dose = parse_dose(dose_text, cells.get("unit"))
    elif control is Control.NONE and compound:
        raise ColumnNeeded(
            f"compound {compound} has no dose; give one, or mark the well as a control",
            "control" if is_solvent(compound) else "dose",
        )
    else:
        dose = None
    if control is Control.NONE and not compound:
        raise ColumnNeeded(
            "neither a compound nor a control is given; mark untreated vehicle wells as vehicle",
            "compound",
            "control",
        )
    if control is Control.NONE and dose == 0.0:
        raise ColumnNeeded(
            f"{compound} at dose 0 is a vehicle well; mark it as vehicle in the control column",
            "control",
        )
    return compound, dose


def _several(cells: dict[str, str], control: Control) -> tuple[str, float | None]:
    """The compounds of a well with columns for more than one; solvents and doses of 0 are none."""
    parts: dict[str, float] = {}
    for suffix in ("", *_EXTRAS):
        if suffix == "" and control is Control.VEHICLE:
            continue
        part = _part(cells, suffix)
        if part is None:
            continue
        name, dose = part
        if any(shape(name) == shape(other) for other in parts):
            raise ValueError(f"compound {name} is given twice; write its total dose once")
        parts[name] = dose
    if control is Control.VEHICLE:
        if parts:
            raise ValueError(
                f"the well is marked as vehicle and holds {_named(parts)}; clear the mark if it is"
                " a treatment of its own; if every well of the line holds it, name the column"
                " background"
            )
        return cells.get("compound", ""), 0.0
    if not parts and control is Control.NONE:
        raise ColumnNeeded(
            "all compounds of the well are solvents or at dose 0; mark it as vehicle in the control"
            " column",
            "control",
        )
    if len(parts) < 2:
        return next(iter(parts.items()), (cells.get("compound", ""), None))
    return _named(parts), float(f"{sum(parts.values()):.12g}")


def _part(cells: dict[str, str], suffix: str) -> tuple[str, float] | None:
    name, dose_text = cells.get(f"compound{suffix}", ""), cells.get(f"dose{suffix}", "")
    if not dose_text and suffix and (match := _WITH_DOSE.fullmatch(name)):
        name, dose_text = match.groups()
    if is_solvent(name) or (not name and not dose_text):
        return None
    if not dose_text:
        raise ColumnNeeded(
            f"compound {name} has no dose; wells with several compounds need the dose of each",
            f"dose{suffix}",
        )
    unit = cells.get(f"unit{suffix}")
    if not unit and "m" not in dose_text.lower():
        unit = cells.get("unit")
    dose = parse_dose(dose_text, unit)
    if dose == 0.0:
        return None
    if not name:
        raise ValueError(
            f"dose {dose_text!r} has no compound; name it in a column compound{suffix}"
        )
    return name, dose


def _named(parts: dict[str, float]) -> str:
    return " + ".join(
        f"{name} {format_dose(dose, 12)}"
        for name, dose in sorted(parts.items(), key=lambda part: (shape(part[0]), part[1]))
    )
