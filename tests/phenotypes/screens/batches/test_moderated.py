from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.screens.batches.moderated import (
    best_doses,
    with_moderated_tests,
    with_tests_over_doses,
)
from phenotypes.screens.lines import line_effects
from phenotypes.statistics.moderation import variance_prior

DOSES = (1e-8, 1e-7, 1e-6)


def batch_table(effects, doses=DOSES):
    """(line, compound) ► effects of shape (doses, batches), as `batch_effects` has them."""
    return pl.DataFrame(
        [
            {
                "phenotype": "live_density",
                "line": line,
                "compound": compound,
                "dose_molar": doses[d],
                "control": "none",
                "batch": f"b{b}",
                "genotype": "SOD1",
                "effect": float(value),
                "response": 100.0,
                "error": 0.1,
                "n_wells": 4,
                "n_cells": 100,
                "n_vehicle": 8,
                "n_floored": 0,
                "n_plates": 1,
                "freedom": 10,
                "vehicles": "DMSO",
            }
            for (line, compound), values in effects.items()
            for d, by_batch in enumerate(values)
            for b, value in enumerate(by_batch)
            if np.isfinite(value)
        ]
    )


def moderated_table(effects, doses=DOSES):
    batches = batch_table(effects, doses)
    return with_tests_over_doses(with_moderated_tests(line_effects(batches), batches))


def nulls(rng, lines, compounds, sd=0.1, shared_sd=0.0, doses=3, batches=3):
    return {
        (f"L{i}", f"c{j:02d}"): rng.normal(0, sd, (doses, batches)) + common
        for j, common in enumerate(rng.normal(0, shared_sd, (compounds, doses, batches)))
        for i in range(lines)
    }


def test_each_rung_of_the_ladder_borrows_from_its_own():
    """The highest dose scatters four times as much as the others."""
    rng = np.random.default_rng(0)
    effects = {k: v * np.array([1, 1, 4])[:, None] for k, v in nulls(rng, 4, 20).items()}
    table = moderated_table(effects)
    assert set(table["moderation_status"]) == {"ok"}
    common = dict(table.group_by("dose_molar").agg(pl.col("prior_sd").first()).rows())
    assert common[1e-6] == pytest.approx(0.4, rel=0.15)
    assert common[1e-8] == pytest.approx(0.1, rel=0.15)
    top = table.filter(dose_molar=1e-6)
    prior = variance_prior((top["error"] ** 2 * 3).to_numpy(), np.full(80, 2.0))
    assert top["prior_freedom"].unique().to_list() == [prior.freedom]


def test_interval_and_p_are_those_of_the_drawn_variance():
    table = moderated_table(nulls(np.random.default_rng(1), 4, 20))
    assert (table["moderated_error"] > 0).all()
    width = stats.t.ppf(0.975, table["moderated_freedom"]) * table["moderated_error"]
    assert (table["effect"] - width).to_list() == pytest.approx(table["moderated_low"].to_list())
    assert (table["effect"] + width).to_list() == pytest.approx(table["moderated_high"].to_list())
    p = 2 * stats.t.sf(
        (table["effect"] / table["moderated_error"]).abs(), table["moderated_freedom"]
    )
    assert p.tolist() == pytest.approx(table["moderated_p_value"].to_list())


def test_under_ten_rows_nothing_is_borrowed():
    rng = np.random.default_rng(2)
    assert set(moderated_table(nulls(rng, 3, 3))["moderation_status"]) == {"too_few_rows"}
    assert set(moderated_table(nulls(rng, 5, 2))["moderation_status"]) == {"ok"}
    assert moderated_table(nulls(rng, 3, 3))["moderated_p_value"].null_count() == 27


def test_one_batch_gets_no_test_and_batches_that_agree_to_the_last_digit_borrow():
    """A compound that kills all cells has the least ratio, −6, in every batch: it is a hit."""
    effects = nulls(np.random.default_rng(3), 4, 5)
    effects["L0", "c00"] = np.array([[0.1, np.nan, np.nan], [-6.0, -6.0, -6.0], [0.1, 0.3, 0.2]])
    effects["L1", "c00"][1] = 0.0
    whole = moderated_table(effects)
    table = whole.filter(line="L0", compound="c00").sort("dose_molar")
    assert table["status"].to_list() == ["one_batch", "no_variation", "ok"]
    assert table["moderation_status"].to_list() == ["not_tested", "ok", "ok"]
    assert table["moderated_p_value"].null_count() == 1
    assert table["p_over_doses"].null_count() == 1
    killed = table.row(1, named=True)
    alike = whole.filter(line="L1", compound="c00", dose_molar=1e-7).row(0, named=True)
    prior = variance_prior(
        (whole.filter(pl.col("error") > 0, dose_molar=1e-7)["error"] ** 2 * 3).to_numpy(),
        np.full(18, 2.0),
    )
    assert killed["prior_freedom"] == prior.freedom
    t = 6.0 / killed["moderated_error"]
    expected = 2 * stats.t.sf(t, killed["moderated_freedom"])
    assert killed["moderated_p_value"] == pytest.approx(expected, rel=1e-9)
    assert (alike["effect"], alike["moderated_p_value"]) == (0.0, 1.0)
    best = best_doses(whole).filter(line="L0", compound="c00").row(0, named=True)
    assert (best["best_dose_molar"], best["best_effect"], best["n_doses"]) == (1e-7, -6.0, 2)


