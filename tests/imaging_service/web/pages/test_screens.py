from __future__ import annotations

import polars as pl
import pytest

from imaging_service.web.pages.screens import (
    PER_PAGE,
    chosen_rows,
    counts,
    hits,
    ordered_rows,
    screen_page,
    way,
)

TABLE = pl.DataFrame(
    {
        "line": ["A", "B", "A"],
        "compound": ["x", "x", "y"],
        "phenotype": ["p", "p", "p"],
        "hit": [True, True, None],
        "best_q_value": [0.04, 0.01, None],
    }
)


def test_hits_stand_by_q():
    assert hits(TABLE)["line"].to_list() == ["B", "A"]
    assert counts(TABLE) == {
        "lines": 2,
        "compounds": 2,
        "phenotypes": 1,
        "rows": 3,
        "tested": 2,
        "hits": 2,
    }


def test_filters_that_a_table_lacks_pass_all():
    assert len(chosen_rows(TABLE, {"line": "A", "compound": "", "status": "ok"})) == 2


def test_hits_are_a_filter():
    assert chosen_rows(TABLE, {"hit": "yes"})["line"].to_list() == ["A", "B"]
    assert chosen_rows(TABLE, {"hit": "no"})["compound"].to_list() == ["y"]


def test_rows_without_a_value_come_last_in_every_order():
    table = pl.DataFrame({"line": ["B", "A", "C", "D"], "effect": [1.0, None, -2.0, 1.0]})
    orders = {
        order: "".join(ordered_rows(table, order)["line"])
        for order in ("lowest effect", "highest effect", "line", "rescue")
    }
    assert orders == {
        "lowest effect": "CBDA",
        "highest effect": "BDCA",
        "line": "ABCD",
        "rescue": "BACD",
    }


def test_a_page_beyond_the_last_is_the_last():
    table = pl.DataFrame({"line": range(2 * PER_PAGE + 1)})
    seen = [screen_page(table, n) for n in (1, 3, 9)]
    assert [(p.page, p.pages, p.total, len(p.rows)) for p in seen] == [
        (1, 3, 101, 50),
        (3, 3, 101, 1),
        (3, 3, 101, 1),
    ]
    assert seen[1].rows == [{"line": 100}]
    assert screen_page(table.clear(), 1).pages == 1


@pytest.mark.parametrize(
    ("phenotype", "effect", "status", "window", "expected"),
    [
        ("live_density", 0.8, None, None, "improves"),
        ("live_density", -0.8, "not_expressed", 0.1, "worsens"),
        ("puncta_per_neuron", -2.0, None, None, "improves"),
        # The isogenic state lies where the window points, whatever the phenotype usually means.
        ("live_density", -0.8, "expressed", -0.5, "improves"),
        ("nc_log2_aggregate", 1.1, "expressed", 0.9, "improves"),
        ("nc_log2_aggregate", 1.1, "expressed", -0.9, "worsens"),
        ("live_density", None, "expressed", 0.5, ""),
        ("live_density", 0.0, None, None, ""),
        ("soma_area_mean", 0.4, None, None, ""),
    ],
)
def test_a_hit_goes_the_good_way_or_the_other_where_it_is_known(
    phenotype, effect, status, window, expected
):
    row = {
        "phenotype": phenotype,
        "best_effect": effect,
        "window_status": status,
        "window": window,
    }
    assert way(row) == expected
