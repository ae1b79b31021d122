from __future__ import annotations

import pytest

from phenotypes.columns.dictionary import columns, empty_table


@pytest.mark.parametrize("level", ["site", "bridge"])
def test_each_column_has_a_meaning_and_a_type(level):
    assert all(c.meaning.endswith((".", ")")) for c in columns(level).values())
    assert empty_table(level).columns == list(columns(level))
