from __future__ import annotations

import numpy as np
import pytest

from phenotypes.statistics.permutation import PERMUTATIONS, monte_carlo_p, permutation_p


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
    assert permutation_p(ranks, lambda v: np.asarray(v @ ranks)) == 1 / (PERMUTATIONS + 1)
    # That the last value is the greatest one holds in one of twelve orders.
    p = permutation_p(ranks, lambda v: np.asarray(v[..., -1]))
    assert p == pytest.approx(1 / 12, abs=0.03)
