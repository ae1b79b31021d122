from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from benchmarks.inference.power import (
    Design,
    components_of,
    drawn_effects,
    line_table,
    simulated_donors,
    simulated_lines,
)
from phenotypes.screens.power import (
    BATCHES,
    DONORS,
    TARGET,
    VEHICLES,
    WELLS,
    Question,
    best_vehicles,
    power_of_donors,
    power_of_lines,
    power_table,
    smallest_designs,
)
from tests.messages import says

PARTS = components_of(Design(3))


@pytest.fixture(scope="module")
def table():
    return power_table(PARTS, Question(0.5, 0.2))


def line_row(design):
    return design.row()[:, [0, 2, 3]]


@pytest.mark.parametrize(("batches", "effect"), [(3, 0.8), (5, 0.5), (8, 0.3), (10, 0.2)], ids=str)
def test_a_lines_plain_power_is_that_of_a_noncentral_t(batches, effect):
    parts = replace(PARTS, prior_freedom=np.inf)
    power = power_of_lines(parts, line_row(Design(batches)), Question(effect, 0.2))[0][0]
    # The p up to which Benjamini and Hochberg call where this share is detected.
    first = 1 / (0.2 * 480)
    alpha = 0.05 * 0.2 / (1 - 0.05 * 0.8) * (power + first * (1 - power))
    error = np.sqrt(parts.total / batches)
    expected = stats.nct.sf(stats.t.isf(alpha / 2, batches - 1), batches - 1, effect / error)
    assert power == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("design", "effect"),
    [(Design(3), 0.5), (Design(5), 0.4), (Design(8), 0.3), (Design(4, wells=2, vehicles=4), 0.5)],
    ids=str,
)
def test_lines_are_found_as_often_as_predicted(design, effect):
    simulated = simulated_lines(np.random.default_rng(3), design, effect, 25)
    predicted = power_of_lines(components_of(design), line_row(design), Question(effect, 0.2))
    assert predicted[0][0] == pytest.approx(simulated[0], abs=0.06)
    assert predicted[1][0] == pytest.approx(simulated[1], abs=0.05)


@pytest.mark.parametrize(
    ("design", "effect"),
    [(Design(4, 6), 0.4), (Design(3, 12), 0.5), (Design(6, 6), 0.5), (Design(8, 12), 0.3)],
    ids=str,
)
def test_means_over_donors_are_found_as_often_as_predicted(design, effect):
    simulated = simulated_donors(np.random.default_rng(4), design, effect, 60)
    predicted = power_of_donors(components_of(design), design.row(), Question(effect, 0.2))
    assert predicted[0][0] == pytest.approx(simulated[0], abs=0.06)
    assert predicted[1][0] == pytest.approx(simulated[1], abs=0.05)


def test_two_batches_find_next_to_nothing_by_the_plain_mean_over_donors():
    """Student's t over two batches has one degree of freedom, which no correction leaves anything."""
    design = Design(2, 12)
    simulated = simulated_donors(np.random.default_rng(4), design, 1.2, 40)
    predicted = power_of_donors(components_of(design), design.row(), Question(1.2, 0.2))
    assert predicted[0][0] == pytest.approx(simulated[0], abs=0.03)
    assert predicted[0][0] < 0.05
    assert predicted[1][0] > 0.85


def test_the_floor_of_a_hit_costs_power():
    """Of effects just above the floor about half are estimated under it, however many batches."""
    design = Design(10, wells=8, vehicles=32)
    parts = components_of(design)
    rng, floor, effect = np.random.default_rng(5), np.log2(1.2), 0.29
    means = drawn_effects(rng, design, np.full(4000, effect)).mean(axis=2)
    without, at_floor = (
        power_of_lines(parts, line_row(design), Question(effect, 1.0, of))[1][0]
        for of in (0.0, floor)
    )
    assert without > 0.99
    assert at_floor == pytest.approx((means > floor).mean(), abs=0.02)
    assert 0.5 < at_floor < 0.75


def test_doses_cost_power():
    one, eight = (
        power_of_lines(replace(PARTS, doses=n), line_row(Design(3)), Question(0.4, 0.2))[1][0]
        for n in (1, 8)
    )
    assert one > eight + 0.1 > 0.1


def test_lines_that_differ_in_their_variance_are_worth_less_borrowed():
    same, unlike = (
        power_of_lines(replace(PARTS, prior_freedom=f), line_row(Design(3)), Question(0.5, 0.2))
        for f in (np.inf, 4.0)
    )
    assert same[1][0] > unlike[1][0] + 0.05 > unlike[0][0]


