"""Rows by condition, order and page: what is given, and what is refused."""

from __future__ import annotations

import polars as pl
import pytest

from imaging_service.errors import SelectionRefused, StoreError
from imaging_service.store.selection import MOST_CONDITIONS, Selection
from tests.messages import says


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "cells.parquet"
    pl.DataFrame(
        {
            "cell": [1, 2, 3, 4, 5],
            "line": ["L1", "L2", "L1", None, "L1"],
            "area": [10.0, float("nan"), 30.0, None, 10.0],
            "edge": [True, False, None, False, True],
            "tags": [["a"], [], ["b"], [], []],
        }
    ).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("where", "cells"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["area>=10"], [1, 3, 5]),
        (["area<1e9"], [1, 3, 5]),
        (["area!=10"], [3]),
        (["area==null"], [2, 4]),
        (["area!=null"], [1, 3, 5]),
        (["line==L1", "area==10"], [1, 5]),
        (["line!=L1"], [2]),
        (["line>L1"], [2]),
        (["line==L1' OR 1=1 --"], []),
        (["edge==true"], [1, 5]),
        (["edge!=true"], [2, 4]),
        (["cell<=2"], [1, 2]),
        (["cell==2.5"], []),
    ],
)
def test_all_conditions_hold_and_an_absent_value_passes_none(table, where, cells):
    assert Selection(where).rows(table)["cell"].to_list() == cells


@pytest.mark.parametrize(
    ("sort", "cells"),
    [
        (["area"], [1, 5, 3]),
        (["-area"], [3, 1, 5]),
        (["line", "-cell"], [5, 3, 1, 2, 4]),
    ],
)
def test_rows_come_in_order_and_equal_ones_in_the_table_s(table, sort, cells):
    there = ["area!=null"] if "area" in sort[0] else []
    assert Selection(there, sort).rows(table)["cell"].to_list() == cells
    assert Selection((), ["line"]).rows(table)["cell"].to_list()[-1] == 4


def test_pages_put_together_are_the_table(table):
    pages = [Selection(sort=["-cell"]).rows(table, first, 2) for first in (0, 2, 4, 6)]
    assert [len(p) for p in pages] == [2, 2, 1, 0]
    assert pl.concat(pages)["cell"].to_list() == [5, 4, 3, 2, 1]
    assert Selection(columns=["line", "cell"]).rows(table, 1, 1).rows() == [("L2", 2)]


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (Selection(["size>1"]), says("selection.no_column", column="size")),
        (Selection(sort=["-size"]), says("selection.no_column", column="size")),
        (Selection(columns=["size"]), says("selection.no_column", column="size")),
        (Selection(["area"]), says("selection.no_condition", condition="area")),
        (Selection(["area=1"]), says("selection.no_condition", condition="area=1")),
        (Selection(["line==" + 200 * "x"]), says("selection.no_condition", condition="line==")),
        (Selection(["area>ten"]), says("selection.not_a_number", value="ten")),
        (Selection(["area>null"]), says("selection.null_is_equal")),
        (Selection(["edge==1"]), says("selection.true_or_false")),
        (Selection(["tags==a"]), says("selection.lists")),
        (Selection((MOST_CONDITIONS + 1) * ["cell>0"]), says("selection.too_many")),
        (Selection(sort=4 * ["cell"]), says("selection.too_many")),
    ],
)
def test_what_a_table_cannot_be_asked_is_refused_by_name(table, selection, sentence):
    with pytest.raises(SelectionRefused, match=sentence):
        selection.rows(table)


def test_a_damaged_table_is_named(table):
    table.write_bytes(table.read_bytes()[:100])
    with pytest.raises(StoreError) as refused:
        Selection().rows(table)
    assert str(table) in str(refused.value)
