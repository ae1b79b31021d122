from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.plates.quality.edge_doses import doses_at_edge
from phenotypes.plates.quality.vehicle_places import with_edge
from phenotypes.plates.responses import respond
from tests.messages import states
from tests.phenotypes.drawn_edges import DOSES, ladder_plate

NAME = "live_density"
ACTIVE = {"c0": (-0.6, 1e-6), "c1": (-0.6, 5e-6)}


def rows_of(seed, **more):
    table = ladder_plate(np.random.default_rng(seed), active=ACTIVE, **more)
    return respond(table, [NAME], pixel_size_um=0.65).table.sort("compound").to_dicts()


@pytest.mark.parametrize("falling", [False, True], ids=["highest dose", "lowest dose"])
def test_no_inert_compound_has_a_curve_because_a_dose_lies_at_the_edge(falling):
    rows = [r for seed in range(3) for r in rows_of(seed, lost=0.3, falling=falling)]
    inert = [r for r in rows if r["compound"] not in ACTIVE]
    dose = "10 nM" if falling else "30 µM"
    outcomes = [
        "edge" if states("edge_doses.only", r["reason"], dose=dose) else r["status"] for r in inert
    ]
    others = ["flat", "flat"] if falling else ["confounded_with_position"]
    assert sorted(outcomes) == sorted(["edge"] * (6 - len(others)) + others)
    assert {(r["effect"] or 0.0, r["ec50_molar"]) for r in inert if r["status"] != "flat"} == {
        (0.0, None)
    }
    active = [r for r in rows if r["compound"] in ACTIVE]
    assert "confounded_with_position" not in {r["status"] for r in active}
    assert all(states("edge_doses.named", r["reason"], dose=dose) for r in active)


def test_vehicle_wells_at_the_edge_say_that_an_effect_is_larger():
    """Without them the dose at the edge is the only one that shows it."""
    sharp = {"c0": (-0.9, 2.9e-5)}
    table = ladder_plate(np.random.default_rng(0), active=sharp, cv=0.05)
    # Only the highest dose does anything.
    still = np.random.default_rng(2).normal(200, 4, len(table))
    table = table.with_columns(
        pl.when((pl.col("compound") == "c0") & (pl.col("dose_molar") < DOSES[-1]))
        .then(pl.Series(still))
        .otherwise(NAME)
        .alias(NAME)
    )
    alone = respond(table, [NAME], pixel_size_um=0.65).table.filter(compound="c0").to_dicts()[0]
    assert alone["status"] == "confounded_with_position"
    more = ladder_plate(np.random.default_rng(1), edge_vehicles=True, cv=0.05)
    vehicles = more.filter(pl.col("well").str.ends_with("01"))
    told = respond(pl.concat([table, vehicles]), [NAME], pixel_size_um=0.65).table
    row = told.filter(compound="c0").to_dicts()[0]
    assert row["status"] == "above_tested_range"
    assert row["effect"] == pytest.approx(-45.2, abs=0.1)
    assert states("edge_doses.makes", row["reason"], dose="30 µM")


def placed(**more):
    return with_edge(ladder_plate(np.random.default_rng(0), **more), (16, 24))


def row_of(wells, compound="c0"):
    return wells.filter((pl.col("control") == "vehicle") | (pl.col("compound") == compound))


def test_a_dose_lies_at_the_edge_if_all_its_wells_do():
    wells = row_of(placed())
    assert doses_at_edge(wells) == [DOSES[-1]]
    assert doses_at_edge(row_of(placed(falling=True))) == [DOSES[0]]
    one_inside = pl.when(pl.col("well") == "B24").then(pl.lit(value=False)).otherwise("at_edge")
    assert doses_at_edge(wells.with_columns(one_inside.alias("at_edge"))) == []


def test_where_vehicle_or_all_doses_lie_at_the_edge_no_dose_is_named():
    wells = row_of(placed())
    at_edge = pl.lit(value=True)
    vehicle = pl.when(pl.col("control") == "vehicle").then(at_edge).otherwise("at_edge")
    treated = pl.when(pl.col("control") == "none").then(at_edge).otherwise("at_edge")
    for of in (vehicle, treated):
        assert doses_at_edge(wells.with_columns(of.alias("at_edge"))) == []
