from __future__ import annotations

import numpy as np
import pytest

from phenotypes.plates.identity import identity_threshold
from tests.messages import states


def test_two_populations_are_parted_between_their_modes():
    rng = np.random.default_rng(0)
    dark, bright = rng.lognormal(4, 0.4, 3000), rng.lognormal(6.5, 0.5, 1500)
    found = identity_threshold(np.concatenate([dark, bright]))
    assert found.status == "ok"
    assert "BIC" in found.reason
    assert (dark < found.threshold).mean() > 0.99
    assert (bright > found.threshold).mean() > 0.98


@pytest.mark.parametrize("spread", [0.3, 0.8])
def test_one_population_is_refused_even_with_many_cells(spread):
    found = identity_threshold(np.random.default_rng(1).lognormal(5, spread, 20_000))
    assert found.status == "refused"
    assert found.threshold is None
    assert found.reason.startswith("identity_not_separable")


def test_a_skewed_population_is_not_two():
    """With 20,000 cells BIC prefers two Gaussians for any skew; they overlap, and that refuses
    them.
    """
    found = identity_threshold(np.exp(np.random.default_rng(2).gamma(3, 0.4, 20_000)))
    assert found.status == "refused"
    assert "overlap" in found.reason


def test_negative_wells_stand_in():
    rng = np.random.default_rng(3)
    negative = rng.lognormal(3, 0.3, 500)
    found = identity_threshold(rng.lognormal(5, 0.8, 2000), negative)
    assert found.status == "ok"
    assert states("identity.negative_wells", found.reason)
    assert (negative > found.threshold).mean() < 0.01


def test_too_few_cells_are_refused():
    assert states("identity.few_neurons", identity_threshold(np.full(40, 100.0)).reason, neurons=40)


def test_order_changes_nothing():
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.lognormal(4, 0.4, 30_000), rng.lognormal(6.5, 0.5, 9000)])
    assert identity_threshold(values) == identity_threshold(rng.permutation(values))
