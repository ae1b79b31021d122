"""Screens of plates on which the highest doses lie at an edge that reads less."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import fit_screen
from phenotypes.screens.lines import batch_effects
from tests.messages import states
from tests.phenotypes.drawn_edges import DOSES, ladder_plate
from tests.phenotypes.drawn_screens import planned_of

ACTIVE = {"c0": (-0.6, 1e-6)}


def wells(lost, batches=3, seed=0, **more):
    rng = np.random.default_rng(seed)
    return pl.concat(
        ladder_plate(rng, lost=lost, active=ACTIVE, **more).with_columns(
            plate=pl.lit(f"p{b}"), batch=pl.lit(f"b{b}")
        )
        for b in range(batches)
    )


def fitted(table):
    screen = fit_screen(plate_effects(table, ["live_density"]), planned_of(table))
    return screen.responses.sort("compound")


def test_no_inert_compound_is_a_hit_because_its_highest_dose_lies_at_the_edge():
    """The edge reads 30 % less: −0.51 log2 at the highest dose of every compound."""
    table = fitted(wells(0.3))
    inert = table.filter(pl.col("compound") != "c0")
    assert inert["status"].to_list() == ["confounded_with_position"] * 3
    assert all(states("edge_doses.of_screen", reason, dose="30 µM") for reason in inert["reason"])
    for name in ("effect", "p_value", "best_effect", "best_q_value", "hit", "ec50_molar"):
        assert inert[name].null_count() == 3
    (active,) = table.filter(compound="c0").to_dicts()
    assert (active["status"], active["hit"]) == ("ok", True)
    assert states("edge_doses.shown_without", active["reason"], dose="30 µM")


@pytest.mark.parametrize("lost", [0.06, 0.3], ids=["too little for half of the lines", "enough"])
def test_no_mean_over_donors_is_that_of_the_edge(lost):
    table = pl.concat(
        wells(lost, compounds=2, seed=i).with_columns(line=pl.lit(f"S{i}")) for i in range(6)
    )
    screen = fit_screen(plate_effects(table, ["live_density"]), planned_of(table))
    lines = screen.responses.filter(compound="c1")["status"].to_list()
    assert lines.count("confounded_with_position") == (6 if lost == 0.3 else 3)
    inert, active = (screen.compounds.filter(compound=c).row(0, named=True) for c in ("c1", "c0"))
    assert (inert["status"], inert["effect"], inert["moderated_p_value"]) == (
        "confounded_with_position",
        None,
        None,
    )
    assert states("edge_doses.over_donors", inert["reason"])
    assert active["status"] == "ok"
    drawn = -1.383 if lost == 0.06 else -1.808
    ends = [active[name] for name in ("effect_low", "effect", "effect_high")]
    assert ends == pytest.approx([drawn - 0.041, drawn, drawn + 0.041], abs=0.001)


def test_where_no_dose_shows_an_effect_no_edge_is_named():
    table = fitted(wells(0.0)).filter(pl.col("compound") != "c0")
    assert table["status"].to_list() == ["ok"] * 3
    assert not any("edge" in reason for reason in table["reason"])


@pytest.mark.parametrize(("moved", "at_edge"), [(0, [DOSES[-1]]), (1, [DOSES[-1]]), (2, [])])
def test_a_dose_lies_at_the_edge_if_it_does_in_most_batches(moved, at_edge):
    """Plates of the batches that were laid out anew lie two columns further inside."""
    parts = wells(0.3).partition_by("batch")
    inside = [
        part.with_columns(
            well=pl.when(pl.col("well").str.ends_with("24"))
            .then(pl.col("well").str.head(1) + "14")
            .otherwise("well")
        )
        for part in parts[:moved]
    ]
    table = pl.concat([*inside, *parts[moved:]])
    effects = batch_effects(plate_effects(table, ["live_density"], plate_shape=(16, 24)))
    edge = effects.filter("edge_dose").group_by("dose_molar").agg(pl.col("batch").n_unique())
    assert dict(edge.rows()) == ({DOSES[-1]: 3 - moved})
    named = any("edge" in r for r in fitted(table)["reason"])
    assert named == bool(at_edge)
