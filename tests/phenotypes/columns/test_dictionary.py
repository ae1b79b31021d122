from __future__ import annotations

import polars as pl
import pytest

from phenotypes.columns.dictionary import (
    COLUMNS,
    columns,
    conform,
    empty_table,
    markdown,
    phenotype,
)
from tests.messages import says, states


def test_names_are_unique_within_a_table_and_everything_has_a_meaning():
    assert len({(c.level, c.name) for c in COLUMNS}) == len(COLUMNS)
    assert all(c.meaning.endswith((".", ".)")) for c in COLUMNS)


def test_the_user_documentation_is_the_dictionary(repository):
    assert (repository / "docs" / "columns.md").read_text(encoding="utf-8") == markdown()


def test_conform_orders_types_and_fills():
    table = conform(pl.DataFrame({"label": [1], "well": ["B03"]}), "cell")
    assert table.columns == list(columns("cell"))
    assert table.schema["nucleus_area_um2"] == pl.Float64
    assert table["nucleus_area_um2"].to_list() == [None]
    assert empty_table("cell").schema == table.schema


def test_a_column_without_a_meaning_is_refused():
    with pytest.raises(ValueError, match=says("columns.without_definition")):
        conform(pl.DataFrame({"mystery": [1]}), "cell")


def test_unknown_phenotypes_list_the_known():
    with pytest.raises(ValueError, match=says("columns.unknown_phenotype", named="viability")):
        phenotype("viability")
    with pytest.raises(ValueError, match=says("columns.unknown_phenotype", named="well")):
        phenotype("well")


def test_every_ratio_of_the_well_table_says_how_it_aggregates():
    """Names and units that are ratios by the look of them; a mean of counts or areas over cells is
    a ratio of sums as well.
    """
    ratios = {c.name for c in columns("well").values() if c.ratio}
    looks = {
        c.name
        for c in columns("well").values()
        if any(
            part in c.name
            for part in (
                "fraction",
                "_per_",
                "density",
                "index",
                "nc_log2",
                "purity",
                "survival_fixed",
            )
        )
    }
    assert looks <= ratios, looks - ratios
    assert columns("well")["nc_log2_aggregate"].ratio == "mean_of_ratios"
    assert states("columns.mean_of_ratios", markdown())
