from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.conditions import (
    FLOOR_LOG2,
    SCHEMA,
    measurable,
    plate_effects,
    plate_refusals,
)
from tests.phenotypes.drawn_screens import screen_wells


def treated(wells, name="live_density"):
    return plate_effects(wells, [name]).filter(pl.col("control") == "none")


def test_one_row_a_condition_with_its_counts():
    table = plate_effects(screen_wells(np.random.default_rng(0), lines=("L1",)), ["live_density"])
    assert dict(table.schema) == SCHEMA
    assert table.select("plate", "control", "n_wells", "n_cells").rows()[:2] == [
        ("L1-0", "vehicle", 4, 1200),
        ("L1-0", "none", 4, 1200),
    ]
    assert table.filter(pl.col("control") == "vehicle")["effect"].to_list() == pytest.approx(
        [0.0] * 3, abs=1e-12
    )
    assert table.filter(pl.col("control") == "vehicle")["response"].to_list() == pytest.approx(
        [100.0] * 3
    )
    assert table.filter(pl.col("control") == "none")["response"].to_list() == pytest.approx(
        [200.0] * 3, rel=0.15
    )


def test_differences_are_taken_where_a_ratio_means_nothing():
    wells = screen_wells(np.random.default_rng(0)).with_columns(
        nc_log2_aggregate=pl.when(pl.col("control") == "none").then(0.7).otherwise(0.2)
    )
    found = treated(wells, "nc_log2_aggregate")
    assert (
        found["effect"].to_list()
        == found["response"].to_list()
        == pytest.approx([0.5] * len(found))
    )


def test_a_plate_without_vehicle_has_no_effect():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",))
    without = wells.filter(~((pl.col("plate") == "L1-0") & (pl.col("control") == "vehicle")))
    assert treated(without)["plate"].to_list() == ["L1-1", "L1-2"]


def test_an_emptied_well_is_the_strongest_effect_and_not_lost():
    """A log ratio of 0 does not exist; dropping the well would turn the most toxic dose into a
    harmless one.
    """
    wells = screen_wells(np.random.default_rng(0), lines=("L1",))
    dead = wells.with_columns(
        pl.when(pl.col("control") == "none")
        .then(0.0)
        .otherwise(pl.col("live_density"))
        .alias("live_density")
    )
    found = treated(dead)
    assert found["effect"].to_list() == pytest.approx([FLOOR_LOG2] * 3, abs=0.02)
    assert found["response"].to_list() == [0.0] * 3
    assert found["n_floored"].to_list() == [4] * 3


def test_wells_that_are_not_done_take_no_part():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",), wells=8)
    odd = wells.with_row_index().with_columns(
        pl.when(pl.col("index") % 4 == 0)
        .then(pl.lit("failed"))
        .otherwise(pl.lit("done"))
        .alias("status")
    )
    assert treated(odd)["n_wells"].to_list() == [6] * 3


def test_phenotypes_that_the_pixels_cannot_carry_are_left_out():
    assert measurable(["live_density", "nc_log2_aggregate", "puncta_per_neuron"], 0.9) == [
        "live_density",
        "nc_log2_aggregate",
    ]


def test_two_batches_of_a_line_on_one_plate_have_their_own_vehicle():
    """Batches at levels 200 and 100, the compound on the first only and without effect: no
    difference of levels may pass for one.
    """
    rng = np.random.default_rng(0)
    first, second = (
        screen_wells(rng, lines=("L1",), batches=1, effect=0.0, noise=0.01).with_columns(
            plate=pl.lit("p"), batch=pl.lit(b)
        )
        for b in ("b1", "b2")
    )
    low = second.filter(pl.col("control") == "vehicle").with_columns(pl.col("live_density") / 2)
    assert treated(pl.concat([first, low]))["effect"].to_list() == pytest.approx([0.0], abs=0.02)
    alone = pl.concat([first.filter(pl.col("control") == "none"), low])
    assert treated(alone).is_empty()
    assert plate_refusals(alone, ["live_density"])["status"].to_list() == ["no_vehicle"]


def test_empty_vehicle_wells_do_not_lift_a_compound():
    """Three of eight vehicle wells at 0, treated wells at the vehicle's mean: a mean of logarithms
    would call it a four-fold effect.
    """
    vehicle = [0.0, 0.0, 0.0, 4.0, 5.0, 6.0, 5.0, 4.0]
    rows = [("vehicle", v) for v in vehicle] + [("none", float(np.mean(vehicle)))] * 4
    wells = pl.DataFrame(
        [
            {
                "plate": "p",
                "batch": "b",
                "line": "L",
                "genotype": "",
                "compound": "x" if c == "none" else "DMSO",
                "dose_molar": 1e-6 if c == "none" else 0.0,
                "control": c,
                "status": "done",
                "nuclei_count": 100,
                "branch_points_per_100um": v,
            }
            for c, v in rows
        ]
    )
    assert treated(wells, "branch_points_per_100um")["effect"].to_list() == pytest.approx([0.0])


def test_nan_is_no_value():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",)).with_row_index()
    spoilt = wells.with_columns(
        pl.when(pl.col("index") % 8 == 5)
        .then(float("nan"))
        .otherwise(pl.col("live_density"))
        .alias("live_density")
    )
    found = treated(spoilt)
    assert found["n_wells"].to_list() == [3] * 3
    assert found["effect"].is_finite().all()


def test_what_gives_no_effect_is_said():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",))
    zero = wells.with_columns(
        pl.when(pl.col("control") == "vehicle")
        .then(0.0)
        .otherwise(pl.col("live_density"))
        .alias("live_density")
    )
    assert set(plate_refusals(zero, ["live_density"])["status"]) == {"vehicle_is_zero"}
    assert set(
        plate_refusals(wells.with_columns(status=pl.lit("failed")), ["live_density"])["status"]
    ) == {"not_measured"}
    assert plate_refusals(wells, ["live_density"]).is_empty()


@pytest.mark.parametrize(("vehicles", "refused"), [(1, True), (3, True), (4, False)])
def test_under_four_vehicle_wells_a_plate_gives_no_effect(vehicles, refused):
    """One vehicle well at 159 % made every compound of its plate a strong one."""
    table = screen_wells(np.random.default_rng(0), lines=("L",), batches=1)
    extra = table.filter(pl.col("control") == "vehicle").slice(vehicles)
    few = table.join(extra, on=table.columns, how="anti")
    assert (few["control"] == "vehicle").sum() == vehicles
    effects = plate_effects(few, ["live_density"]).filter(pl.col("control") == "none")
    assert effects.is_empty() is refused
    assert plate_refusals(few, ["live_density"])["status"].to_list() == (
        ["too_few_vehicles"] if refused else []
    )
    asked = plate_effects(few, ["live_density"], min_vehicles=vehicles)
    assert not asked.filter(pl.col("control") == "none").is_empty()
    # Vehicle wells stay: the disease window has a guard of its own.
    assert len(asked.filter(pl.col("control") == "vehicle")) == 1
