from __future__ import annotations

import polars as pl
import pytest

from phenotypes.statistics.multiple_testing import with_q_values


def test_benjamini_hochberg_by_hand():
    """Ranks 1…4 of 4: p·4/rank, made monotone from the largest down."""
    table = with_q_values(pl.DataFrame({"p_value": [0.01, 0.04, 0.03, 0.5]}))
    assert table["q_value"].to_list() == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_rows_without_p_are_no_tests():
    table = with_q_values(pl.DataFrame({"p_value": [0.01, None, 0.02]}))
    assert table["q_value"].to_list() == [pytest.approx(0.02), None, pytest.approx(0.02)]
    assert with_q_values(pl.DataFrame({"p_value": [None, None]}))["q_value"].to_list() == [
        None,
        None,
    ]


def test_families_are_corrected_apart():
    table = pl.DataFrame({"p_value": [0.01, 0.01, 0.04], "phenotype": ["a", "b", "b"]})
    assert with_q_values(table, ["phenotype"])["q_value"].to_list() == pytest.approx(
        [0.01, 0.02, 0.04]
    )