def test_rows_that_share_batches_are_worth_fewer_degrees_of_freedom():
    """Three compounds in twelve lines that answer alike are not 36 rows of two each."""
    rng = np.random.default_rng(4)
    alike = moderated_table(nulls(rng, 12, 3, sd=0.02, shared_sd=0.4, doses=1), (1e-6,))
    assert 4 < alike["moderated_freedom"].max() < 12
    apart = moderated_table(nulls(rng, 12, 3, sd=0.4, doses=1), (1e-6,))
    assert apart["moderated_freedom"].max() > 40


@pytest.mark.parametrize(
    ("lines", "compounds", "shared_sd"), [(1, 30, 0.0), (12, 3, 0.2), (20, 10, 0.15)]
)
def test_the_level_holds(lines, compounds, shared_sd):
    rng = np.random.default_rng(5)
    called = np.mean(
        [
            (table["moderated_p_value"] < 0.05).mean()
            for table in (
                moderated_table(nulls(rng, lines, compounds, 0.1, shared_sd, doses=1), (1e-6,))
                for _ in range(60)
            )
        ]
    )
    assert 0.03 <= called <= 0.085


def test_a_fifth_of_compounds_four_times_noisier_make_no_flood_of_hits():
    rng = np.random.default_rng(6)
    false, power = [], []
    for _ in range(20):
        effects = nulls(rng, 20, 30, 0.12, 0.15, doses=1)
        effects = {
            (line, c): v * (4 if int(c[1:]) % 5 == 0 else 1) - 0.8 * (int(c[1:]) % 5 == 1)
            for (line, c), v in effects.items()
        }
        table = moderated_table(effects, (1e-6,))
        q = stats.false_discovery_control(table["moderated_p_value"])
        active = (table["compound"].str.slice(1).cast(pl.Int64) % 5 == 1).to_numpy()
        hit = q <= 0.05
        false.append((hit & ~active).sum() / max(hit.sum(), 1))
        power.append(hit[active].mean())
    assert np.mean(false) <= 0.07
    assert np.mean(power) >= 0.8


def test_a_middle_dose_is_the_best_supported_one():
    """The rescue is at the middle dose; the highest is toxic in one batch only."""
    effects = nulls(np.random.default_rng(7), 4, 10, 0.05)
    effects["L0", "c00"] = np.array([[0.0, 0.1, -0.1], [1.0, 1.1, 0.9], [-0.5, 0.6, 0.1]])
    best = best_doses(moderated_table(effects)).filter(line="L0", compound="c00").to_dicts()[0]
    assert best["best_dose_molar"] == 1e-7
    assert best["best_effect"] == pytest.approx(1.0)
    assert best["n_doses"] == 3
    assert best["best_p_value"] < 1e-4


def test_p_over_doses_is_that_of_the_least_of_as_many():
    table = moderated_table(nulls(np.random.default_rng(8), 4, 10))
    expected = 1 - (1 - table["moderated_p_value"]) ** 3
    assert table["p_over_doses"].to_list() == pytest.approx(expected.to_list())
    few = moderated_table(nulls(np.random.default_rng(8), 1, 3))
    assert few["p_over_doses"].to_list() == pytest.approx((1 - (1 - few["p_value"]) ** 3).to_list())


@pytest.mark.parametrize("correlated", [False, True])
def test_the_best_dose_keeps_level_and_coverage(correlated):
    """Where doses share what a batch does, the test is on the safe side."""
    rng = np.random.default_rng(9)
    called, covered = [], []
    for _ in range(40):
        effects = nulls(rng, 4, 20)
        if correlated:
            effects = {k: v + rng.normal(0, 0.2, 3) for k, v in effects.items()}
        best = best_doses(moderated_table(effects))
        called.append((best["best_p_value"] < 0.05).mean())
        covered.append(
            best.select((pl.col("best_effect_low") <= 0) & (pl.col("best_effect_high") >= 0))
            .mean()
            .item()
        )
    low = 0.01 if correlated else 0.03
    assert low <= np.mean(called) <= 0.07
    assert np.mean(covered) == pytest.approx(1 - np.mean(called), abs=1e-9)
