from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import LineFacts, fit_parts, fit_screen
from phenotypes.screens.parts import parts_of, pooled
from phenotypes.screens.rows import cells_of
from tests.phenotypes.drawn_screens import ladder_wells

LINES = ["S1", "S1-iso", "S2", "S2-iso", "S3", "S3-iso"]
PAIRS = {f"S{i}": f"S{i}-iso" for i in (1, 2, 3)}
NAMES = ["live_density", "nc_log2_aggregate"]


@pytest.fixture(scope="module")
def plates():
    wells = ladder_wells(np.random.default_rng(4), LINES, batches=4, gap=0.6, isogenic=LINES[1::2])
    return plate_effects(wells, NAMES)


def test_parts_of_several_sites_are_those_of_all_plates(plates):
    sites = [
        plates.filter(pl.col("batch").is_in(names)) for names in (["b0", "b2"], ["b1"], ["b3"])
    ]
    together = pooled(parts_of(site, PAIRS) for site in sites)
    whole = parts_of(plates, PAIRS)
    for f in fields(whole):
        assert getattr(together, f.name).equals(getattr(whole, f.name)), f.name


def test_a_screen_fitted_from_parts_has_the_same_rows(plates):
    planned = (
        plates.filter(pl.col("control") == "none").select("line", "compound", "dose_molar").unique()
    )
    facts = LineFacts(
        donors={n: n[:2] for n in LINES}, isogenic=PAIRS, healthy=frozenset(LINES[1::2])
    )
    whole = fit_screen(plates, planned, facts=facts)
    halves = [plates.filter(pl.col("batch").is_in(n)) for n in (["b1", "b3"], ["b0", "b2"])]
    again = fit_parts(pooled(parts_of(half, PAIRS) for half in halves), planned, facts=facts)
    for name in ("responses", "doses", "compounds", "windows", "vehicles", "batches"):
        assert getattr(whole, name).equals(getattr(again, name)), name


def test_parts_of_an_earlier_version_know_nothing_of_doses_at_the_edge(plates):
    earlier, now = (parts_of(plates.filter(batch=batch), PAIRS) for batch in ("b0", "b1"))
    together = pooled([replace(earlier, batches=earlier.batches.drop("edge_dose")), now])
    cells = cells_of(together.batches.filter(control="none"))[NAMES[0], "S1", "x"]
    assert set(cells.batch) == {"b0", "b1"}
    assert not any(cells.edge)


def test_no_part_holds_a_well(plates):
    for f in fields(parts_of(plates, PAIRS)):
        assert "well" not in getattr(parts_of(plates, PAIRS), f.name).columns
