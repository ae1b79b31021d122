from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from phenotypes.statistics.crossed import (
    MeanSquares,
    crossed_design,
    crossed_mean,
    mean_squares,
    shared_variance,
)
from phenotypes.statistics.moderation import MIN_ROWS
from tests.messages import says


def separate(donors, batches=3):
    return np.repeat(np.arange(donors), batches), np.arange(donors * batches)


def shared(donors, batches=3):
    return np.repeat(np.arange(donors), batches), np.tile(np.arange(batches), donors)


def unbalanced(donors, seed=0):
    """Two to four of six batches per donor."""
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(6, rng.integers(2, 5), replace=False) for _ in range(donors)]
    return np.repeat(np.arange(donors), [len(c) for c in chosen]), np.concatenate(chosen)


def drawn(rng, donor, batch, donor_sd, batch_sd, rest_sd=0.1):
    return (
        rng.normal(0, donor_sd, donor.max() + 1)[donor]
        + rng.normal(0, batch_sd, batch.max() + 1)[batch]
        + rng.normal(0, rest_sd, len(donor))
    )


def test_a_balanced_design_has_the_variance_of_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    y = rng.normal(0, 0.1, (6, 4)) + rng.normal(0, 0.3, (6, 1)) + rng.normal(0, 0.3, 4)
    found = crossed_mean(y.ravel(), crossed_design(*shared(6, 4)))
    by_donor = 4 * y.mean(axis=1).var(ddof=1)
    by_batch = 6 * y.mean(axis=0).var(ddof=1)
    rest_values = y - y.mean(axis=1, keepdims=True) - y.mean(axis=0) + y.mean()
    rest = (rest_values**2).sum() / 15
    variance = (by_donor + by_batch - rest) / 24
    freedom = variance**2 / (
        (by_donor / 24) ** 2 / 5 + (by_batch / 24) ** 2 / 3 + (rest / 24) ** 2 / 15
    )
    assert found.mean == pytest.approx(y.mean())
    assert found.error == pytest.approx(np.sqrt(variance))
    assert found.freedom == pytest.approx(freedom)
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, freedom) * found.error)
    assert found.p_value == pytest.approx(
        2 * stats.t.sf(abs(y.mean()) / np.sqrt(variance), freedom)
    )
    assert found.tau2 == pytest.approx((by_donor - rest) / 4)
    assert found.heterogeneity_p == pytest.approx(stats.f.sf(by_donor / rest, 5, 15))


def test_donors_with_batches_of_their_own_are_compared_by_students_t():
    y = np.array([0.1, 0.3, 0.2, 0.9, 0.7, 0.8, -0.4, -0.5, -0.3])
    found = crossed_mean(y, crossed_design(*separate(3)))
    test = stats.ttest_1samp(y.reshape(3, 3).mean(axis=1), 0)
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.freedom == pytest.approx(2)
    assert found.heterogeneity_p is None


def test_six_donors_that_agree_are_no_more_than_their_three_batches():
    """Each batch moves all donors alike: t = mean / (sd / √3) with 2 degrees of freedom."""
    batch = np.array([-0.45, -0.05, -0.25])
    y = np.tile(batch, 6) + np.random.default_rng(0).normal(0, 0.01, 18)
    found = crossed_mean(y, crossed_design(*shared(6)))
    assert found.p_value == pytest.approx(stats.ttest_1samp(batch, 0).pvalue, abs=0.02)
    assert found.freedom == pytest.approx(2, abs=0.1)
    assert found.limited_by == "batches"


@pytest.mark.parametrize(("donors", "batch_sd"), [(6, 0.1), (20, 0.05), (20, 0.2), (20, 0.4)])
def test_two_shared_batches_are_never_more_than_two_batches(donors, batch_sd):
    """Satterthwaite's degrees of freedom, estimated from one, called up to 12 % of these nulls."""
    rng = np.random.default_rng(7)
    design = shared(donors, 2)
    ready = crossed_design(*design)
    called = []
    for _ in range(600):
        y = drawn(rng, *design, 0.15, batch_sd)
        found = crossed_mean(y, ready)
        batches = y.reshape(donors, 2).mean(axis=0)
        test = stats.ttest_1samp(batches, 0)
        assert found.p_value >= test.pvalue * (1 - 1e-9)
        low, high = test.confidence_interval(0.95)
        assert found.low <= low + 1e-9
        assert found.high >= high - 1e-9
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)
        called.append(found.p_value < 0.05)
    assert np.mean(called) <= 0.07


