"""Grid form: the sheet looks like the plate, one block per property.

A block's corner cell names the property ("line", "compound", "dose (µM)"), the cells to its right
are the column numbers 1, 2, 3 … and the cells below it the row letters. Blocks stand one below the
other in one sheet, or one per sheet (then the sheet's name may name the property where the corner
is empty).
"""

from __future__ import annotations

import re

from plate_maps.conditions import Condition, molar_factor
from plate_maps.readers.long import HEADERS, condition_from, header_name, with_defaults
from plate_maps.readers.sheets import Sheet
from plate_maps.wells import Well, is_whole_number, row_number, whole_number

WITH_UNIT = re.compile(r"^(.*?)\s*[(\[]\s*([^)\]]+?)\s*[)\]]\s*$")


def _is_number_row(cells: list[str]) -> bool:
    """Whether the cells read 1, 2, 3 … with nothing but blanks after."""
    filled = [c for c in cells if c]
    return (
        len(filled) >= 2
        and filled == [str(i) for i in range(1, len(filled) + 1)]
        and cells[: len(filled)] == filled
    )


def find_blocks(sheet: Sheet) -> list[int]:
    """Indices of the rows that open a block."""
    return [
        i
        for i, row in enumerate(sheet.rows)
        if row and _is_number_row([_plain(c) for c in row[1:]])
    ]


def _plain(cell: str) -> str:
    return str(whole_number(cell)) if is_whole_number(cell) else cell


def read_grid(
    sheets: list[Sheet], line: str = ""
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Wells as (place, well, condition) from all blocks of all sheets, and the problems found."""
    problems: list[str] = []
    cells: dict[Well, dict[str, str]] = {}
    places: dict[Well, dict[str, str]] = {}
    seen: dict[str, str] = {}
    for sheet in sheets:
        for start in find_blocks(sheet):
            corner = sheet.rows[start][0] or sheet.source.rsplit("sheet ", 1)[-1]
            match = WITH_UNIT.match(corner)
            title, unit = (match.group(1), match.group(2)) if match else (corner, None)
            name = header_name(title)
            if unit is not None and name == "dose":
                try:
                    molar_factor(unit)
                except ValueError as error:
                    problems.append(f"{sheet.place(start)}: {error}")
                    continue
            if name in seen:
                problems.append(
                    f"{sheet.place(start)}: block {title} was given before, at"
                    f" {seen[name]}; keep one"
                )
                continue
            seen[name] = sheet.place(start)
            width = sum(1 for c in sheet.rows[start][1:] if c)
            for index in range(start + 1, len(sheet.rows)):
                row = sheet.rows[index]
                if not row or not row[0]:
                    break
                try:
                    number = row_number(row[0])
                except ValueError as error:
                    problems.append(f"{sheet.place(index)}: {error}")
                    break
                for column in range(1, width + 1):
                    text = row[column] if column < len(row) else ""
                    if not text:
                        continue
                    well = Well(number, column)
                    cells.setdefault(well, {})[name] = text
                    if name == "dose" and unit:
                        cells[well]["unit"] = unit
                    places.setdefault(well, {})[name] = (
                        f"{sheet.place(index)}, column {column} ({title} block)"
                    )
                if any(row[width + 1 :]):
                    problems.append(
                        f"{sheet.place(index)}: there are values to the right of the last numbered"
                        " column; number their columns or delete them"
                    )
    if "line" not in seen and not line:
        titles = ", ".join(seen) or "none"
        problems.append(
            f"{sheets[0].source}: no block named line (blocks found: {titles}); every well needs"
            " its cell line: add the block, or name one line for all wells"
        )
        return [], problems
    entries, more = wells_from(cells, places, line)
    return entries, problems + more


def wells_from(
    cells: dict[Well, dict[str, str]], places: dict[Well, dict[str, str]], line: str
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Wells as (place, well, condition) from the cells of each well, property by property.

    `line` is the line of wells without one.
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
            problems.append(f"{place}, well {well}: {error}")
    return entries, problems
