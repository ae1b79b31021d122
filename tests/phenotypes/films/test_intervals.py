"""Intervals of few wells and few batches against t tests, and by simulation in both tails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from phenotypes.films.intervals import (
    Interval,
    Spread,
    between_batches,
    between_wells,
    interval,
    spreads,
)


def test_two_against_two_wells_are_a_t_test_with_two_degrees_of_freedom():
    values = np.array([10.0, 14.0, 20.0, 21.0])
    spread = between_wells(values, [0] * 4, [0, 0, 1, 1], [1.0] * 4)
    test = stats.ttest_ind(values[2:], values[:2])
    assert spread.degrees == 2
    assert spread.p_value(8.5) == pytest.approx(test.pvalue)
    ends = interval(8.5, [spread])
    assert (ends.low, ends.high) == pytest.approx(tuple(test.confidence_interval()))
    assert ends.p_value == pytest.approx(test.pvalue)


def test_plates_take_their_level_out():
    """Two plates a thousand apart: statsmodels' weighted regression on plate and arm."""
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    stratum, treated = np.repeat([0, 1], 6), np.tile([0, 0, 0, 0, 1, 1], 2)
    weight = rng.uniform(20, 80, 12)
    values = 1000.0 * stratum + 5 * treated + rng.normal(0, 3, 12)
    spread = between_wells(values, stratum, treated, weight)
    design = np.column_stack([stratum == 0, stratum == 1, treated]).astype(float)
    fit = sm.WLS(values, design, weights=weight).fit()
    assert spread.error == pytest.approx(fit.bse[2])
    assert spread.degrees == fit.df_resid == 9
    assert spread.p_value(fit.params[2]) == pytest.approx(fit.pvalues[2])


@pytest.mark.parametrize(
    ("stratum", "treated", "degrees"),
    [
        ([0] * 9, [0] * 8 + [1], 7),
        ([0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 1], 3),
        ([0, 0, 0, 0], [0, 1, 0, 1], 2),
        ([0, 0, 0], [0, 1, 1], None),
        ([0, 0, 1, 1], [0, 1, 0, 1], None),
    ],
)
def test_wells_less_plates_less_one_are_the_degrees_of_freedom(stratum, treated, degrees):
    spread = between_wells(np.arange(len(stratum)) ** 2.0, stratum, treated, np.ones(len(stratum)))
    assert (None if spread is None else spread.degrees) == degrees


def test_batches_are_a_one_sample_t_test():
    values = [0.1, 0.4, 0.3]
    spread = between_batches(values, [1.0] * 3)
    test = stats.ttest_1samp(values, 0)
    assert spread.degrees == 2
    assert spread.p_value(np.mean(values)) == pytest.approx(test.pvalue)
    assert between_batches([0.1], [1.0]) is None
    # A mean of which one batch is nearly all has the error of one batch.
    lopsided = between_batches(values, [1e6, 1, 1]).error
    assert lopsided == pytest.approx(np.std(values, ddof=1), rel=1e-4)


def test_one_batch_is_between_wells_and_never_under_the_model():
    model, wells = Spread(1.0), Spread(0.1, 2)
    assert spreads(model, wells, None) == [model, wells]
    assert interval(0.0, [model, wells]).high == pytest.approx(1.96, abs=1e-3)
    assert interval(0.0, [model, Spread(1.0, 2)]).high == pytest.approx(4.303, abs=1e-3)
    assert spreads(model, wells, Spread(0.2, 2)) == [Spread(0.2, 2)]
    assert spreads(model, None, None) == []
    assert interval(1.0, []).low is None


def test_what_does_not_scatter_has_no_interval():
    assert Spread(0.0, 2).p_value(1.0) == 0.0
    assert Spread(0.0, 2).p_value(0.0) == 1.0
    assert interval(1.0, [Spread(0.0, 2)]) == Interval(1.0)


@pytest.mark.parametrize(
    ("plates", "vehicle", "treated", "sd", "low", "high"),
    [
        (1, 2, 2, 0.0, 0.975, 0.995),
        (1, 2, 2, 1.0, 0.95, 0.98),
        (1, 2, 2, 3.0, 0.94, 0.965),
        (1, 8, 2, 3.0, 0.94, 0.96),
        (1, 8, 1, 3.0, 0.94, 0.96),
        (3, 4, 1, 1.0, 0.94, 0.97),
        (2, 3, 3, 3.0, 0.94, 0.96),
    ],
)
def test_one_batch_covers_in_both_tails(plates, vehicle, treated, sd, low, high):
    """Wells with a known error of 1 and a scatter `sd` beside it; 4,000 draws, so ± 0.007."""
    rng = np.random.default_rng(0)
    stratum = np.repeat(np.arange(plates), vehicle + treated)
    arm = np.tile([0.0] * vehicle + [1.0] * treated, plates)
    weight = np.ones(len(arm))
    model = Spread(float(np.sqrt((1 / vehicle + 1 / treated) / plates)))
    covered = []
    for _ in range(4000):
        values = rng.normal(0, np.hypot(1, sd), len(arm)) + rng.normal(0, 5, plates)[stratum]
        difference = values[arm == 1].mean() - values[arm == 0].mean()
        wells = between_wells(values, stratum, arm, weight)
        answer = interval(float(difference), spreads(model, wells, None))
        covered.append(answer.low < 0 < answer.high)
    assert low < np.mean(covered) < high


@pytest.mark.parametrize("sd", [0.0, 0.4])
def test_batches_cover_in_both_tails_and_have_their_level(sd):
    """Three and six batches of unequal size, whose ratios differ by `sd` beyond their own error."""
    rng = np.random.default_rng(1)
    for batches in (3, 6):
        error = np.geomspace(0.2, 0.3, batches)
        ps = []
        for _ in range(4000):
            ratios = rng.normal(0, np.hypot(error, sd))
            weight = error**-2
            mean = float(weight @ ratios / weight.sum())
            ps.append(interval(mean, spreads(Spread(0.1), None, between_batches(ratios, weight))))
        assert 0.035 < np.mean([p.p_value < 0.05 for p in ps]) < 0.065
        assert 0.935 < np.mean([p.low < 0 < p.high for p in ps]) < 0.965
