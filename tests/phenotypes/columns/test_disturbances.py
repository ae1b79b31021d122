"""Every published number and every engine has an expectation for every disturbance."""

from __future__ import annotations

import pytest

from phenotypes.columns.dictionary import COLUMNS
from phenotypes.columns.disturbances import (
    DISTURBANCES,
    GROUPS,
    NAMES,
    disturbance,
    expected,
    groups_of,
    markdown,
    published,
)
from tests.messages import says


def test_every_published_number_is_in_exactly_one_group():
    assert len(published()) > 150
    misplaced = {
        f"{c.level}.{c.name}": [g.name for g in groups_of(c)]
        for c in published()
        if len(groups_of(c)) != 1
    }
    assert misplaced == {}


def test_what_is_left_out_is_in_the_dictionary_and_in_no_group():
    columns = {f"{c.level}.{c.name}": c for c in COLUMNS}
    assert sorted(NAMES - columns.keys()) == []
    assert [name for name in NAMES if groups_of(columns[name])] == []


def test_every_pattern_of_a_group_fits_a_column():
    from fnmatch import fnmatchcase

    names = [f"{c.level}.{c.name}" for c in published()]
    idle = [p for g in GROUPS for p in g.columns if not any(fnmatchcase(n, p) for n in names)]
    assert idle == []


def test_every_number_has_an_expectation_for_every_disturbance():
    for row in DISTURBANCES:
        assays = set()
        for column in published():
            expectation = expected(row, column, 0.1)
            assert expectation.verdict != "withheld" or expectation.words
            assays.add(expectation.verdict == "not measured")
        assert assays == {True, False}, row.name


def test_rows_name_groups_of_their_assay_and_say_why():
    names = {g.name: g for g in GROUPS}
    assert len({row.name for row in DISTURBANCES}) == len(DISTURBANCES)
    for row in DISTURBANCES:
        assert row.levels, row.name
        for name, expectation in row.exceptions.items():
            assert row.assay in names[name].assays, (row.name, name)
            assert expectation.reason or expectation.words, (row.name, name)


def test_a_tolerance_is_a_share_and_a_floor():
    tolerances = {g.name: g.tolerance(4.0) for g in GROUPS}
    assert tolerances["puncta"] == pytest.approx(0.25)
    assert tolerances["N:C"] == pytest.approx(0.1)
    assert min(tolerances.values()) > 0


def test_coarse_pixels_withhold_whatever_else_is_expected():
    (ratio,) = [c for c in published() if (c.level, c.name) == ("well", "nc_log2_aggregate")]
    row = disturbance("N:C state")
    assert expected(row, ratio, 1.0).verdict == "moves"
    coarse = expected(row, ratio, 1.4)
    assert (coarse.verdict, coarse.words) == ("withheld", "pixel_size_too_coarse")


def test_an_unknown_disturbance_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=says("columns.unknown_disturbance")):
        disturbance("rain")


def test_the_documentation_is_current(repository):
    text = (repository / "docs" / "disturbances.md").read_text(encoding="utf-8")
    assert text == markdown(), "run `make docs`"
