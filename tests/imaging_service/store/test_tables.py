from __future__ import annotations

import polars as pl

from imaging_service.store.tables import csv_bytes, parquet_bytes


def test_tables_are_bytes_that_repeat_and_formulas_are_text():
    table = pl.DataFrame(
        {"line": ["=1+1", "+a", "L1", "-x", "@y"], "value": [1.5, -2.0, None, 0.0, 1.0]}
    )
    assert parquet_bytes(table) == parquet_bytes(table.clone())
    assert csv_bytes(table).decode().splitlines() == [
        "line,value",
        "'=1+1,1.5",
        "'+a,-2.0",
        "L1,",
        "'-x,0.0",
        "'@y,1.0",
    ]
