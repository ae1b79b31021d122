from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import special, stats

from phenotypes.statistics.moderation import (
    MIN_ROWS,
    VariancePrior,
    estimated_freedom,
    variance_prior,
)
from tests.messages import says

REFERENCE = Path("tests/reference/moderation/moderated_t.csv")


@pytest.mark.parametrize("screen", ["varied", "alike"])
def test_agrees_with_an_independent_implementation_of_limma(screen):
    table = pl.read_csv(REFERENCE).filter(pl.col("screen") == screen)
    values = table.select("batch1", "batch2", "batch3", "batch4").to_numpy()
    n = values.shape[1]
    variance, freedom = values.var(axis=1, ddof=1), np.full(len(values), n - 1.0)
    prior = variance_prior(variance, freedom)
    assert prior.freedom == pytest.approx(table["prior_freedom"][0], rel=1e-6)
    assert prior.variance == pytest.approx(table["prior_variance"][0], rel=1e-6)
    drawn, total = prior.moderated(variance, freedom)
    assert drawn == pytest.approx(table["posterior_variance"].to_numpy(), rel=1e-6)
    assert total == pytest.approx(table["total_freedom"].to_numpy(), rel=1e-6)
    t = values.mean(axis=1) / np.sqrt(drawn / n)
    assert t == pytest.approx(table["t"].to_numpy(), rel=1e-6)
    assert 2 * stats.t.sf(np.abs(t), total) == pytest.approx(table["p"].to_numpy(), rel=1e-6)


def test_the_prior_that_rows_were_drawn_from_is_found():
    rng = np.random.default_rng(0)
    true = 6 * 0.04 / rng.chisquare(6, 20_000)
    prior = variance_prior(true * rng.chisquare(2, 20_000) / 2, np.full(20_000, 2.0))
    assert prior.freedom == pytest.approx(6, rel=0.1)
    assert prior.variance == pytest.approx(0.04, rel=0.03)


def test_rows_of_unequal_freedom_share_one_prior():
    rng = np.random.default_rng(1)
    freedom = rng.integers(1, 6, 20_000).astype(float)
    true = 5 * 0.1 / rng.chisquare(5, 20_000)
    prior = variance_prior(true * rng.chisquare(freedom) / freedom, freedom)
    assert prior.freedom == pytest.approx(5, rel=0.1)
    assert prior.variance == pytest.approx(0.1, rel=0.05)


def test_rows_that_are_not_independent_give_no_more_freedom_than_they_have():
    prior = variance_prior(np.full(20, 0.04), np.full(20, 2.0), most=6)
    assert prior.moderated([0.5], [2.0])[1].tolist() == [6.0]
    prior = VariancePrior(0.04, freedom=9.0, most=6.0, n_rows=20, lower_freedom=9.0)
    assert prior.moderated([0.5], [2.0])[1].tolist() == [6.0]


def test_too_few_rows_or_rows_without_scatter_give_no_prior():
    assert variance_prior(np.full(MIN_ROWS - 1, 0.1), np.full(MIN_ROWS - 1, 2.0)) is None
    assert variance_prior(np.full(MIN_ROWS, 0.1), np.full(MIN_ROWS, 2.0)) is not None
    assert variance_prior(np.r_[np.zeros(11), np.ones(19)], np.full(30, 2.0)) is not None
    assert variance_prior(np.r_[np.zeros(16), np.ones(14)], np.full(30, 2.0)) is None
    assert variance_prior(np.r_[np.zeros(11), np.ones(9)], np.full(20, 2.0)) is None


def test_one_row_that_agrees_to_the_last_digit_does_not_decide_the_prior():
    rng = np.random.default_rng(2)
    variance = 0.04 * rng.chisquare(4, 400) / 4
    variance[0] = 0.0
    prior = variance_prior(variance, np.full(400, 4.0))
    assert prior.variance == pytest.approx(0.04, rel=0.1)
    assert prior.freedom > 20


