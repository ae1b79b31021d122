from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.across.potencies import potency_table
from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import LineFacts, fit_screen
from tests.phenotypes.drawn_screens import ladder_wells, planned_of

FACTS = LineFacts(isogenic={"S": "S-iso"}, healthy=frozenset({"S-iso"}))


@pytest.fixture(scope="module")
def screen():
    """S needs three times as much as its control; F does not respond."""
    rng = np.random.default_rng(0)
    span = {"live_density": -0.6}
    parts = [
        ladder_wells(rng, ["S"], ec50=3e-6, span=span),
        ladder_wells(rng, ["S-iso"], ec50=1e-6, span=span),
        ladder_wells(rng, ["F"], span={}),
    ]
    wells = pl.concat(parts)
    return fit_screen(plate_effects(wells, ["live_density"]), planned_of(wells), facts=FACTS)


def test_a_disease_line_beside_its_control(screen):
    row = potency_table(screen.responses, screen.batches, FACTS.isogenic).to_dicts()
    (row,) = row
    assert (row["line"], row["reference"], row["status"]) == ("S", "S-iso", "ok")
    assert row["ratio_low"] < 3 < row["ratio_high"]
    assert row["ratio"] == pytest.approx(3, rel=0.4)
    assert row["n_batches"] == 3
    assert row["q_value"] == row["p_value"]


def test_lines_beside_one_that_is_named(screen):
    table = potency_table(screen.responses, screen.batches, [("F", "S"), ("S-iso", "S")])
    lines = {r["line"]: r for r in table.to_dicts()}
    assert lines["F"]["status"] == "no_curve"
    assert "flat" in lines["F"]["reason"]
    assert lines["F"]["ratio"] is lines["F"]["p_value"] is lines["F"]["q_value"] is None
    assert lines["S-iso"]["ratio"] == pytest.approx(1 / 3, rel=0.4)


def test_curves_of_opposite_directions_have_no_ratio(screen):
    turned = screen.responses.with_columns(
        direction=pl.when(pl.col("line") == "S").then(pl.lit("ascending")).otherwise("direction")
    )
    (row,) = potency_table(turned, screen.batches, FACTS.isogenic).to_dicts()
    assert row["status"] == "directions_differ"


def test_pairs_that_the_screen_does_not_hold_give_no_row(screen):
    assert potency_table(screen.responses, screen.batches, {"S": "Z"}).is_empty()
    assert potency_table(screen.responses, screen.batches, {"S": "S"}).is_empty()