def test_borrowing_frees_two_shared_batches():
    """A variance of batches that thirty compounds tell is worth more than one degree of freedom."""
    rng = np.random.default_rng(8)
    design = shared(12, 2)
    ready = crossed_design(*design)
    effects = [drawn(rng, *design, 0.1, 0.1) - 0.8 * (i < 6) for i in range(30)]
    squares = [mean_squares(y, ready) for y in effects]
    common = shared_variance(squares, [ready] * 30)
    moderated = [
        crossed_mean(y, ready, common.moderated(s, ready))
        for y, s in zip(effects, squares, strict=True)
    ]
    assert min(found.freedom for found in moderated) > 1.5
    assert all(found.p_value < 0.05 for found in moderated[:6])


def test_two_batches_that_agree_keep_the_interval_of_their_donors():
    y = np.repeat([0.1, 0.4, -0.2, 0.3], 2)
    found = crossed_mean(y, crossed_design(*shared(4, 2)))
    assert found.p_value == pytest.approx(stats.ttest_1samp(y[::2], 0).pvalue)


def test_what_limits_the_mean_is_named():
    rng = np.random.default_rng(1)
    donor, batch = shared(6)
    design = crossed_design(donor, batch)
    assert crossed_mean(drawn(rng, donor, batch, 0.5, 0.02), design).limited_by == "donors"
    assert crossed_mean(drawn(rng, donor, batch, 0.02, 0.5), design).limited_by == "batches"


@pytest.mark.parametrize("batch_sd", [0.1, 0.2, 0.4])
@pytest.mark.parametrize(
    "design",
    [shared(3), shared(6), shared(20), shared(12, 6), unbalanced(4), unbalanced(12)],
    ids=["3x3", "6x3", "20x3", "12x6", "4 of six", "12 of six"],
)
def test_level_and_moderated_level_hold_where_batches_are_shared(design, batch_sd):
    """1,200 tests of compounds that do nothing: 5 % ± 3 of their standard errors is 0.031 … 0.069.

    With three donors in three batches the plain test keeps further below its level; with six in
    three it is at 6.6 % in the long run.
    """
    rng = np.random.default_rng(3)
    ready = crossed_design(*design)
    plain, moderated, predicted = [], [], []
    for _ in range(40):
        effects = [drawn(rng, *design, 0.15, batch_sd) for _ in range(30)]
        squares = [mean_squares(y, ready) for y in effects]
        common = shared_variance(squares, [ready] * 30)
        for y, own in zip(effects, squares, strict=True):
            found = crossed_mean(y, ready)
            plain.append(found.p_value < 0.05)
            predicted.append(found.predicted_low <= rng.normal(0, 0.15) <= found.predicted_high)
            moderated.append(crossed_mean(y, ready, common.moderated(own, ready)).p_value < 0.05)
    assert 0.008 <= np.mean(plain) <= 0.085
    assert 0.03 <= np.mean(moderated) <= 0.075
    # With three or four donors it is Student's t of one or two degrees: on the safe side.
    assert 0.92 <= np.mean(predicted) <= (0.99 if ready.n_donors > 4 else 0.999)


def test_donors_as_n_would_call_most_of_these_nulls():
    """The fault that the crossed design mends: two of three nulls are called by donor means."""
    rng = np.random.default_rng(4)
    design = shared(6)
    means = np.array([drawn(rng, *design, 0.0, 0.2).reshape(6, 3).mean(axis=1) for _ in range(400)])
    assert (stats.ttest_1samp(means, 0, axis=1).pvalue < 0.05).mean() > 0.5


def test_borrowed_variances_give_three_shared_batches_their_power():
    rng = np.random.default_rng(5)
    design = shared(20)
    ready = crossed_design(*design)
    effects = [drawn(rng, *design, 0.1, 0.15) - 0.8 * (i < 6) for i in range(30)]
    squares = [mean_squares(y, ready) for y in effects]
    common = shared_variance(squares, [ready] * 30)
    plain = [crossed_mean(y, ready) for y in effects]
    moderated = [
        crossed_mean(y, ready, common.moderated(s, ready))
        for y, s in zip(effects, squares, strict=True)
    ]
    widths = [found.high - found.low for found in plain]
    borrowed = [found.high - found.low for found in moderated]
    assert np.max(widths) > 2 * np.max(borrowed)
    assert np.mean(widths) > 1.2 * np.mean(borrowed)
    q = stats.false_discovery_control([found.p_value for found in moderated])
    assert (q[:6] < 0.05).all()
    assert (q[6:] < 0.05).sum() <= 1


