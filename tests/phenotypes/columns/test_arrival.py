"""The tables of a scan's images and channels are in the dictionary, each column once."""

from __future__ import annotations

import polars as pl

from phenotypes.columns.arrival import CHANNEL, IMAGE
from phenotypes.columns.dictionary import columns


def test_each_column_has_one_place_and_a_meaning():
    for level, listed in (("image", IMAGE), ("channel", CHANNEL)):
        assert [c.name for c in listed] == list(columns(level))
        assert {c.level for c in listed} == {level}
        assert all(c.meaning.endswith(".") for c in listed)


def test_shares_and_levels_are_numbers_and_verdicts_are_texts():
    assert {columns("image")[n].dtype for n in ("background", "focus", "saturated")} == {
        pl.Float64()
    }
    assert columns("image")["status"].dtype == pl.String()
    assert columns("channel")["profile_residual"].dtype == pl.Float64()
