from __future__ import annotations

import pytest

from imaging_service.web.pages.responses import (
    PER_PAGE,
    curve_wells,
    furthest,
    matrix_phenotype,
    response_page,
    statuses,
)
from tests.imaging_service.drawn_answers import CURVE

NONE = {"line": "", "compound": "", "phenotype": "", "status": ""}


def row(line, effect=1.0, **more):
    return {
        "line": line,
        "compound": "x",
        "phenotype": "p",
        "status": "ok",
        "effect": effect,
        "effect_low": None,
        "effect_high": None,
        "ec50_molar": None,
        "q_value": 0.1,
    } | more


def test_rows_are_filtered_ordered_and_paged():
    rows = [row(f"L{i:03d}", float(-i)) for i in range(PER_PAGE + 10)]
    page = response_page(rows, NONE, "lowest effect", 2)
    assert (page.total, page.page, page.pages, len(page.rows)) == (60, 2, 2, 10)
    assert page.rows[-1]["line"] == "L000"
    assert response_page(rows, NONE, "lowest effect", 9).page == 2
    one = response_page(rows, NONE | {"line": "L007"}, "evidence", 1)
    assert ([r["line"] for r in one.rows], one.pages) == (["L007"], 1)
    assert len(one.choices["line"]) == 60


@pytest.mark.parametrize("order", ["lowest effect", "highest effect", "ec50", "line"])
def test_rows_without_a_value_come_last(order):
    rows = [
        row("Z", None, ec50_molar=None),
        row("A", -1.0, ec50_molar=1e-6),
        row("B", 2.0, ec50_molar=1e-5),
    ]
    first = response_page(rows, NONE, order, 1).rows[0]["line"]
    assert response_page(rows, NONE, order, 1).rows[-1]["line"] == "Z"
    assert first == ("B" if order == "highest effect" else "A")


def test_an_order_that_is_not_known_is_by_evidence():
    rows = [row("A", q_value=0.5), row("B", q_value=0.1)]
    assert response_page(rows, NONE, "DROP TABLE", 1).rows[0]["line"] == "B"


def test_the_matrix_begins_with_a_phenotype_that_has_an_effect():
    rows = [row("A", None, phenotype="a"), row("A", phenotype="b")]
    assert matrix_phenotype(rows, "", ["a", "b"]) == "b"
    assert matrix_phenotype(rows, "a", ["a", "b"]) == "a"
    assert matrix_phenotype([], "", ["a"]) == ""
    assert statuses(rows) == {"ok": 2}


def test_wells_behind_a_curve_know_their_distance_from_it():
    wells = curve_wells(CURVE)
    assert [(w.well, w.dose_molar, w.away) for w in wells] == [
        ("B02", 0.0, None),
        ("B03", 0.0, None),
        ("B04", 1e-6, -5.0),
        ("B05", 1e-5, 0.0),
    ]
    assert {w.away for w in curve_wells(CURVE | {"fit_dose_molar": []})} == {None}


def test_the_furthest_well_is_a_treated_one_on_either_side():
    wells = curve_wells(CURVE)
    assert furthest(wells).well == "B04"
    assert furthest(curve_wells(CURVE | {"fit_dose_molar": []})) is None
