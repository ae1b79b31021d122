"""Screens whose vehicle wells lie in a place that reads less: drawn wells, and rules by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import LineFacts, fit_screen
from tests.messages import states
from tests.phenotypes.drawn_edges import edge_plate
from tests.phenotypes.drawn_screens import planned_of


def wells(design, lost, seed=0, batches=3, **more):
    rng = np.random.default_rng(seed)
    more = {"wells": 384, "compounds": 12} | more
    return pl.concat(
        edge_plate(rng, design, lost=lost, **more).with_columns(
            plate=pl.lit(f"p{b}"), batch=pl.lit(f"b{b}")
        )
        for b in range(batches)
    )


def fitted(table):
    screen = fit_screen(plate_effects(table, ["live_density"]), planned_of(table))
    return screen.responses.sort("compound")


@pytest.mark.parametrize("design", ["column", "row", "inside"])
def test_no_inert_compound_is_a_hit_or_a_curve_beside_vehicle_that_reads_less(design):
    """The place reads 20 % less: +0.32 log2 in every effect, beyond the floor of a hit (0.26)."""
    apart = fitted(wells(design, 0.2))
    assert apart["hit"].fill_null(value=False).sum() == 0
    assert set(apart["curve_status"]) <= {"flat", "confounded_with_position", "batches_disagree"}
    withheld = apart.filter(pl.col("status") == "confounded_with_position")
    assert len(withheld) >= 8
    for name in ("effect", "p_value", "best_effect", "best_q_value", "moderated_q_value", "hit"):
        assert withheld[name].null_count() == len(withheld)
    assert all(states("places.apart", reason) for reason in apart["reason"])
    # The same plates with the vehicle among the treated wells.
    mixed = fitted(wells("random", 0.2))
    assert set(mixed["status"]) == {"ok"}
    assert not any(states("places.apart", reason) for reason in mixed["reason"])


def test_wells_laid_apart_without_an_effect_of_the_place_are_named_and_kept():
    table = fitted(wells("column", 0.0))
    assert set(table["status"]) == {"ok"}
    assert all(states("places.apart", reason) for reason in table["reason"])
    assert table["hit"].sum() == 0


def test_a_compound_that_works_is_a_hit_with_the_place_on_its_row():
    """−60 % at 1 µM, beside a column that reads 15 % less."""
    active = {"c0": (-0.6, 1e-6)}
    table = fitted(wells("column", 0.15, active=active))
    row = table.filter(pl.col("compound") == "c0").to_dicts()[0]
    assert (row["status"], row["hit"]) == ("ok", True)
    assert states("places.makes", row["reason"])
    others = table.filter(pl.col("compound") != "c0")
    assert others["hit"].fill_null(value=False).sum() == 0


def test_withheld_rows_are_no_part_of_the_family():
    active = {"c0": (-0.6, 1e-6)}
    table = fitted(wells("column", 0.2, active=active)).filter(pl.col("best_p_value").is_not_null())
    p = table["best_p_value"].to_numpy()
    least = p.argmin()
    assert table["best_q_value"][int(least)] == pytest.approx(min(1.0, p[least] * len(p)))


def test_alone_an_effect_that_doses_do_not_change_is_withheld_at_an_edge():
    table = wells("column", 0.3, compounds=1, replicates=3, cv=0.03)
    (row,) = fitted(table).to_dicts()
    assert row["status"] == "confounded_with_position"
    assert states("places.too_few_compounds", row["reason"])
    assert row["effect"] is None
    inside = wells("inside", 0.3, compounds=1, replicates=3, cv=0.03)
    (row,) = fitted(inside).to_dicts()
    # No edge parts these wells: the row says how they lie.
    assert row["status"] == "ok"
    assert states("places.apart", row["reason"])


def test_most_batches_decide():
    """One batch of three laid apart is in the reason of no row."""
    one = pl.concat(
        [
            wells("column", 0.2, batches=1),
            wells("random", 0.0, seed=1, batches=3).filter(pl.col("batch") != "b0"),
        ]
    )
    assert not any(states("places.apart", reason) for reason in fitted(one)["reason"])


def test_a_rescue_beside_vehicle_laid_apart_is_withheld_with_the_effect():
    sick = wells("column", 0.3, cv=0.05)
    rng = np.random.default_rng(1)
    corrected = sick.filter(pl.col("control") == "vehicle").with_columns(
        line=pl.lit("iso"), live_density=rng.normal(220, 10, 48)
    )
    table = pl.concat([sick, corrected])
    screen = fit_screen(
        plate_effects(table, ["live_density"]),
        planned_of(sick),
        facts=LineFacts(isogenic={"S1": "iso"}, healthy=frozenset({"iso"})),
    )
    withheld = screen.responses.filter(pl.col("status") == "confounded_with_position")
    assert len(withheld) >= 8
    assert set(withheld["rescue_status"]) == {"confounded_with_position"}
    assert withheld["rescue"].null_count() == len(withheld)


def test_a_mean_over_donors_is_withheld_where_most_lines_are():
    lines = ["S1", "S2", "S3"]
    table = pl.concat(
        wells("column", 0.3, seed=i, cv=0.05, active={"c0": (-0.8, 1e-6)}).with_columns(
            line=pl.lit(line), plate=pl.lit(f"{line} ") + pl.col("plate")
        )
        for i, line in enumerate(lines)
    )
    screen = fit_screen(plate_effects(table, ["live_density"]), planned_of(table))
    means = screen.compounds.sort("compound")
    held = means.filter(pl.col("status") == "confounded_with_position")
    assert len(held) >= 10
    assert held["p_value"].null_count() == held["effect"].null_count() == len(held)
    assert set(held["n_lines"]) == {3}
    assert means.filter(pl.col("compound") == "c0")["status"].to_list() == ["ok"]
    assert all(states("places.over_donors", reason) for reason in held["reason"])


def test_without_places_nothing_is_known_of_them():
    table = wells("column", 0.2).drop("well")
    assert set(plate_effects(table, ["live_density"])["apart"]) == {""}
    assert not any(states("places.apart", reason) for reason in fitted(table)["reason"])