@pytest.mark.parametrize(
    ("variance", "freedom"), [(-0.1, 2.0), (np.nan, 2.0), (np.inf, 2.0), (0.1, 0.0)]
)
def test_impossible_rows_are_refused(variance, freedom):
    with pytest.raises(ValueError, match=says("moderation.impossible_variances")):
        variance_prior(np.r_[np.full(12, 0.1), variance], np.r_[np.full(12, 2.0), freedom])


@pytest.mark.parametrize(
    ("cautious", "rows", "share"), [(False, 30, 0.55), (True, 30, 0.21), (True, 12, 0.2)]
)
def test_the_worth_that_a_family_takes_is_overrated_by_half_or_by_a_quarter_of_families(
    cautious, rows, share
):
    """Rows of two degrees of freedom, whose true worth is 4.

    The quartile of a normal distribution is overrated by 30 % of families of thirty rows, and by
    35 % of those of twelve.
    """
    rng = np.random.default_rng(5)
    variances = 4 / rng.chisquare(4, (1500, rows)) * rng.chisquare(2, (1500, rows)) / 2
    priors = [variance_prior(v, np.full(rows, 2.0)) for v in variances]
    overrated = np.mean([(p.lower_freedom if cautious else p.freedom) > 4 for p in priors])
    assert overrated == pytest.approx(share, abs=0.04)


def test_few_rows_of_which_a_fifth_are_noisier_keep_their_false_discovery_rate_with_caution():
    """500 families of thirty effects over three batches, six of them true, six four times noisier.

    The worth as estimated lets 8 % of the calls be false, at a rate of 5 %.
    """
    rng = np.random.default_rng(6)
    families, true = 500, np.arange(30) < 6
    noise = np.where(rng.permuted(np.tile(true, (families, 1)), axis=1), 4.0, 1.0)
    values = rng.normal(0, 0.15, (3, families, 30)) * noise - 0.8 * true
    mean, variance = values.mean(axis=0), values.var(axis=0, ddof=1)
    degrees, false, found = np.full(30, 2.0), {}, {}
    priors = [variance_prior(v, degrees) for v in variance]
    for cautious in (False, True):
        drawn, freedom = np.array(
            [
                p.moderated(v, degrees, cautious=cautious)
                for p, v in zip(priors, variance, strict=True)
            ]
        ).transpose(1, 0, 2)
        p = 2 * stats.t.sf(np.abs(mean) / np.sqrt(drawn / 3), freedom)
        called = stats.false_discovery_control(p, axis=1) <= 0.05
        false[cautious] = called[:, ~true].sum() / called.sum()
        found[cautious] = called[:, true].mean()
    assert false[False] == pytest.approx(0.076, abs=0.012)
    assert false[True] == pytest.approx(0.055, abs=0.012)
    assert (found[False], found[True]) == pytest.approx((0.879, 0.845), abs=0.012)


@pytest.mark.parametrize("half", [1e-3, 0.5, 3.0, 1e4])
def test_trigamma_is_inverted(half):
    from phenotypes.statistics.moderation import _inverse_trigamma

    assert _inverse_trigamma(float(special.polygamma(1, half))) == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize(("prior_freedom", "freedom", "rows"), [(np.inf, 2, 40), (6.0, 3, 200)])
def test_screens_estimate_the_priors_worth_within_its_quartiles_half_of_the_time(
    prior_freedom, freedom, rows
):
    rng = np.random.default_rng(4)
    scale = (
        1.0
        if np.isinf(prior_freedom)
        else prior_freedom / rng.chisquare(prior_freedom, (400, rows))
    )
    variances = 0.04 * scale * rng.chisquare(freedom, (400, rows)) / freedom
    estimates = np.array([variance_prior(v, np.full(rows, freedom)).freedom for v in variances])
    low, high = estimated_freedom(prior_freedom, freedom, rows)
    assert 0.18 < (estimates < low).mean() < 0.32
    assert 0.18 < (estimates > high).mean() < 0.32 or np.isinf(high)
    assert 0.4 < (estimates < prior_freedom).mean() < 0.6
