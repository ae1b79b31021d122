"""Long form: one row per well, a header that names the columns."""

from __future__ import annotations

from plate_maps.conditions import Condition, decimal_marks
from plate_maps.names import tidy
from plate_maps.readers.contents import condition_from
from plate_maps.readers.headers import HEADERS, dose_unit, header_name, read_header
from plate_maps.readers.missing import MissingColumns
from plate_maps.readers.plate_names import choose_plate, unknown_plate
from plate_maps.readers.sheets import Sheet
from plate_maps.wells import Well, row_number, whole_number

# Rows of one plate that are read at most: more than any plate has wells, few enough to list what is
# wrong with them.
MOST_ROWS = 3072
# What a Broad platemap writes, or leaves empty, in pert_type beside a well without a sample.
_SOLVENT_ONLY = ("", "control", "negcon")


_BESIDE_WELLS = frozenset(HEADERS.values()) - {"well", "row", "column"}
# Rows below a list that count it up, as spreadsheets have them.
_TOTALS = frozenset(
    ["total", "totals", "sum", "subtotal", "count", "mean", "average", "grand_total"]
)


def is_total(cell: str) -> bool:
    """Whether a cell heads a row or column of sums."""
    return "_".join(tidy(cell).lower().strip(":").split()) in _TOTALS


def find_header(sheet: Sheet) -> int | None:
    """Index of the first row that names a well column (or row and column), or None.

    A second name that is known tells a header from a sentence of a readme.
    """
    for index, row in enumerate(sheet.rows[:50]):
        names = {header_name(cell) for cell in row if cell}
        if ("well" in names and names & _BESIDE_WELLS) or {"row", "column"} <= names:
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
    headers = [read_header(cell) for cell in sheet.rows[header_index]]
    names = [name for name, _ in headers]
    doubled = sorted({n for n in names if n and names.count(n) > 1})
    if doubled:
        return [], [
            f"{sheet.place(header_index)}: column {', '.join(doubled)} occurs more than once; keep"
            " one"
        ]
    problems: list[str] = []
    units: dict[str, str] = {}
    for name, unit in headers:
        try:
            units |= [dose_unit(name, unit) or ("", "")]
        except ValueError as error:
            return [], [f"{sheet.place(header_index)}: {error}"]
    if "line" not in names and not line:
        problems.append(
            f"{sheet.place(header_index)}: no column named line; every well needs its cell line:"
            " add the column, or name one line for all wells"
        )
    entries: list[tuple[str, Well, Condition]] = []
    doses: dict[str, str] = {}
    chosen = None
    if "plate" in names:
        known = plate_names(sheet)
        chosen = choose_plate(known, plate)
        if chosen is None:
            return [], [*problems, f"{sheet.source}: {unknown_plate(known, plate)}"]
    missing = MissingColumns(
        sheet.place(header_index),
        {*names, *units, *({"dose", "unit"} if "dose_mm" in names else ())},
    )
    rows = 0
    for index, row in enumerate(sheet.rows[header_index + 1 :], start=header_index + 1):
        if not any(row):
            continue
        if is_total(next(filter(None, row))):
            continue
        place = sheet.place(index)
        cells = {name: row[i] if i < len(row) else "" for i, name in enumerate(names) if name}
        for unit_name, unit in units.items():
            cells[unit_name] = cells.get(unit_name) or unit
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
        doses |= {
            f"{place}, well {well}": t for n, t in cells.items() if n.startswith("dose") and t
        }
        try:
            entries.append((place, well, condition_from(with_defaults(cells, line))))
        except ValueError as error:
            if not missing.explains(place, well, error):
                problems.append(f"{place}, well {well}: {error}")
    return entries, problems + missing.problems() + decimal_marks(
        doses, comma_expected=sheet.decimal_comma
    )


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
    if tidy(cells.get("well", "")):
        return Well.parse(tidy(cells["well"]))
    return Well(
        row_number(cells.get("row", "")), whole_number(cells.get("column", "").strip("\"' "))
    )
