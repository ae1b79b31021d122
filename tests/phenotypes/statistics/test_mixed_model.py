from __future__ import annotations

import numpy as np
import pytest

from phenotypes.statistics.mixed_model import donor_model

DONORS = [f"d{i}" for i in range(8) for _ in range(3)]
SEPARATE = [f"{d}-{i % 3}" for i, d in enumerate(DONORS)]
SHARED = [f"b{i % 3}" for i in range(24)]


def simulated(rng, donor_sd, batch_sd=0.2):
    return 0.5 + np.repeat(rng.normal(0, donor_sd, 8), 3) + rng.normal(0, batch_sd, 24)


def test_a_balanced_design_gives_the_mean_of_donor_means_and_their_error():
    """With as many batches of each donor REML's answer is that of the analysis of variance."""
    y = simulated(np.random.default_rng(0), 0.4)
    means = y.reshape(8, 3).mean(axis=1)
    found = donor_model(y, DONORS, SEPARATE)
    assert found["mixed_status"] == "ok"
    assert found["mixed_effect"] == pytest.approx(means.mean())
    half = 2.3646 * means.std(ddof=1) / np.sqrt(8)  # t, 7 degrees of freedom
    assert found["mixed_effect_high"] - found["mixed_effect"] == pytest.approx(half, rel=1e-3)


def test_collapse_is_detected_and_never_a_zero_that_looks_like_a_result():
    """Donors that do not differ: in half of such data sets the component is at its bound."""
    found = [
        donor_model(simulated(np.random.default_rng(seed), 0.0), DONORS, SEPARATE)
        for seed in range(40)
    ]
    assert {r["mixed_status"] for r in found} == {"ok", "collapsed"}
    assert 10 <= sum(r["mixed_status"] == "collapsed" for r in found) <= 35
    for seed, r in enumerate(found):
        y = simulated(np.random.default_rng(seed), 0.0)
        assert r["mixed_effect"] == pytest.approx(y.mean(), abs=0.02)
        assert r["mixed_effect_low"] < r["mixed_effect"] < r["mixed_effect_high"]


def test_shared_batches_widen_the_interval():
    """A batch moves all donors alike; the interval is then that of three batches."""
    rng = np.random.default_rng(3)
    batch = np.tile([-0.3, 0.0, 0.3], 8)
    y = simulated(rng, 0.2, 0.05) + batch
    separate, crossed = donor_model(y, DONORS, SEPARATE), donor_model(y, DONORS, SHARED)
    assert crossed["mixed_status"] == "ok"
    assert crossed["mixed_effect"] == pytest.approx(separate["mixed_effect"], abs=0.01)
    widths = [r["mixed_effect_high"] - r["mixed_effect_low"] for r in (crossed, separate)]
    assert widths[0] > 2 * widths[1]


def test_too_few_donors_have_no_number():
    assert donor_model(
        np.array([1.0, 2.0, 1.5, 2.5]), ["a", "a", "b", "b"], ["1", "2", "1", "2"]
    ) == {"mixed_status": "too_few_donors"}


def test_batches_without_scatter_fall_back():
    found = donor_model(np.repeat([1.0, 2.0, 3.0], 2), list("aabbcc"), list("121212"))
    assert (found["mixed_status"], found["mixed_effect"]) == ("collapsed", 2.0)
    half = 4.3027 * 1.0 / np.sqrt(3)  # t, 2 degrees of freedom
    assert found["mixed_effect_high"] == pytest.approx(2.0 + half, rel=1e-3)


def test_values_that_agree_have_no_number():
    assert donor_model(np.ones(6), list("aabbcc"), list("121212")) == {"mixed_status": "collapsed"}


@pytest.mark.parametrize("exponent", [-266, -20, -10, 10, 20, 266])
@pytest.mark.parametrize("batches", [SEPARATE, SHARED], ids=["own", "shared"])
def test_the_unit_of_the_effect_changes_nothing_else(exponent, batches):
    y = simulated(np.random.default_rng(0), 0.4)
    one = donor_model(y, DONORS, batches)
    other = donor_model(np.ldexp(y, exponent), DONORS, batches)
    assert other.pop("mixed_status") == one.pop("mixed_status")
    assert {n: np.ldexp(v, -exponent) for n, v in other.items()} == pytest.approx(one, rel=1e-6)
