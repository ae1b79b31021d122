"""Grid form: the sheet looks like the plate, one block per property.

A block's corner cell names the property ("line", "compound", "dose (µM)"), the cells to its right
are the column numbers 1, 2, 3 … and the cells below it the row letters. Blocks stand one below the
other in one sheet, or one per sheet (then the sheet's name may name the property where the corner
is empty).
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from plate_maps.conditions import Condition, decimal_marks
from plate_maps.readers.contents import condition_from
from plate_maps.readers.headers import HEADERS, dose_unit, is_treatment, read_header
from plate_maps.readers.long import is_total, with_defaults
from plate_maps.readers.missing import MissingColumns
from plate_maps.readers.sheets import Sheet
from plate_maps.wells import Well, is_whole_number, row_number, whole_number

# A plate's row: one letter, or AA to AF. Longer words are text.
_ROW = re.compile(r"[A-Za-z]|A[A-F]|a[a-f]")
_MOST_COLUMNS = 48
_PROPERTIES = ("line", "genotype", "compound", "dose", "control", "batch", "replicate")


def _columns(cells: list[str]) -> dict[int, int] | None:
    """Index ► column number of a row of rising numbers; None for any other row.

    A column of totals at its end does not count.
    """
    numbers = {i: cell for i, cell in enumerate(cells, start=1) if cell and not is_total(cell)}
    if len(numbers) < 2 or not all(map(is_whole_number, numbers.values())):
        return None
    columns = {i: whole_number(cell) for i, cell in numbers.items()}
    rising = all(a < b for a, b in pairwise(columns.values()))
    return columns if rising and 1 <= min(columns.values()) <= _MOST_COLUMNS else None


def _header(sheet: Sheet, index: int) -> dict[int, int] | None:
    """Column numbers of the row that opens a block: 1, 2, 3 …, or others over a plate's row."""
    row = sheet.rows[index]
    if not row or _ROW.fullmatch(row[0]) or is_whole_number(row[0]):
        return None
    columns = _columns(row[1:])
    if columns is None or list(columns.values()) == list(range(1, len(columns) + 1)):
        return columns
    below = sheet.rows[index + 1] if index + 1 < len(sheet.rows) else []
    return columns if below and _ROW.fullmatch(below[0]) else None


def _rows(sheet: Sheet, start: int) -> list[int]:
    """Indices of the rows of the block that opens at `start`: up to an empty first cell."""
    rows: list[int] = []
    for index in range(start + 1, len(sheet.rows)):
        row = sheet.rows[index]
        if not row or not row[0] or _header(sheet, index) is not None:
            break
        rows.append(index)
    return rows


def find_blocks(sheet: Sheet) -> list[int]:
    """Indices of the rows that open a block."""
    return [i for i in range(len(sheet.rows)) if _header(sheet, i) is not None]


def without_margin(sheet: Sheet) -> Sheet:
    """The sheet without empty columns at its left."""
    filled = [next((i for i, cell in enumerate(row) if cell), None) for row in sheet.rows]
    margin = min((i for i in filled if i is not None), default=0)
    return replace(sheet, rows=[row[margin:] for row in sheet.rows]) if margin else sheet


def plate_rows(sheet: Sheet) -> list[int]:
    """Indices of rows that look like a plate's: a row letter and values.

    One value is enough below a row of several cells or below the name of a property; elsewhere
    ("A | riluzole") it is a legend.
    """
    indices: list[int] = []
    below_header = False
    for i, row in enumerate(sheet.rows):
        if row and _ROW.fullmatch(row[0]):
            if any(row[1:]) and (below_header or sum(map(bool, row[1:])) >= 2):
                indices.append(i)
        else:
            name = read_header(row[0])[0] if row else ""
            below_header = sum(map(bool, row)) > 2 or (
                name in _PROPERTIES
                or name.startswith(("compound_", "dose_"))
                or is_treatment(name, ())
            )
    return indices


