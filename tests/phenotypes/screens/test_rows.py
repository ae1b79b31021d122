"""One row of a screen from the means of its batches: points, digest, fit, and why there is no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.screens.rows import Cells, ScreenRow, cells_of, curve_of, points_of
from phenotypes.statistics.curves.batch_curves import fit_batches
from tests.messages import states

DOSES = [1e-8, 1e-7, 1e-6, 1e-5]


def means(*batches, **columns):
    """A table of batch means of one condition: one row per batch and dose."""
    rows = [
        {
            "phenotype": "live_density",
            "line": "S1",
            "compound": "x",
            "batch": batch,
            "vehicles": "DMSO",
            "dose_molar": dose,
            "effect": -0.1 * step - 0.01 * number,
            "response": 100.0 - 20 * step - number,
            "error": 0.05,
            "n_wells": 3,
            "n_cells": 300,
            "n_floored": 0,
            "n_vehicle": 8 + number,
        }
        for number, batch in enumerate(batches)
        for step, dose in enumerate(DOSES)
    ]
    return pl.DataFrame([row | columns for row in rows])


def ladder(*batches, **columns):
    return next(iter(cells_of(means(*batches, **columns)).values()))


def row(own=None, **more):
    return ScreenRow(
        **{
            "phenotype": "live_density",
            "ladder": own or ladder("b0", "b1"),
            "isogenic": None,
            "live": None,
            "gaps": None,
            "effect": None,
            "dose": DOSES[-1],
            "dose_range": (DOSES[0], DOSES[-1]),
            "partner": "",
        }
        | more
    )


def test_batch_means_are_split_by_condition_in_the_order_of_batch_and_dose():
    table = pl.concat(
        [means("b1", "b0"), means("b0", line="S2"), means("b0", compound="y", vehicles="water")]
    )
    found = cells_of(table.sample(fraction=1, shuffle=True, seed=3))
    assert sorted(found) == [
        ("live_density", "S1", "x"),
        ("live_density", "S1", "y"),
        ("live_density", "S2", "x"),
    ]
    own = found["live_density", "S1", "x"]
    assert own.batch == ("b0",) * 4 + ("b1",) * 4
    assert own.dose.tolist() == DOSES * 2
    assert own.n_vehicle.tolist() == [9.0] * 4 + [8.0] * 4
    assert found["live_density", "S1", "y"].vehicles == ("water",)
    assert own.effects_at(1e-6) == pytest.approx({"b0": -0.21, "b1": -0.2})
    assert own.effects_at(2e-6) == {}
    assert cells_of(table.clear()) == {}


def test_a_mean_that_is_not_known_is_nan_and_not_zero():
    own = ladder("b0", effect=None)
    assert np.isnan(own.effect).all()


@pytest.mark.parametrize(("name", "level"), [("live_density", 100.0), ("nc_log2_aggregate", 0.0)])
def test_each_batch_has_its_vehicle_at_dose_zero_with_the_weight_of_its_wells(name, level):
    points = points_of(ladder("b0", "b1"), name)
    assert points["dose"] == [0.0, *DOSES] * 2
    assert points["batch"] == ["b0"] * 5 + ["b1"] * 5
    assert points["response"] == [level, 100.0, 80.0, 60.0, 40.0, level, 99.0, 79.0, 59.0, 39.0]
    assert points["wells"] == [8.0, 3.0, 3.0, 3.0, 3.0, 9.0, 3.0, 3.0, 3.0, 3.0]


def test_the_curve_goes_through_these_points():
    own = ladder("b0", "b1")
    points = points_of(own, "live_density")
    batch = [0] * 5 + [1] * 5
    expected = fit_batches(points["dose"], points["response"], points["wells"], batch)
    assert curve_of(own, "live_density") == expected


def test_counts_of_the_curve_are_over_all_doses():
    fitted = row().fit()
    assert (fitted["n_curve_wells"], fitted["n_curve_batches"]) == (24, 2)


def test_a_row_without_a_dose_or_an_effect_says_so_and_counts_nothing():
    none = {"n_batches": 0, "n_plates": 0, "n_wells": 0, "n_cells": 0}
    for fitted, status in (
        (row(dose=None).fit(), "no_common_dose"),
        (row(effect=None).fit(), "not_measured"),
    ):
        assert fitted["status"] == status
        assert fitted["reason"]
        assert {name: fitted[name] for name in none} == none
        assert "effect" not in fitted


def test_the_area_under_a_curve_needs_a_range_of_doses():
    assert row(dose_range=None).fit()["auc"] is None
    assert 38 < row().fit()["auc"] < 100


def test_a_line_without_a_partner_or_a_gap_has_no_rescue_and_says_why():
    def status(**more):
        fitted = row(**more).fit()
        return fitted["window_status"], fitted["rescue_status"]

    assert status() == ("no_pair", "no_pair")
    assert status(partner="S1-iso") == ("too_few_batches", "too_few_batches")
    assert status(partner="S1-iso", gaps={"b0": 1.0}) == ("too_few_batches", "too_few_batches")
    # Lines without a common dose have a rescue each.
    own = status(partner="S1-iso", gaps={"b0": -0.6, "b1": -0.61}, dose=None)
    assert own == ("expressed", "ok")


def test_a_rescue_is_over_the_batches_that_have_a_gap():
    own = ladder("b0", "b1", "b2", "b3")
    gaps = {"b0": -0.6, "b1": -0.62, "b2": -0.64, "b9": 50.0}
    fitted = row(own, partner="S1-iso", gaps=gaps).fit()
    without = row(ladder("b0", "b1", "b2"), partner="S1-iso", gaps=gaps).fit()
    assert fitted["window"] == pytest.approx(-0.62)
    for name in ("rescue_status", "rescue", "rescue_low", "rescue_high", "window_low"):
        assert fitted[name] == without[name]
    # Effects of −0.30, −0.31, −0.32 of gaps of −0.60, −0.62, −0.64: half of each.
    assert fitted["rescue"] == pytest.approx(0.5)
    assert fitted["rescue_dose_molar"] == DOSES[-1]


def bell(*batches, top=-2.0):
    """Works at the third of four doses and harms at the highest; the vehicles differ by 0.6."""
    own = ladder(*batches)
    levels = {DOSES[0]: 0.0, DOSES[1]: 0.1, DOSES[2]: 0.5, DOSES[3]: top}
    noise = np.random.default_rng(1).normal(0, 0.01, len(own.dose))
    return replace(own, effect=np.array([levels[d] for d in own.dose]) + noise)


GAPS = {f"b{i}": g for i, g in enumerate((0.6, 0.61, 0.59, 0.6, 0.62))}


def test_a_rescue_at_a_middle_dose_is_seen_although_the_highest_harms():
    own = bell(*GAPS)
    fitted = row(own, partner="S1-iso", gaps=GAPS).fit()
    assert (fitted["rescue_status"], fitted["rescue_dose_molar"]) == ("ok", DOSES[2])
    assert fitted["rescue"] == pytest.approx(0.5 / 0.604, rel=0.02)
    # The dose was chosen for its effect: the interval is that of four doses at once.
    chosen = row(own, partner="S1-iso", gaps=GAPS, dose=DOSES[2], chosen=True).fit()
    width = [f["rescue_high"] - f["rescue_low"] for f in (fitted, chosen)]
    assert chosen["rescue"] == fitted["rescue"]
    # Student's t of 4 degrees of freedom at 1 − 0.95^(1/4) over that at 5 %: 4.3026 / 2.7764.
    quantiles = stats.t.isf((1 - 0.95 ** np.array([0.25, 1.0])) / 2, 4)
    assert width[0] / width[1] == pytest.approx(quantiles[0] / quantiles[1], rel=0.02)


def test_the_screens_own_dose_is_the_rescues_too():
    fitted = row(bell(*GAPS), partner="S1-iso", gaps=GAPS, chosen=True).fit()
    assert fitted["rescue_dose_molar"] == DOSES[3]
    assert fitted["rescue"] < -3


def test_doses_that_lose_cells_are_left_out_of_the_choice_and_counted():
    own = bell(*GAPS, top=0.9)
    live = ladder(*GAPS)
    dying = replace(live, effect=np.where(live.dose == DOSES[3], -2.0, 0.0))
    fitted = row(own, partner="S1-iso", gaps=GAPS, live=dying).fit()
    assert fitted["rescue_dose_molar"] == DOSES[2]
    assert states("rescue.doses_left_out", str(fitted["rescue_reason"]), count=1)
    without = row(own, partner="S1-iso", gaps=GAPS).fit()
    assert without["rescue_dose_molar"] == DOSES[3]
    # Where all doses kill there is nothing to choose from, and the row says so.
    all_die = row(own, partner="S1-iso", gaps=GAPS, live=replace(live, effect=live.dose * 0 - 2))
    found = all_die.fit()
    assert found["rescue_dose_molar"] == DOSES[3]
    assert states("rescue.live_cells_lost", str(found["rescue_reason"]), share="75%")


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2"},
        {"phenotype": "nuclei_density"},
        {"gaps": {"b0": 1.0}},
        {"dose": DOSES[0]},
        {"dose_range": (DOSES[0], DOSES[1])},
        {"partner": "S1-iso"},
        {"robust": True},
        {"chosen": True},
        {"isogenic": ladder("b0")},
        {"live": ladder("b0")},
        {"ladder": ladder("b0", "b1", n_wells=4)},
        {"ladder": ladder("b0", "b1", vehicles="water")},
    ],
)
def test_a_row_is_fitted_again_when_what_it_stands_on_changes(change):
    assert row(**change).digest() != row().digest()


def test_the_last_digits_of_a_sum_do_not_change_what_a_row_is():
    own = ladder("b0", "b1")
    assert isinstance(own, Cells)
    nudged = replace(own, effect=own.effect + 1e-12, response=own.response - 1e-11)
    assert row(nudged).digest() == row(own).digest()
    assert row(replace(own, effect=own.effect + 1e-6)).digest() != row(own).digest()


def test_a_row_carries_the_p_of_its_curve_and_the_batches_left_out_of_it():
    own = ladder("b0", "b1", "b2")
    few = np.where(np.array(own.batch) == "b0", 2.0, own.n_vehicle)
    short = replace(own, n_vehicle=few)
    fitted, expected = row(short).fit(), curve_of(short, "live_density")
    assert fitted["curve_p_value"] == expected.p_value
    assert states("batch_curves.few_vehicles", str(fitted["curve_reason"]), out=1, of=3, least=4)