def test_rows_of_unlike_variance_are_found_as_often_as_predicted():
    """Rows whose variances scatter by 6 degrees of freedom, as Smyth's model has them."""
    rng, shape, batches, prior_freedom = np.random.default_rng(6), (12, 40), 4, 6.0
    typical, effect = 0.2**2, 0.7
    found = []
    for _ in range(20):
        variance = typical * prior_freedom / rng.chisquare(prior_freedom, shape)
        works = np.arange(40) < 8
        effects = effect * works[None, :, None] + rng.normal(
            0, np.sqrt(variance)[:, :, None], (*shape, batches)
        )
        table = line_table(effects)
        found.append(
            [
                (stats.false_discovery_control(table[p].to_numpy())[np.tile(works, 12)] <= 0.05)
                for p in ("p_value", "moderated_p_value")
            ]
        )
    simulated = np.mean(found, axis=(0, 2))
    mean = typical * prior_freedom / (prior_freedom - 2)
    parts = replace(
        PARTS,
        batch=0.0,
        line=mean,
        wells=1e-9,
        vehicles=1e-9,
        total=mean,
        prior_variance=typical,
        prior_freedom=prior_freedom,
    )
    predicted = power_of_lines(parts, line_row(Design(batches)), Question(effect, 0.2))
    assert predicted[0][0] == pytest.approx(simulated[0], abs=0.06)
    assert predicted[1][0] == pytest.approx(simulated[1], abs=0.05)
    assert simulated[1] > simulated[0] + 0.2


def test_one_true_effect_of_many_is_judged_by_its_own_p():
    alone, some = (
        power_of_lines(PARTS, line_row(Design(3)), Question(0.5, share))[1][0]
        for share in (1e-6, 0.2)
    )
    error = np.sqrt(PARTS.total / 3)
    # Between the borrowed t of many degrees of freedom and of few at p = 0.05 / 480.
    least, most = (
        stats.nct.sf(stats.t.isf(0.05 / 480 / 2, df), df, 0.5 / error) for df in (10, 300)
    )
    assert least < alone < most < some


def test_vehicle_wells_of_the_square_root_of_the_arms():
    for arms in (1, 4, 9, 30):
        for wells in WELLS:
            parts = replace(PARTS, arms=arms)
            assert best_vehicles(parts, wells) == pytest.approx(np.sqrt(arms) * wells)
    # Against a search over all ways to share 300 wells.
    m = np.arange(1, 270)
    variance = PARTS.wells / ((300 - m) / 30) + PARTS.vehicles / m
    best = m[np.argmin(variance)]
    per_arm = (300 - best) / 30
    assert best / per_arm == pytest.approx(best_vehicles(replace(PARTS, arms=30), 1), rel=0.03)
    noisy = replace(PARTS, vehicles=4 * PARTS.wells, arms=9)
    assert best_vehicles(noisy, 4) == pytest.approx(24)


def test_the_table_has_every_design(table):
    cells = len(BATCHES) * len(WELLS) * len(VEHICLES)
    assert len(table.filter(test="line")) == cells
    assert len(table.filter(test="donors")) == cells * len(DONORS)
    assert table.filter(pl.col("power").is_null() | pl.col("moderated_power").is_null()).is_empty()
    assert table["power"].is_between(0, 1).all()
    row = table.filter(test="donors", n_batches=3, n_donors=6, n_wells=4, n_vehicle=16)
    assert row["all_wells"].item() == 3 * 6 * (40 * 4 + 16)


@pytest.mark.parametrize("axis", ["n_batches", "n_wells", "n_vehicle"])
def test_more_of_anything_is_more_power_of_a_line(table, axis):
    rest = [c for c in ("n_batches", "n_wells", "n_vehicle") if c != axis]
    steps = (
        table.filter(test="line")
        .sort(*rest, axis)
        .select(pl.col("moderated_power").diff().over(rest))
        .drop_nulls()
    )
    assert steps["moderated_power"].min() > -0.005


def test_smallest_designs_reach_the_target_with_the_fewest_wells(table):
    smallest = smallest_designs(table)
    assert smallest["moderated_power"].min() >= TARGET
    for r in smallest.iter_rows(named=True):
        rivals = table.filter(
            (pl.col("test") == r["test"])
            & (pl.col("n_batches") == r["n_batches"])
            & (pl.col("all_wells") < r["all_wells"])
        )
        assert rivals["moderated_power"].max() is None or rivals["moderated_power"].max() < TARGET
    line = smallest.filter(test="line")
    assert line["n_batches"].to_list() == list(range(line["n_batches"].min(), 11))


def test_without_borrowing_and_without_donors():
    parts = replace(PARTS, prior_variance=None, prior_freedom=None, donors=None)
    found = power_table(parts, Question(0.5, 0.2))
    assert found["test"].unique().to_list() == ["line"]
    assert found["moderated_power"].null_count() == len(found)
    assert smallest_designs(found)["power"].min() >= TARGET


def test_the_sign_of_an_effect_does_not_matter():
    up, down = (
        power_of_lines(PARTS, line_row(Design(3)), Question(e, 0.2, 0.1))[1][0] for e in (0.4, -0.4)
    )
    assert up == down


@pytest.mark.parametrize(
    ("question", "refused"),
    [
        ({"effect": 0.0}, says("power.no_effect")),
        ({"effect": float("nan")}, says("power.no_effect")),
        ({"effect": 0.5, "working": 0.0}, says("power.no_share")),
        ({"effect": -0.2, "floor": 0.263}, says("power.under_the_floor")),
    ],
    ids=str,
)
def test_questions_without_an_answer(question, refused):
    with pytest.raises(ValueError, match=refused):
        Question(**question)
