"""The hazard ratio of two arms against lifelines, and its interval in both tails."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.films.hazard_ratio import NoFiniteRatioError, hazard_ratio
from tests.messages import says
from tests.phenotypes.films.test_restricted_mean import arms


def lifelines_fit(both, **more):
    import pandas as pd
    from lifelines import CoxPHFitter

    chosen = both.select(
        "entry_h", "exit_h", pl.col("event").cast(pl.Int64), "treated", *more.get("strata", [])
    )
    frame = pd.DataFrame(chosen.to_dict(as_series=False))
    fit = CoxPHFitter().fit(frame, "exit_h", "event", entry_col="entry_h", **more)
    return float(fit.params_["treated"]), float(fit.standard_errors_["treated"])


def test_it_is_coxs_with_entry_times_and_a_stratum_per_plate():
    both = arms(np.random.default_rng(0), plates=2, late=24.0, levels=(0.003, 0.03))
    ratio = hazard_ratio(both)
    assert ratio.log_ratio.difference == pytest.approx(
        lifelines_fit(both, strata=["stratum"])[0], rel=1e-6
    )
    assert (ratio.n_batches, ratio.in_batches) == (1, 1)
    assert ratio.log_ratio.low < 0 < ratio.log_ratio.high


def test_who_enters_as_another_dies_was_not_at_risk_then():
    """The last entry is the first death's hour; lifelines is asked with and without entry times."""
    both = arms(np.random.default_rng(0)).with_columns(
        exit_h=pl.col("exit_h").clip(lower_bound=12.0)
    )
    both = both.with_columns(
        entry_h=pl.when(pl.int_range(pl.len()) % 3 == 0)
        .then(pl.when(pl.col("exit_h") > 12.0).then(12.0).otherwise(0.0))
        .otherwise(0.0)
    )
    log_ratio = hazard_ratio(both).log_ratio.difference
    assert log_ratio == pytest.approx(lifelines_fit(both)[0], rel=1e-6)
    at_risk = lifelines_fit(both.with_columns(entry_h=pl.lit(0.0)))[0]
    assert log_ratio - at_risk == pytest.approx(-7.08e-4, rel=0.05)


def test_wells_that_agree_have_the_models_interval():
    """One set of lives in every well of both arms."""
    rng = np.random.default_rng(1)
    one = arms(rng, wells=(1, 1)).filter(treated=0.0)
    copies = pl.concat(
        [
            one.with_columns(well=pl.lit(n, pl.Int64), treated=pl.lit(float(n > 3)))
            for n in range(1, 7)
        ]
    )
    answer = hazard_ratio(copies).log_ratio
    assert answer.difference == pytest.approx(0, abs=1e-6)
    assert answer.high == pytest.approx(1.9599640 * lifelines_fit(copies)[1], rel=1e-5)


def test_batches_are_a_t_test_of_their_ratios():
    both = arms(np.random.default_rng(2), plates=3, batches=3)
    fits = np.array([lifelines_fit(both.filter(batch=b)) for b in ("b0", "b1", "b2")])
    share = fits[:, 1] ** -2 / (fits[:, 1] ** -2).sum()
    error = fits[:, 0].std(ddof=1) * np.sqrt((share**2).sum())
    ratio = hazard_ratio(both)
    middle = ratio.log_ratio.difference
    assert ratio.n_batches == 3
    assert ratio.log_ratio.high - middle == pytest.approx(stats.t.ppf(0.975, 2) * error, rel=1e-5)
    assert ratio.log_ratio.p_value == pytest.approx(
        2 * stats.t.sf(abs(middle) / error, 2), rel=1e-5
    )


def test_an_arm_without_deaths_has_no_ratio():
    both = arms(np.random.default_rng(3))
    spared = both.with_columns(event=pl.col("event") & (pl.col("treated") == 0))
    with pytest.raises(NoFiniteRatioError, match=says("hazard.no_finite_ratio")):
        hazard_ratio(spared)


@pytest.mark.parametrize(
    "settings",
    [
        {"wells": (2, 2)},
        {"wells": (4, 1), "plates": 2, "levels": (0.005, 0.02), "late": 24.0},
    ],
)
def test_the_interval_covers_in_both_tails(settings):
    """One batch, wells that differ by 0.3, no effect; 100 draws, so ± 0.04."""
    covered = []
    for seed in range(100):
        answer = hazard_ratio(arms(np.random.default_rng(seed), **settings)).log_ratio
        covered.append(answer.low < 0 < answer.high)
    assert 0.9 < np.mean(covered) <= 0.99
