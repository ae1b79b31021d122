from __future__ import annotations

import csv

import polars as pl

from imaging_service.store.tables import columns_dictionary, csv_bytes, parquet_bytes
from phenotypes.columns.dictionary import COLUMNS


def test_every_column_of_every_table_is_explained():
    rows = list(csv.DictReader(columns_dictionary().splitlines(), delimiter="\t"))
    assert [(r["table"], r["column"], r["unit"]) for r in rows] == [
        (c.level, c.name, c.unit) for c in COLUMNS
    ]


def test_tables_are_bytes_that_repeat_and_formulas_are_text():
    table = pl.DataFrame(
        {"line": ["=1+1", "+a", "L1", "-x", "@y"], "value": [1.5, -2.0, None, 0.0, 1.0]}
    )
    assert parquet_bytes(table) == parquet_bytes(table.clone())
    assert csv_bytes(table).decode("utf-8-sig").splitlines() == [
        "line,value",
        "'=1+1,1.5",
        "'+a,-2.0",
        "L1,",
        "'-x,0.0",
        "'@y,1.0",
    ]


def test_a_spreadsheet_is_told_that_the_text_is_utf_8():
    """Without a byte order mark Excel reads β and µ as Windows-1252."""
    written = csv_bytes(pl.DataFrame({"compound": ["β-lapachone", "3 µM"]}))
    assert written.startswith(b"\xef\xbb\xbf")
    assert written.decode("utf-8-sig") == "compound\nβ-lapachone\n3 µM\n"
    assert pl.read_csv(written).columns == ["compound"]
