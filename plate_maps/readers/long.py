"""Long form: one row per well, a header that names the columns."""

from __future__ import annotations

import re

from plate_maps.conditions import Condition, Control, parse_dose
from plate_maps.readers.sheets import Sheet
from plate_maps.wells import Well, row_number, whole_number

# The words that labs write over the columns ► our names.
HEADERS: dict[str, str] = {
    "well": "well",
    "well_id": "well",
    "wellid": "well",
    "well_name": "well",
    "position": "well",
    "well_position": "well",
    "row": "row",
    "col": "column",
    "column": "column",
    "line": "line",
    "cell_line": "line",
    "cellline": "line",
    "line_id": "line",
    "cell_line_id": "line",
    "genotype": "genotype",
    "mutation": "genotype",
    "compound": "compound",
    "drug": "compound",
    "treatment": "compound",
    "compound_name": "compound",
    "dose": "dose",
    "concentration": "dose",
    "conc": "dose",
    "unit": "unit",
    "units": "unit",
    "dose_unit": "unit",
    "concentration_unit": "unit",
    "control": "control",
    "control_type": "control",
    "well_type": "control",
    "role": "control",
    "plate": "plate",
    "barcode": "plate",
    "plate_barcode": "plate",
    "assay_plate_barcode": "plate",
    "metadata_plate": "plate",
    "plate_map_name": "plate_map_name",
    "batch": "batch",
    "differentiation_batch": "batch",
    "differentiation": "batch",
    "replicate": "replicate",
    "rep": "replicate",
    # JUMP and Broad platemaps
    "broad_sample": "compound",
    "mmoles_per_liter": "dose_mm",
    "solvent": "solvent",
    "pert_type": "control",
}


# Rows of one plate that are read at most: more than any plate has wells, few enough to list what is
# wrong with them.
MOST_ROWS = 3072
# What a Broad platemap writes, or leaves empty, in pert_type beside a well without a sample.
_SOLVENT_ONLY = ("", "control", "negcon")


def header_name(cell: str) -> str:
    """Our name of a column header, or the header itself in lower case if it is an annotation."""
    word = cell.strip().lower().replace(" ", "_").replace("-", "_")
    return HEADERS.get(word, word)


def find_header(sheet: Sheet) -> int | None:
    """Index of the first row that names a well column (or row and column), or None."""
    for index, row in enumerate(sheet.rows[:50]):
        names = {header_name(cell) for cell in row if cell}
        if "well" in names or {"row", "column"} <= names:
            return index
    return None


def plate_names(sheet: Sheet) -> list[str]:
    """Plates of a sheet with a column for them, in order; empty without."""
    header = find_header(sheet)
    if header is None:
        return []
    names = [header_name(cell) for cell in sheet.rows[header]]
    if "plate" not in names:
        return []
    column = names.index("plate")
    cells = (row[column] for row in sheet.rows[header + 1 :] if len(row) > column)
    return list(dict.fromkeys(filter(None, cells)))


def choose_plate(known: list[str], wanted: str) -> str | None:
    """The plate that is meant by a name, or None.

    It is the only plate, the plate of that name, or the longest plate name contained in the wanted
    one (a scan's folder, say).
    """
    if not wanted:
        return known[0] if len(known) == 1 else None
    exact = [n for n in known if n.casefold() == wanted.casefold()]
    inside = [
        n
        for n in known
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(n)}(?![A-Za-z0-9])", wanted, re.IGNORECASE)
    ]
    return next(iter(exact or sorted(inside, key=len, reverse=True)), None)


def unknown_plate(known: list[str], wanted: str) -> str:
    """Message for a map of several plates where `choose_plate` finds none."""
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    advice = f"none of them is called {wanted!r}" if wanted else "name the plate to be read"
    return f"the map is of plates {shown or '(none named)'}; {advice}"


