from __future__ import annotations

import re

import polars as pl
import pytest

from phenotypes.columns import dictionary
from phenotypes.columns.statuses import STATUSES, unknown_statuses


def test_every_status_column_has_an_enumeration_and_no_other_has():
    named = {(c.level, c.name) for c in dictionary.COLUMNS if re.search(r"(^|_)status$", c.name)}
    assert named == set(STATUSES)


@pytest.mark.parametrize(
    "place", sorted(set(STATUSES) - {("quality", "status"), ("response", "status")})
)
def test_the_dictionary_lists_what_the_enumeration_has(place):
    level, name = place
    meaning = dictionary.columns(level)[name].meaning
    listed = {s.value for s in STATUSES[place] if re.search(rf"\b{s.value}\b", meaning)}
    assert listed == {s.value for s in STATUSES[place]}


def test_a_status_that_is_in_no_enumeration_is_found():
    table = pl.DataFrame({"status": ["ok", "flat", "fine", None], "well": ["A01"] * 4})
    assert unknown_statuses(table, "response") == {"status": ["fine"]}
    assert unknown_statuses(table.head(2), "response") == {}
    assert unknown_statuses(table, "cell") == {}


def test_tables_of_an_analysed_plate_hold_known_statuses_only(analysed):
    for level, name in (
        ("well", "wells"),
        ("response", "responses"),
        ("check", "checks"),
        ("quality", "quality"),
    ):
        path = analysed / f"{name}.parquet"
        assert path.is_file(), name
        table = pl.read_parquet(path)
        assert table["status"].null_count() == 0
        assert unknown_statuses(table, level) == {}