def read_grid(
    sheets: list[Sheet], line: str = ""
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Wells as (place, well, condition) from all blocks of all sheets, and the problems found."""
    problems: list[str] = []
    cells: dict[Well, dict[str, str]] = {}
    places: dict[Well, dict[str, str]] = {}
    seen: dict[str, str] = {}
    for sheet in map(without_margin, sheets):
        taken: set[int] = set()
        for start in find_blocks(sheet):
            corner = sheet.rows[start][0] or sheet.source.rsplit("sheet ", 1)[-1]
            rows = _rows(sheet, start)
            taken.update(rows)
            name, unit = read_header(corner)
            try:
                unit_cell = dose_unit(name, unit)
            except ValueError as error:
                problems.append(f"{sheet.place(start)}: {error}")
                continue
            if name in seen:
                problems.append(
                    f"{sheet.place(start)}: block {corner} was given before, at"
                    f" {seen[name]}; keep one"
                )
                continue
            seen[name] = sheet.place(start)
            columns = _header(sheet, start) or {}
            sums = {i for i, cell in enumerate(sheet.rows[start]) if cell and is_total(cell)}
            for index in rows:
                row = sheet.rows[index]
                if is_total(row[0]):
                    continue
                try:
                    number = row_number(row[0])
                except ValueError as error:
                    problems.append(f"{sheet.place(index)}: {error}")
                    break
                for position, text in enumerate(row):
                    if not text or position in sums or position == 0:
                        continue
                    if position not in columns:
                        problems.append(
                            f"{sheet.place(index)}: {text!r} stands under no column number of block"
                            f" {corner}; number its column or delete it"
                        )
                        continue
                    column = columns[position]
                    well = Well(number, column)
                    cells.setdefault(well, {})[name] = text
                    if unit_cell:
                        cells[well] |= [unit_cell]
                    places.setdefault(well, {})[name] = (
                        f"{sheet.place(index)}, column {column} ({corner} block)"
                    )
        problems += [
            f"{sheet.place(i)}: row {sheet.rows[i][0]} belongs to no block; put a row with the"
            " property's name and the column numbers, rising from left to right, directly above the"
            " block, without empty rows inside it"
            for i in plate_rows(sheet)
            if i not in taken
        ]
    if "line" not in seen and not line:
        titles = ", ".join(seen) or "none"
        problems.append(
            f"{sheets[0].source}: no block named line (blocks found: {titles}); every well needs"
            " its cell line: add the block, or name one line for all wells"
        )
        return [], problems
    units = {name for texts in cells.values() for name in texts}
    missing = MissingColumns(sheets[0].source, {*seen, *units}, "block")
    entries, more = wells_from(cells, places, line, missing)
    semicolons = any(sheet.decimal_comma for sheet in sheets)
    doses = {
        f"{places[well][name]}, well {well}": text
        for well, texts in cells.items()
        for name, text in texts.items()
        if name.startswith("dose") and name in places[well]
    }
    return entries, problems + more + decimal_marks(doses, comma_expected=semicolons)


def wells_from(
    cells: dict[Well, dict[str, str]],
    places: dict[Well, dict[str, str]],
    line: str,
    missing: MissingColumns | None = None,
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Wells as (place, well, condition) from the cells of each well, property by property.

    `line` is the line of wells without one. Faults of a block that the map lacks go to `missing`.
    """
    entries: list[tuple[str, Well, Condition]] = []
    problems: list[str] = []
    for well in sorted(cells):
        wanted = {k: v for k, v in cells[well].items() if k in HEADERS.values()}
        if set(wanted) <= {"unit", "genotype", "batch", "replicate"} and len(wanted) == len(
            cells[well]
        ):
            # a plate-wide block (a batch in every well) does not make an empty well a used one
            continue
        try:
            entries.append(
                (
                    next(iter(places[well].values())),
                    well,
                    condition_from(with_defaults(cells[well], line)),
                )
            )
        except ValueError as error:
            # The cell that the message quotes is the one to look at; a well's cells stand in
            # several blocks.
            quoted = [
                name
                for name, text in cells[well].items()
                if repr(text) in str(error) and name in places[well]
            ]
            place = places[well][quoted[0]] if quoted else next(iter(places[well].values()))
            if missing is None or not missing.explains(place, well, error):
                problems.append(f"{place}, well {well}: {error}")
    return entries, problems + (missing.problems() if missing is not None else [])