def read_long(
    sheet: Sheet, line: str = "", plate: str = ""
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Rows as (place, well, condition), and the problems found.

    Empty rows are passed over; `line` is the line of rows without one. Of a sheet with a column of
    plates only the rows of the plate called `plate` are taken, as `choose_plate` has it.
    """
    header_index = find_header(sheet)
    if header_index is None:
        return [], [f"{sheet.source}: no column named well"]
    names = [header_name(cell) for cell in sheet.rows[header_index]]
    doubled = sorted({n for n in names if n and names.count(n) > 1})
    if doubled:
        return [], [
            f"{sheet.place(header_index)}: column {', '.join(doubled)} occurs more than once; keep"
            " one"
        ]
    problems: list[str] = []
    if "line" not in names and not line:
        problems.append(
            f"{sheet.place(header_index)}: no column named line; every well needs its cell line:"
            " add the column, or name one line for all wells"
        )
    entries: list[tuple[str, Well, Condition]] = []
    chosen = None
    if "plate" in names:
        known = plate_names(sheet)
        chosen = choose_plate(known, plate)
        if chosen is None:
            return [], [*problems, f"{sheet.source}: {unknown_plate(known, plate)}"]
    rows = 0
    for index, row in enumerate(sheet.rows[header_index + 1 :], start=header_index + 1):
        if not any(row):
            continue
        place = sheet.place(index)
        cells = {name: row[i] if i < len(row) else "" for i, name in enumerate(names) if name}
        if chosen is not None:
            if not cells["plate"]:
                problems.append(
                    f"{place}: the plate is missing, but other rows name one; fill it in"
                )
            if cells["plate"] != chosen:
                continue
        rows += 1
        if rows > MOST_ROWS:
            problems.append(
                f"{place}: more than {MOST_ROWS:,} rows for one plate; the largest plate has"
                " 1,536 wells"
            )
            break
        try:
            well = _well(cells)
        except ValueError as error:
            problems.append(f"{place}: {error}")
            continue
        try:
            entries.append((place, well, condition_from(with_defaults(cells, line))))
        except ValueError as error:
            problems.append(f"{place}, well {well}: {error}")
    return entries, problems


def with_defaults(cells: dict[str, str], line: str) -> dict[str, str]:
    """Fill in the line of the whole map, and spell out the conventions of a Broad platemap.

    There a well without a sample holds the solvent only, and the dose column carries its unit in
    its name.
    """
    filled = dict(cells)
    if line and not filled.get("line"):
        filled["line"] = line
    if "dose_mm" in filled:
        filled |= {"dose": filled.pop("dose_mm"), "unit": "mM"}
        if not filled.get("compound") and filled.get("control", "").lower() in _SOLVENT_ONLY:
            filled |= {"compound": filled.get("solvent") or "DMSO", "control": "vehicle"}
    return filled


def _well(cells: dict[str, str]) -> Well:
    """The well of a row, from one column or from row and column."""
    if cells.get("well"):
        return Well.parse(cells["well"])
    return Well(
        row_number(cells.get("row", "")), whole_number(cells.get("column", "").strip("\"' "))
    )


def condition_from(cells: dict[str, str]) -> Condition:
    """Condition from named cells, shared by the long and the grid form.

    Raises ValueError saying what is wrong.
    """
    line, compound = cells.get("line", ""), cells.get("compound", "")
    control = Control.parse(cells.get("control", ""))
    dose_text = cells.get("dose", "")
    if not line:
        raise ValueError("the cell line is missing")
    dose: float | None
    if control is Control.VEHICLE:
        # A vehicle's number is its solvent fraction (0.1 % DMSO), not a dose of a compound.
        dose = 0.0
    elif dose_text:
        dose = parse_dose(dose_text, cells.get("unit"))
    elif control is Control.NONE and compound:
        raise ValueError(
            f"compound {compound} has no dose; give one, or mark the well as a control"
        )
    else:
        dose = None
    if control is Control.NONE and not compound:
        raise ValueError(
            "neither a compound nor a control is given; mark untreated vehicle wells as vehicle"
        )
    if control is Control.NONE and dose == 0.0:
        raise ValueError(
            f"{compound} at dose 0 is a vehicle well; mark it as vehicle in the control column"
        )
    known = set(HEADERS.values())
    return Condition(
        line=line,
        compound=compound,
        dose_molar=dose,
        control=control,
        genotype=cells.get("genotype", ""),
        batch=cells.get("batch", ""),
        replicate=cells.get("replicate", ""),
        annotations=tuple(sorted((k, v) for k, v in cells.items() if k not in known and v)),
    )
