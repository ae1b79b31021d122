from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.plate_effects import FLOOR_LOG2, SCHEMA, measurable, plate_effects
from tests.phenotypes.screens import screen_wells


def treated(wells, name="live_density"):
    return plate_effects(wells, [name]).filter(pl.col("control") == "none")


def test_one_row_a_condition_with_its_counts():
    table = plate_effects(screen_wells(np.random.default_rng(0), lines=("L1",)), ["live_density"])
    assert dict(table.schema) == SCHEMA
    assert table.select("plate", "control", "n_wells", "n_cells").rows()[:2] == [("L1-0", "vehicle", 4, 1200), ("L1-0", "none", 4, 1200)]
    assert table.filter(pl.col("control") == "vehicle")["effect"].to_list() == pytest.approx([0.0] * 3, abs=1e-12)
    assert table.filter(pl.col("control") == "vehicle")["response"].to_list() == pytest.approx([100.0] * 3)
    assert table.filter(pl.col("control") == "none")["response"].to_list() == pytest.approx([200.0] * 3, rel=0.15)


def test_differences_are_taken_where_a_ratio_means_nothing():
    wells = screen_wells(np.random.default_rng(0)).with_columns(
        nc_log2_aggregate=pl.when(pl.col("control") == "none").then(0.7).otherwise(0.2)
    )
    found = treated(wells, "nc_log2_aggregate")
    assert found["effect"].to_list() == found["response"].to_list() == pytest.approx([0.5] * len(found))


def test_a_plate_without_vehicle_has_no_effect():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",))
    without = wells.filter(~((pl.col("plate") == "L1-0") & (pl.col("control") == "vehicle")))
    assert treated(without)["plate"].to_list() == ["L1-1", "L1-2"]


def test_an_emptied_well_is_the_strongest_effect_and_not_lost():
    """A log ratio of 0 does not exist; dropping the well would turn the most toxic dose into a harmless one."""
    wells = screen_wells(np.random.default_rng(0), lines=("L1",))
    dead = wells.with_columns(pl.when(pl.col("control") == "none").then(0.0).otherwise(pl.col("live_density")).alias("live_density"))
    found = treated(dead)
    assert found["effect"].to_list() == pytest.approx([FLOOR_LOG2] * 3, abs=0.02)
    assert found["response"].to_list() == [0.0] * 3
    assert found["n_floored"].to_list() == [4] * 3


def test_wells_that_are_not_done_take_no_part():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",))
    odd = wells.with_row_index().with_columns(
        pl.when(pl.col("index") % 4 == 0).then(pl.lit("failed")).otherwise(pl.lit("done")).alias("status")
    )
    assert treated(odd)["n_wells"].to_list() == [3] * 3


def test_phenotypes_that_the_pixels_cannot_carry_are_left_out():
    assert measurable(["live_density", "nc_log2_aggregate", "puncta_per_neuron"], 0.9) == ["live_density", "nc_log2_aggregate"]
