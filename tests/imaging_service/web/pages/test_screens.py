from __future__ import annotations

import polars as pl

from imaging_service.web.pages.screens import chosen_rows, counts, hits

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
    assert counts(TABLE) == {"lines": 2, "compounds": 2, "phenotypes": 1, "rows": 3, "hits": 2}


def test_filters_that_a_table_lacks_pass_all():
    assert len(chosen_rows(TABLE, {"line": "A", "compound": "", "status": "ok"})) == 2
