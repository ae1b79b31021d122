from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from phenotypes.statistics.permutation import (
    ENOUGH,
    EXACT,
    MOST_PERMUTATIONS,
    PERMUTATIONS,
    monte_carlo_p,
    permutation_p,
)


def test_the_observed_value_counts_as_a_draw():
    drawn = np.array([1.0, 2.0, 3.0, 4.0])
    assert monte_carlo_p(drawn, 3.0) == 3 / 5
    assert monte_carlo_p(drawn, 9.0) == 1 / 5
    assert monte_carlo_p(drawn, 0.0) == 1.0


def test_a_statistic_that_order_does_not_change_has_p_1():
    values = np.random.default_rng(0).normal(size=9)
    assert permutation_p(values, lambda v: np.asarray((v**2).sum(axis=-1))) == 1.0


def test_an_extreme_order_has_the_least_p_and_a_share_of_orders_its_share():
    ranks = np.arange(12.0)
    assert permutation_p(ranks, lambda v: np.asarray(v @ ranks)) == 1 / (MOST_PERMUTATIONS + 1)
    # That the last value is the greatest one holds in one of twelve orders.
    p = permutation_p(ranks, lambda v: np.asarray(v[..., -1]))
    assert p == pytest.approx(1 / 12, abs=0.03)


def test_few_values_are_counted_exactly():
    """Of 70 splits of eight values in two fours, two are as extreme as the observed one."""
    values = np.array([1.0, 1.1, 0.9, 1.05, 0.0, 0.1, -0.1, 0.05])
    assert len(values) == EXACT
    difference = permutation_p(
        values, lambda v: np.abs(v[..., :4].sum(axis=-1) - v[..., 4:].sum(axis=-1))
    )
    assert difference == pytest.approx(2 / 70, abs=1e-12)


def test_a_small_p_is_known_to_a_third_and_a_large_one_takes_few_draws():
    """The greatest two of twenty values last, in this order: 1 / 380 of all orders."""
    drawn = []

    def last_two(v):
        drawn.append(v.size // v.shape[-1])
        return np.asarray((v[..., -1] >= 18.5 - 9.5) & (v[..., -2] >= 17.5 - 9.5), float)

    p = permutation_p(np.arange(20.0), last_two, seed=1)
    assert p == pytest.approx(1 / 380, rel=1.0)
    assert p * sum(drawn) > ENOUGH
    drawn.clear()
    permutation_p(np.arange(20.0), lambda v: last_two(v) * 0)
    assert sum(drawn) == PERMUTATIONS + 1


def test_p_is_uniform_where_nothing_is_there():
    """Besag and Clifford's rule of stopping keeps the level, at every level."""
    rng = np.random.default_rng(2)
    p = np.array(
        [
            permutation_p(
                rng.normal(size=10), lambda v: np.asarray(v[..., :5].sum(axis=-1)), seed=i
            )
            for i in range(400)
        ]
    )
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert (p <= 0.05).mean() <= 0.08


def test_one_clear_effect_among_the_rows_of_a_plate_stays_after_correction():
    """600 rows: with p never under 1 / 1,000, the least q was 0.6."""
    rng = np.random.default_rng(3)
    shape = np.r_[np.zeros(20), np.ones(10)]

    def score(v):
        return np.asarray((v @ shape) ** 2)

    p = [permutation_p(rng.normal(size=30), score, seed=i) for i in range(599)]
    p.append(permutation_p(rng.normal(size=30) + 6 * shape, score))
    q = stats.false_discovery_control(p)
    assert q[-1] <= 0.05
    assert (q[:-1] <= 0.05).sum() <= 1
