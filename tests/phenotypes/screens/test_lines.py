from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.lines import batch_effects, line_effects
from tests.messages import states
from tests.phenotypes.drawn_screens import screen_wells


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
    y = by_hand.filter((pl.col("line") == "L1") & (pl.col("control") == "none"))[
        "effect"
    ].to_numpy()
    assert lines["error"][0] == pytest.approx(y.std(ddof=1) / np.sqrt(3))
    # t, 2 degrees of freedom
    assert lines["effect_high"][0] - lines["effect"][0] == pytest.approx(
        4.3027 * lines["error"][0], rel=1e-4
    )


def test_two_plates_of_a_batch_are_one_observation():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",), batches=2)
    again = screen_wells(np.random.default_rng(5), lines=("L1",), batches=2).with_columns(
        plate=pl.col("plate") + "-again"
    )
    table = estimate(pl.concat([wells, again]))
    assert table.select("n_batches", "n_plates", "n_wells").rows() == [(2, 4, 16)]


def test_one_batch_is_said_and_has_no_p():
    lines = estimate(screen_wells(np.random.default_rng(0), batches=1))
    assert set(lines["status"]) == {"one_batch"}
    assert lines["error"].null_count() == 0
    assert lines["p_value"].null_count() == len(lines)
    assert states("lines.one_batch", lines["reason"][0])


def test_a_ladder_of_single_wells_borrows_the_vehicles_spread():
    lines = estimate(
        screen_wells(np.random.default_rng(0), batches=1, wells=1).filter(
            pl.col("control") == "none"
        )
    )
    assert lines.is_empty()  # no vehicle, no effect
    some = screen_wells(np.random.default_rng(0), lines=("L1",), batches=1)
    single = pl.concat(
        [
            some.filter(pl.col("control") == "vehicle"),
            some.filter(pl.col("control") == "none").head(1),
        ]
    )
    assert estimate(single)["error"][0] > 0


def test_vehicle_wells_of_other_plates_are_not_counted():
    """One batch on ten plates of four vehicle wells each; the compound stands on one of them, and
    its interval must know that.
    """
    rng, covered = np.random.default_rng(0), 0
    for _ in range(150):
        plates = [
            screen_wells(
                rng, lines=("L1",), batches=1, wells=4, effect=0.0, noise=0.1
            ).with_columns(plate=pl.lit(f"p{i}"))
            for i in range(10)
        ]
        row = estimate(
            pl.concat([plates[0], *(p.filter(pl.col("control") == "vehicle") for p in plates[1:])])
        ).to_dicts()[0]
        covered += row["effect_low"] <= 0 <= row["effect_high"]
    assert 0.90 * 150 <= covered <= 0.99 * 150


@pytest.mark.parametrize(("wells", "noisier"), [(2, 1.0), (3, 1.0), (4, 1.0), (4, 2.0), (16, 1.0)])
def test_few_wells_beside_many_of_vehicle_have_the_degrees_of_freedom_of_the_few(wells, noisier):
    """With the degrees of freedom of both arms together, intervals of two, three and four wells
    covered 83, 87 and 89 %.
    """
    rng = np.random.default_rng(4)
    count, vehicles = 600, 16
    line = np.repeat([f"L{n:03d}" for n in range(count)], vehicles + wells)
    treated = np.tile(np.arange(vehicles + wells) >= vehicles, count)
    noise = rng.normal(0, 0.1, len(line)) * np.where(treated, noisier, 1.0)
    table = pl.DataFrame(
        {
            "plate": "p1",
            "batch": "b1",
            "line": line,
            "genotype": "",
            "compound": np.where(treated, "x", "DMSO"),
            "dose_molar": np.where(treated, 1e-6, 0.0),
            "control": np.where(treated, "none", "vehicle"),
            "status": "done",
            "nuclei_count": 300,
            "live_density": 200 * 2**noise,
            "well": [f"A{n % 20 + 1:02d}" for n in range(len(line))],
        }
    )
    rows = estimate(table)
    held = ((rows["effect_low"] <= 0) & (rows["effect_high"] >= 0)).mean()
    assert set(rows["status"]) == {"one_batch"}
    assert 0.93 <= held <= 0.985


def test_the_degrees_of_freedom_of_two_plates_and_of_a_single_well():
    """Welch's of wells of 90 and 110 % beside four of vehicle; one well has the vehicle's."""
    values = [80.0, 100.0, 120.0, 100.0, 90.0, 110.0]
    plate = pl.DataFrame(
        {
            "plate": "p1",
            "batch": "b1",
            "line": "L1",
            "genotype": "",
            "compound": ["DMSO"] * 4 + ["x"] * 2,
            "dose_molar": [0.0] * 4 + [1e-6] * 2,
            "control": ["vehicle"] * 4 + ["none"] * 2,
            "status": "done",
            "nuclei_count": 300,
            "live_density": values,
            "well": [f"A{n + 1:02d}" for n in range(6)],
        }
    )

    def freedom(table):
        batches = batch_effects(plate_effects(table, ["live_density"]))
        return batches.filter(control="none")["well_freedom"].item()

    treated, vehicle = (np.var(v, ddof=1) / len(v) for v in (values[4:], values[:4]))
    one = (treated + vehicle) ** 2 / (treated**2 / 1 + vehicle**2 / 3)
    assert freedom(plate) == pytest.approx(one)
    # Two plates alike have twice as many.
    other = plate.with_columns(plate=pl.lit("p2"))
    assert freedom(pl.concat([plate, other])) == pytest.approx(2 * one)
    assert freedom(plate.head(5)) == 3.0
    # A table of an earlier version does not say: no fewer than those of the smaller arm.
    earlier = plate_effects(plate, ["live_density"]).drop("freedom", "interval_error")
    assert batch_effects(earlier).filter(control="none")["well_freedom"].item() == 1.0
    averages = batch_effects(earlier)
    told, untold = (
        line_effects(table).drop("genotype")
        for table in (averages, averages.drop("well_error", "well_freedom"))
    )
    assert told.equals(untold)


def test_batches_without_scatter_are_no_test():
    wells = screen_wells(np.random.default_rng(0), lines=("L1",), batches=2).with_columns(
        pyknotic_fraction=pl.when(pl.col("control") == "none").then(1.0).otherwise(0.0)
    )
    row = line_effects(batch_effects(plate_effects(wells, ["pyknotic_fraction"]))).to_dicts()[0]
    assert (row["status"], row["effect"], row["p_value"], row["effect_low"]) == (
        "no_variation",
        1.0,
        None,
        None,
    )


def test_the_direction_is_that_of_the_mean():
    table = batch_effects(
        plate_effects(
            screen_wells(np.random.default_rng(0), lines=("L1",), batches=5), ["live_density"]
        )
    )
    spread = table.with_columns(
        pl.when(pl.col("control") == "none")
        .then(pl.Series([-0.01, -0.01, -0.01, 2.0, 2.1] * 2))
        .otherwise(pl.col("effect"))
        .alias("effect")
    )
    row = line_effects(spread).to_dicts()[0]
    assert row["effect"] > 0
    assert row["same_direction"] == 2
