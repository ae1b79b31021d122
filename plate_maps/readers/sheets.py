"""Sheets of text from CSV, TSV and XLSX, and XML of limited size.

The place of every cell is kept for messages.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any

from plate_maps.plate_map import PlateMapError

MAX_BYTES = 20 * 2**20
# More than any map that a laboratory keeps in one file: 130 plates of 384 wells, one row per well.
MOST_ROWS, MOST_COLUMNS, MOST_CELLS = 50_000, 500, 1_000_000
# A workbook is a zip, which a few kilobytes can fill without end.
MOST_UNPACKED, MOST_SHEETS, _MOST_LINES = 48 * 2**20, 100, 200_000


@dataclass(frozen=True)
class Sheet:
    """Rows of stripped text.

    `rows[i]` is line `first_row + i` of `source` (a file, or file and sheet name).
    """

    source: str
    rows: list[list[str]]
    first_row: int = 1
    # Separated by semicolons, as spreadsheets write where the comma is the decimal mark.
    decimal_comma: bool = False

    def place(self, index: int) -> str:
        """ "map.csv, row 7": where `rows[index]` stands."""
        return f"{self.source}, row {self.first_row + index}"


def read_sheets(path: Path) -> list[Sheet]:
    """Read every sheet of a CSV, TSV or XLSX file.

    Raises PlateMapError for other or oversized files.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        what = "it is a folder; give a file" if path.is_dir() else "the file does not exist"
        raise PlateMapError(str(path), [what])
    check_size(path)
    if suffix in {".xlsx", ".xlsm"}:
        return _read_excel(path)
    if suffix in {".csv", ".tsv", ".txt"}:
        return [_read_text(path)]
    raise PlateMapError(
        path.name,
        [
            f"files ending in {suffix or 'nothing'} are not read; save the map as .csv, .tsv or"
            " .xlsx (or hand over wellmap's .toml, Harmony's .xml, IncuCyte's .PlateMap)"
        ],
    )


def check_size(path: Path) -> None:
    """Raise PlateMapError for a file that is too large to be a plate map."""
    if path.stat().st_size > MAX_BYTES:
        raise PlateMapError(
            path.name,
            [f"the file has {path.stat().st_size:,} bytes; a plate map is at most {MAX_BYTES:,}"],
        )


def _read_text(path: Path) -> Sheet:
    raw = path.read_bytes()
    if b"\x00" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PlateMapError(
            path.name, ["the file holds binary data, not text; save the map as .csv, .tsv or .xlsx"]
        )
    for encoding in (
        ("utf-16",) if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    ):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise PlateMapError(
            path.name, ["the text is neither UTF-8, UTF-16 nor Windows-1252; save it as UTF-8"]
        )
    head = next((line for line in text.splitlines() if line.strip()), "")
    # Excel writes ";" where the comma is the decimal mark. The header decides: it holds no free
    # text.
    delimiter = max("\t;,", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    size = _Size(path.name)
    try:
        for row in reader:
            size.add(row)
            rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        raise PlateMapError(
            path.name, [f"line {reader.line_num} cannot be read: {error}"]
        ) from error
    return Sheet(path.name, rows, decimal_comma=delimiter == ";")


class _Size:
    """Counts rows and cells of a file while they are read. `add` raises PlateMapError."""

    def __init__(self, source: str) -> None:
        self._source, self._rows, self._cells = source, 0, 0

    def add(self, row: Sequence[object]) -> None:
        """Count a row that is not empty."""
        self._rows += bool(row)
        self._cells += len(row)
        for count, most, what in (
            (len(row), MOST_COLUMNS, "columns"),
            (self._rows, MOST_ROWS, "rows"),
            (self._cells, MOST_CELLS, "cells"),
        ):
            if count > most:
                raise PlateMapError(
                    self._source,
                    [f"the file has more than {most:,} {what}; a plate map has fewer"],
                )


def _check_unpacked(path: Path) -> None:
    """Raise PlateMapError for a workbook that is small only while it is packed."""
    with zipfile.ZipFile(path) as packed:
        parts = packed.infolist()
    size = sum(part.file_size for part in parts)
    if size > MOST_UNPACKED or len(parts) > 10 * MOST_SHEETS:
        raise PlateMapError(
            path.name,
            [
                f"the workbook unpacks to {size:,} bytes in {len(parts):,} parts; a plate map is at"
                f" most {MOST_UNPACKED:,}"
            ],
        )


def _filled(values: Sequence[object]) -> Sequence[object]:
    """A row without the empty cells at its end, of which a spreadsheet may keep thousands."""
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return values[:end]


def _read_excel(path: Path) -> list[Sheet]:
    try:
        _check_unpacked(path)
        return _sheets_of_workbook(path)
    except (PlateMapError, OSError, MemoryError):
        raise  # our own words, or the machine's doing, not the sheet's
    except Exception as error:
        # openpyxl names no error of its own for broken workbooks: zipfile, zlib, the XML parser and
        # its own KeyErrors and TypeErrors come through, some only while rows are read. Whatever it
        # is, the file cannot be read, and the cause stays attached.
        raise PlateMapError(path.name, [f"the workbook cannot be read: {error}"]) from error


def _sheets_of_workbook(path: Path) -> list[Sheet]:
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        # openpyxl warns of styles and validations that it will not keep; only cell values are read
        # here.
        warnings.simplefilter("ignore", UserWarning)
        # Values as Excel last computed them; the formula text itself shows which cells were never
        # computed.
        book = load_workbook(path, read_only=True, data_only=True)
        formulas = load_workbook(path, read_only=True, data_only=False)
    sheets, problems = [], []
    size, lines = _Size(path.name), 0
    try:
        for sheet, raw in zip(book.worksheets, formulas.worksheets, strict=True):
            # The sheet's own word on its size may be wrong, and every row is filled up to it.
            sheet.reset_dimensions()
            raw.reset_dimensions()
            source = f"{path.name}, sheet {sheet.title}"
            rows: list[list[str]] = []
            for i, (values, texts) in enumerate(
                zip(
                    sheet.iter_rows(values_only=True), raw.iter_rows(values_only=True), strict=True
                ),
                start=1,
            ):
                lines += 1
                if lines > _MOST_LINES:
                    raise PlateMapError(path.name, [f"{source}: there are too many empty rows"])
                filled = _filled(values)
                size.add(_filled(texts))
                for value, text in zip(values, texts, strict=True):
                    if value is None and isinstance(text, str) and text.startswith("="):
                        problems.append(
                            f"{source}, row {i}: formula {text} has no stored value; open and save"
                            " it in Excel"
                        )
                rows.append([_cell_text(v) for v in filled])
            if any(any(row) for row in rows):
                sheets.append(Sheet(source, rows))
    finally:
        book.close()
        formulas.close()
    if problems:
        raise PlateMapError(path.name, problems)
    return sheets


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else str(value)
    return str(value).strip()


def parse_xml(path: Path) -> Any:
    """The root of an XML file of sensible size, without entities. Raises PlateMapError."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    check_size(path)
    try:
        return fromstring(path.read_bytes())
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise PlateMapError(path.name, [f"the file cannot be read as XML: {error}"]) from error