def test_mean_squares_of_unlike_designs_are_compared_by_what_they_expect():
    """Half of the compounds were given to four donors in three batches, half to twelve in six."""
    rng = np.random.default_rng(6)
    designs = [shared(4, 3) if i % 2 else shared(12, 6) for i in range(400)]
    ready = [crossed_design(*d) for d in designs]
    squares = [
        mean_squares(drawn(rng, *d, 0.1, 0.3), r) for d, r in zip(designs, ready, strict=True)
    ]
    common = shared_variance(squares, ready)
    assert common.batches == pytest.approx(0.09, rel=0.15)
    assert common.rest == pytest.approx(0.01, rel=0.1)
    assert common.batches_prior.freedom > 8
    for design, n in zip(ready[:2], (12, 4), strict=True):
        own = MeanSquares(np.array([0.3, n * 0.09 + 0.01, 0.01]), design.freedom)
        borrowed = common.moderated(own, design)
        assert borrowed.values == pytest.approx(own.values, rel=0.15)
        assert borrowed.values[0] == own.values[0]
        assert borrowed.freedom[0] == design.freedom[0]
        assert (borrowed.freedom[1:] > design.freedom[1:] + 8).all()


def test_too_few_compounds_have_nothing_in_common():
    rng = np.random.default_rng(7)
    design = shared(4)
    ready = crossed_design(*design)
    squares = [mean_squares(drawn(rng, *design, 0.1, 0.1), ready) for _ in range(MIN_ROWS)]
    assert shared_variance(squares, [ready] * MIN_ROWS) is not None
    assert shared_variance(squares[1:], [ready] * (MIN_ROWS - 1)) is None
    apart = crossed_design(*separate(4))
    own = [mean_squares(drawn(rng, *separate(4), 0.1, 0.1), apart) for _ in range(30)]
    assert shared_variance(own, [apart] * 30) is None


def test_values_that_agree_have_no_interval():
    assert crossed_mean(np.full(18, 0.3), crossed_design(*shared(6))) is None
    assert crossed_mean(np.zeros(18), crossed_design(*shared(6))) is None


def test_effects_of_donors_are_freed_of_their_batches():
    """Donors 0 and 1 share the batches 0 and 1, donors 1 and 2 the batches 1 and 2."""
    donor, batch = np.array([0, 0, 1, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 2, 1, 2])
    y = np.array([1.0, 2.0, 3.0])[donor] + np.array([0.0, 5.0, -4.0])[batch]
    effects = crossed_design(donor, batch).effects @ y
    assert np.diff(effects).tolist() == pytest.approx([1.0, 1.0])


def test_impossible_designs_are_refused():
    with pytest.raises(ValueError, match=says("crossed.two_values")):
        crossed_design(["a", "a", "b"], [1, 1, 1])
    with pytest.raises(ValueError, match=says("crossed.one_donor")):
        crossed_design(["a", "a"], [1, 2])


@pytest.mark.parametrize("exponent", [-500, -266, -20, 20, 266, 500])
@pytest.mark.parametrize("batches", [2, 3])
def test_the_unit_of_the_effect_changes_nothing_else(exponent, batches):
    """Both with the compound's own mean squares and with borrowed ones."""
    donor, batch = shared(6, batches)
    y = 0.3 + drawn(np.random.default_rng(4), donor, batch, 0.2, 0.1)
    design = crossed_design(donor, batch)
    borrowed = MeanSquares(mean_squares(y, design).values * (1.0, 0.7, 1.2), design.freedom + 2)
    for squares in (None, borrowed):
        scaled = squares and MeanSquares(np.ldexp(squares.values, 2 * exponent), squares.freedom)
        one = crossed_mean(y, design, squares)
        other = crossed_mean(np.ldexp(y, exponent), design, scaled)
        for name in ("mean", "error", "low", "high", "predicted_low", "predicted_high"):
            value = np.ldexp(getattr(other, name), -exponent)
            assert value == pytest.approx(getattr(one, name), rel=1e-9), name
        assert np.ldexp(other.tau2, -2 * exponent) == pytest.approx(one.tau2, rel=1e-9)
        for name in ("p_value", "freedom", "i2", "heterogeneity_p"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9), name
        assert other.limited_by == one.limited_by
