from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.line_effects import batch_effects, line_effects
from phenotypes.plate_effects import plate_effects
from tests.phenotypes.screens import screen_wells


def estimate(wells):
    return line_effects(batch_effects(plate_effects(wells, ["live_density"])))


def test_levels_of_batches_cancel_and_the_effect_is_found():
    lines = estimate(screen_wells(np.random.default_rng(0)))
    assert lines["effect"].to_list() == pytest.approx([1.0] * 4, abs=0.1)
    assert set(lines["status"]) == {"ok"}
    assert lines["n_batches"].to_list() == [3] * 4
    assert lines["n_wells"].to_list() == [12] * 4
    assert lines["same_direction"].to_list() == [3] * 4


def test_the_batch_is_n_not_the_well():
    """Twelve wells in three batches that respond differently are three observations."""
    wells = screen_wells(np.random.default_rng(1), batch_sd=0.5, noise=0.01)
    lines = estimate(wells)
    by_hand = batch_effects(plate_effects(wells, ["live_density"]))
    y = by_hand.filter((pl.col("line") == "L1") & (pl.col("control") == "none"))["effect"].to_numpy()
    assert lines["error"][0] == pytest.approx(y.std(ddof=1) / np.sqrt(3))
    assert lines["effect_high"][0] - lines["effect"][0] == pytest.approx(4.3027 * lines["error"][0], rel=1e-4)  # t, 2 degrees of freedom


def test_two_plates_of_a_batch_are_one_observation():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",), batches=2)
    again = screen_wells(np.random.default_rng(5), lines=("L1",), batches=2).with_columns(plate=pl.col("plate") + "-again")
    table = estimate(pl.concat([wells, again]))
    assert table.select("n_batches", "n_plates", "n_wells").rows() == [(2, 4, 16)]


def test_one_batch_is_said_and_has_no_p():
    lines = estimate(screen_wells(np.random.default_rng(0), batches=1))
    assert set(lines["status"]) == {"one_batch"}
    assert lines["error"].null_count() == 0
    assert lines["p_value"].null_count() == len(lines)
    assert "says nothing of another batch" in lines["reason"][0]


def test_a_ladder_of_single_wells_borrows_the_vehicles_spread():
    lines = estimate(screen_wells(np.random.default_rng(0), batches=1, wells=1).filter(pl.col("control") == "none"))
    assert lines.is_empty()  # no vehicle, no effect
    some = screen_wells(np.random.default_rng(0), lines=("L1",), batches=1)
    single = pl.concat([some.filter(pl.col("control") == "vehicle"), some.filter(pl.col("control") == "none").head(1)])
    assert estimate(single)["error"][0] > 0
