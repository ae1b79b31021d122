"""Read a plate map: choose the reader by the file, then check the wells together."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

from plate_maps.conditions import Condition
from plate_maps.names import look_alikes, tidy
from plate_maps.plate_map import PlateMap, PlateMapError
from plate_maps.readers.contents import compounds_of
from plate_maps.readers.grid import find_blocks, plate_rows, read_grid, without_margin
from plate_maps.readers.harmony_layout import read_harmony_layout
from plate_maps.readers.headers import header_name
from plate_maps.readers.incucyte import is_incucyte, read_incucyte
from plate_maps.readers.long import find_header, plate_names, read_long
from plate_maps.readers.plate_names import choose_plate, unknown_plate
from plate_maps.readers.sheets import Sheet, parse_xml, read_sheets
from plate_maps.readers.treatments import divided_wells
from plate_maps.readers.wellmap_toml import read_wellmap
from plate_maps.wells import PlateFormat, Well, smallest_format


def read_plate_map(
    path: str | PathLike[str],
    plate_format: PlateFormat | None = None,
    line: str = "",
    plate: str = "",
) -> PlateMap:
    """Read a plate map from any of the files that labs have.

    Long or grid form from CSV, TSV or XLSX, a JUMP or Broad platemap, a wellmap layout (TOML),
    Harmony's assay layout or an IncuCyte PlateMap (XML).

    Parameters
    ----------
    path
        The file.
    plate_format
        The scanned plate's format, where known; a well outside it is refused. Without it the
        smallest standard plate that holds all wells is taken.
    line
        Cell line of wells that name none, for maps that know compounds only.
    plate
        Which plate of a map of several: its barcode, or a name that holds it, such as the scan's
        folder.

    Raises
    ------
    PlateMapError
        Every fault at once, each with file, row and well: unreadable names and doses, doses without
        unit, duplicate and off-plate wells, lines with two genotypes. A map without any vehicle
        well is read; `check` names it.

    Examples
    --------
    >>> from plate_maps import read_plate_map
    >>> plate_map = read_plate_map("plate_map.csv")
    >>> plate_map
    PlateMap('plate_map.csv', 384-well (16 × 24), 24 wells, 3 lines, 2 compounds)
    >>> plate_map["B04"].compound, plate_map["B04"].dose_molar
    ('toxic-1', 9.558e-06)
    """
    path = Path(path)
    conditions, problems = _conditions(path, plate_format, line, plate)
    problems += [f"{path.name}: {sentence}" for sentence in divided_wells(conditions)]
    return _checked(path, conditions, problems, plate_format)


def read_divided(
    path: str | PathLike[str],
    column: str,
    plate_format: PlateFormat | None = None,
    line: str = "",
    plate: str = "",
) -> dict[str, PlateMap]:
    """Read a map whose wells differ in a treatment: value of its column ► map of these wells.

    Each value is a plate of its own, with its own vehicle wells. Raises PlateMapError as
    `read_plate_map`, and where no well has the column.
    """
    path = Path(path)
    conditions, problems = _conditions(path, plate_format, line, plate)
    parts: dict[str, dict[Well, Condition]] = {}
    for well, c in conditions.items():
        parts.setdefault(dict(c.annotations).get(column, ""), {})[well] = c
    known = sorted({name for c in conditions.values() for name, _ in c.annotations})
    if not problems and column not in known:
        problems.append(
            f"{path.name}: no well has {column}; the map has {', '.join(known) or 'no such column'}"
        )
    problems += [f"{path.name}: {s}" for part in parts.values() for s in divided_wells(part)]
    if problems:
        raise PlateMapError(path.name, problems)
    return {value: _checked(path, parts[value], [], plate_format) for value in sorted(parts)}


def _conditions(
    path: Path, plate_format: PlateFormat | None, line: str, plate: str
) -> tuple[dict[Well, Condition], list[str]]:
    """Wells of a map, and the problems found but for treatments in which wells differ."""
    entries, problems = _entries(path, line, plate)
    if not entries and not problems:
        problems.append(f"{path.name}: no well is filled in")
    first: dict[Well, str] = {}
    conditions: dict[Well, Condition] = {}
    for place, well, condition in entries:
        if plate_format is not None and well not in plate_format:
            problems.append(
                f"{place}, well {well}: outside the {plate_format} plate that was scanned"
            )
        if well in first:
            problems.append(f"{place}, well {well}: given before, at {first[well]}; keep one")
            continue
        first[well] = place
        conditions[well] = condition
    problems += _genotype_conflicts(path.name, conditions)
    problems += [f"{path.name}: {sentence}" for sentence in _look_alikes(conditions)]
    return conditions, problems


def _checked(
    path: Path,
    conditions: dict[Well, Condition],
    problems: list[str],
    plate_format: PlateFormat | None,
) -> PlateMap:
    if problems:
        raise PlateMapError(path.name, problems)
    try:
        fmt = plate_format or smallest_format(list(conditions))
    except ValueError as error:
        raise PlateMapError(path.name, [str(error)]) from error
    return PlateMap(fmt, {w: _tidied(c) for w, c in sorted(conditions.items())}, path.name)


def plates_of_map(path: str | PathLike[str]) -> list[str]:
    """Names of the plates in a map of several plates, in order.

    Empty for a map of one plate that does not name it. Raises PlateMapError.

    Examples
    --------
    >>> from plate_maps import plates_of_map
    >>> plates_of_map("plate_map.csv")
    []
    """
    path = Path(path)
    if path.suffix.lower() in _XML or not path.is_file():
        return []
    sheets = _sheets(path)
    barcodes = _barcodes(sheets[0]) if sheets else None
    return (
        list(barcodes)
        if barcodes is not None
        else [name for sheet in _long_sheets(sheets)[:1] for name in plate_names(sheet)]
    )


_XML = (".xml", ".platemap")


def _sheets(path: Path) -> list[Sheet]:
    return (
        read_wellmap(path)
        if path.suffix.lower() == ".toml" and path.is_file()
        else read_sheets(path)
    )


def _barcodes(sheet: Sheet) -> dict[str, str] | None:
    """Plate ► name of its map, of a JUMP barcode table; None for any other sheet."""
    if not sheet.rows:
        return None
    names = [header_name(cell) for cell in sheet.rows[0]]
    if "plate" not in names or "plate_map_name" not in names or "well" in names:
        return None
    plate, named = names.index("plate"), names.index("plate_map_name")
    return {
        row[plate]: row[named]
        for row in sheet.rows[1:]
        if len(row) > max(plate, named) and row[plate]
    }


def _entries(
    path: Path, line: str, plate: str
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    if path.suffix.lower() in _XML and path.is_file():
        root = parse_xml(path)
        if root.tag.endswith("AssayLayout"):
            return read_harmony_layout(path, root, line)
        if is_incucyte(root):
            return read_incucyte(path, root, line)
        raise PlateMapError(
            path.name,
            [
                f"the XML element {root.tag.rsplit('}', 1)[-1]} is not known; known: Harmony's"
                " AssayLayout and IncuCyte's PlateMap"
            ],
        )
    sheets = _sheets(path)
    barcodes = _barcodes(sheets[0]) if sheets else None
    if barcodes is not None:
        return _of_barcode(path, barcodes, line, plate)
    if not sheets:
        raise PlateMapError(path.name, ["the file is empty"])
    grids = [sheet for sheet in sheets if find_blocks(without_margin(sheet))]
    lists = _long_sheets(sheets)
    if grids and lists:
        return [], [
            f"{lists[0].source} is in long form and {grids[0].source} in grid form; keep the one"
            " that is the map"
        ]
    # A sheet of text, such as a readme, is passed over; one that looks like a plate is not.
    strays = [
        f"{sheet.place(rows[0])}: row {sheet.rows[rows[0]][0]} belongs to no block; put the"
        " property's name and the column numbers above the rows"
        for sheet in map(without_margin, sheets)
        if sheet.source not in {s.source for s in (*grids, *lists)} and (rows := plate_rows(sheet))
    ]
    if grids:
        entries, problems = read_grid(grids, line)
        return entries, problems + strays
    if not lists:
        raise PlateMapError(
            path.name,
            [
                "the file has neither a column named well (long form) nor rows A, B, C … under"
                " columns 1, 2, 3 … (grid form); write the map in one of the two forms"
            ],
        )
    entries, problems = read_long(lists[0], line, plate)
    problems += [
        f"{s.source}: this sheet follows one in long form; put the map of a plate into one sheet"
        for s in lists[1:]
    ]
    return entries, problems + strays


def _long_sheets(sheets: list[Sheet]) -> list[Sheet]:
    return [s for s in sheets if not find_blocks(without_margin(s)) and find_header(s) is not None]


def _look_alikes(conditions: dict[Well, Condition]) -> list[str]:
    """Names that would split one line, compound, genotype or batch into two."""
    sentences = []
    for kind in ("line", "compound", "genotype", "batch"):
        wells: dict[str, list[str]] = {}
        for well, c in conditions.items():
            names = compounds_of(c) if kind == "compound" else [getattr(c, kind)]
            # All vehicle wells of a line are one condition, however their solvent is written.
            if kind != "compound" or not c.is_vehicle:
                for name in filter(None, names):
                    wells.setdefault(name, []).append(well.name)
        sentences += look_alikes(kind, wells)
    return sentences


def _tidied(condition: Condition) -> Condition:
    """The condition with names that are the same on every plate, whichever editor wrote them."""
    return replace(
        condition,
        line=tidy(condition.line),
        compound=tidy(condition.compound),
        genotype=tidy(condition.genotype),
        batch=tidy(condition.batch),
    )


def _of_barcode(
    path: Path, barcodes: dict[str, str], line: str, plate: str
) -> tuple[list[tuple[str, Well, Condition]], list[str]]:
    """Read the map that a barcode table names for a plate.

    It is NAME.txt (or .csv, .tsv) in the table's folder or in the folder `platemap` there.
    """
    chosen = choose_plate(list(barcodes), plate)
    if chosen is None:
        return [], [f"{path.name}: {unknown_plate(list(barcodes), plate)}"]
    name = barcodes[chosen]
    places = [
        path.parent / folder / f"{name}{ending}"
        for folder in ("platemap", "")
        for ending in (".txt", ".csv", ".tsv")
    ]
    map_file = next((p for p in places if Path(name).name == name and p.is_file()), None)
    if map_file is None:
        return [], [
            f"{path.name}: the map {name!r} of plate {chosen} is neither beside the table nor in"
            " its folder platemap; add it as .txt, .csv or .tsv"
        ]
    return _entries(map_file, line, "")


def _genotype_conflicts(source: str, conditions: dict[Well, Condition]) -> list[str]:
    """Lines with two genotypes: a typing error that would put wells into the wrong stratum."""
    genotypes: dict[str, dict[str, Well]] = {}
    for well, c in conditions.items():
        genotypes.setdefault(c.line, {}).setdefault(c.genotype, well)
    return [
        f"{source}: line {line} has more than one genotype: "
        + ", ".join(f"{genotype or '(none)'} at {well}" for genotype, well in places.items())
        for line, places in genotypes.items()
        if len(places) > 1
    ]
