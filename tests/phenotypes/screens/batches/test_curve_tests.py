"""Curves that hold between batches, by generators of this file's own, and contrasts by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.screens.batches.curve_tests import (
    _p_of_group,
    contrasts,
    dose_response_p,
    with_curve_tests,
    worth,
)
from phenotypes.screens.rows import cells_of, curve_of
from phenotypes.statistics.curves.hill import occupancy
from phenotypes.statistics.moderation import variance_prior
from tests.messages import states

DOSES = np.geomspace(1e-8, 3e-5, 8)
RISE = (np.log10(DOSES) - np.log10(DOSES[0])) / np.log10(DOSES[-1] / DOSES[0])
KEYS = ["phenotype", "line", "compound"]


def batch_table(effects, name="live_density"):
    """Rows as of `batch_effects` from log2 effects (line, compound, batch, dose)."""
    i, j, b, d = (axis.ravel() for axis in np.indices(effects.shape))
    return pl.DataFrame(
        {
            "phenotype": name,
            "line": [f"L{n}" for n in i],
            "compound": [f"c{n:02d}" for n in j],
            "batch": [f"b{n}" for n in b],
            "dose_molar": DOSES[d],
            "control": "none",
            "effect": effects.ravel(),
            "response": 100 * 2 ** effects.ravel(),
            "error": 0.05,
            "n_wells": 4,
            "n_cells": 100,
            "n_floored": 0,
            "n_vehicle": 16,
            "vehicles": "DMSO",
        }
    )


SHAPES = {
    "nothing": np.zeros(8),
    "all doses alike": np.ones(8),
    "along the columns": RISE,
    "at the highest dose": np.arange(8) == 7,
    "each dose": None,
}


def drawn(rng, shape, sd, *, lines=2, compounds=30, batches=3, active=6, span=-0.43):
    """Effects of compounds of which the first `active` work, and what batches do to each.

    Lines share batches; wells differ by 0.15 log2, four per condition and 16 of vehicle.
    """
    shapes = rng.normal(size=(compounds, batches, 8)) if shape is None else shape
    common = sd * shapes * (1 if shape is None else rng.normal(size=(compounds, batches, 1)))
    vehicle = rng.normal(0, 0.15 / 4, (lines, 1, batches, 1))
    wells = rng.normal(0, 0.15 / 2, (lines, compounds, batches, 8))
    curve = np.log2(1 + span * occupancy(DOSES, -6.0, 1.2))
    works = (np.arange(compounds) < active)[:, None, None]
    return common + vehicle + wells + works * curve


def fits(batches):
    """Columns of the curves of each row, by its own batches only."""
    rows = []
    for (name, line, compound), cells in cells_of(batches).items():
        curve = curve_of(cells, name)
        rows.append(
            {
                "phenotype": name,
                "line": line,
                "compound": compound,
                "curve_status": curve.status,
                "curve_reason": curve.reason,
                "curve_p_value": curve.p_value,
                "n_curve_batches": len(set(cells.batch)),
                "direction": curve.direction or None,
                "model": curve.model,
                "ec50_molar": curve.ec50,
                "ec50_molar_low": curve.ec50_low,
                "ec50_molar_high": curve.ec50_high,
                "ec50_absolute_molar": None,
                "hill": curve.hill,
                "e0": curve.e0,
                "emax": curve.emax,
                "auc": 1.0,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def judged(effects):
    batches = batch_table(effects)
    own = fits(batches)
    return own, with_curve_tests(own, cells_of(batches), batches)


@pytest.mark.parametrize("kind", SHAPES)
def test_nothing_is_a_curve_whatever_batches_do_and_what_works_is(kind):
    """Three screens of 48 rows that do nothing and 12 that take 43 %: 5 % and 3 standard errors."""
    rng = np.random.default_rng(0)
    false, true, by_itself = [], [], []
    for _ in range(3):
        own, table = judged(drawn(rng, SHAPES[kind], 0.2 if kind != "nothing" else 0.0))
        works = table["compound"] < "c06"
        curve = (table["curve_p_value"] < 0.05).to_numpy()
        false += list(curve[~works.to_numpy()])
        true += list(curve[works.to_numpy()])
        by_itself += list((own["curve_p_value"] < 0.05).to_numpy()[~works.to_numpy()])
    assert np.mean(false) <= 0.105
    assert np.mean(true) >= 0.9
    if kind in ("along the columns", "at the highest dose"):
        # What a row's own three batches cannot tell.
        assert np.mean(by_itself) > 0.12


def test_a_curve_that_batches_do_not_bear_out_is_withheld_with_its_p():
    effects = drawn(np.random.default_rng(0), RISE, 0.3, active=0)
    own, table = judged(effects)
    parted = (own["curve_status"] != "flat") & (table["curve_status"] == "batches_disagree")
    assert parted.sum() >= 5
    withheld = table.filter(parted)
    for name in ("ec50_molar", "ec50_molar_low", "ec50_molar_high", "hill", "emax", "direction"):
        assert withheld[name].null_count() == len(withheld)
    assert withheld["curve_p_value"].min() >= 0.05
    assert states("curve_tests.disagree", withheld["curve_reason"][0])
    kept = table.filter(~parted)
    unchanged = own.join(kept.select(KEYS), on=KEYS, how="semi", maintain_order="left")
    assert kept.drop("curve_p_value").equals(unchanged.drop("curve_p_value"))


def test_the_p_is_the_larger_of_both():
    batches = batch_table(drawn(np.random.default_rng(1), RISE, 0.1))
    own, table = fits(batches), with_curve_tests(fits(batches), cells_of(batches), batches)
    of_screen = dose_response_p(cells_of(batches), batches)
    expected = [
        max(p, of_screen[key])
        for p, key in zip(own["curve_p_value"], own.select(KEYS).rows(), strict=True)
    ]
    assert table["curve_p_value"].to_list() == pytest.approx(expected)


def test_under_ten_rows_the_own_test_stands_and_the_curve_says_so():
    own, table = judged(drawn(np.random.default_rng(2), RISE, 0.05, lines=1, compounds=8, active=4))
    assert table["curve_p_value"].to_list() == own["curve_p_value"].to_list()
    curves = table.filter(pl.col("curve_status") != "flat")["curve_reason"]
    assert len(curves) >= 4
    assert all(states("curve_tests.too_few_rows", reason) for reason in curves)
    flat = pl.col("curve_status") == "flat"
    assert table.filter(flat).equals(own.filter(flat))


def test_a_row_of_one_batch_or_without_doses_that_batches_share_borrows_nothing():
    batches = batch_table(drawn(np.random.default_rng(3), RISE, 0.1, lines=1))
    one = (pl.col("compound") == "c00") & (pl.col("batch") != "b0")
    apart = (pl.col("compound") == "c01") & (
        (pl.col("batch") == "b0") == (pl.col("dose_molar") > 1e-6)
    )
    lost = (pl.col("compound") == "c02") & (pl.col("batch") == "b0") & (pl.col("dose_molar") > 1e-5)
    table = batches.filter(~one & ~apart & ~lost)
    p = dose_response_p(cells_of(table), table)
    names = {compound for _, _, compound in p}
    assert names == {f"c{n:02d}" for n in range(3, 30)}


def test_doses_that_read_alike_are_one_test_the_moderated_t_of_the_batches():
    rng = np.random.default_rng(4)
    effects = rng.normal(0, 0.1, (1, 90, 3, 1)) * np.ones(8)
    batches = batch_table(effects)
    p = np.array([v for _, v in sorted(dose_response_p(cells_of(batches), batches).items())])
    values = effects[0, :, :, 0]
    own = values.var(1, ddof=1)
    prior = variance_prior(own, np.full(90, 2.0))
    drawn, freedom = prior.moderated(own, np.full(90, 2.0))
    expected = 2 * stats.t.sf(np.abs(values.mean(1)) / np.sqrt(drawn / 3), freedom)
    assert p == pytest.approx(expected, rel=0.05)


def test_contrasts_are_of_doses_and_of_the_highest_doses():
    weights = contrasts(4)
    assert weights.shape == (4 + 3 + 3, 4)
    assert weights[4].tolist() == [0, 0, 0.5, 0.5]
    assert weights[-3] == pytest.approx([-1 / 3, -1 / 3, -1 / 3, 1])
    # Those against the other doses leave out what shifts all doses alike.
    assert weights[7:].sum(axis=1) == pytest.approx(0)


def test_one_column_is_one_test():
    """One contrast alone may have rows that vary; such a screen once ended in an error."""
    assert worth(np.random.default_rng(0).normal(size=(50, 1))) == pytest.approx(1.0, abs=0.02)


def test_columns_that_do_not_correlate_are_as_many_tests():
    rng = np.random.default_rng(0)
    assert worth(rng.normal(size=(20_000, 5))) == pytest.approx(5, abs=0.6)
    common = rng.normal(size=(20_000, 1))
    assert 2 < worth(common + 0.5 * rng.normal(size=(20_000, 5))) < 4
    assert worth(np.hstack([common, -common, 2 * common])) == pytest.approx(1, abs=0.15)


def test_a_single_column_is_one_test():
    assert worth(np.random.default_rng(0).normal(size=(9, 1))) == 1.0


def test_a_row_of_huge_values_takes_no_other_row_for_rounding():
    rng = np.random.default_rng(1)
    rows = [rng.normal(size=(3, 4)) for _ in range(30)]
    beside = _p_of_group([*rows, np.full((3, 4), -1e13)], most=60)
    # The huge row itself does not vary, so it lends nothing either.
    assert beside[:-1] == pytest.approx(_p_of_group(rows, most=60), rel=1e-6)
