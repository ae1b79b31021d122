"""Restricted means of two arms against lifelines and t tests."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from scipy import stats

from phenotypes.films.arms import both_arms
from phenotypes.films.restricted_mean import restricted_means
from tests.messages import states

END = 96.0


def arms(rng, plates=1, wells=(3, 3), cells=40, well_sd=0.3, late=0.0, levels=(0.01,), batches=1):
    """Both arms without an effect; half of each well's cells are seen from `late` on."""
    parts = []
    for plate in range(plates):
        for n in range(sum(wells)):
            hazard = levels[plate % len(levels)] * rng.lognormal(0, well_sd)
            death = rng.exponential(1 / hazard, cells)
            entry = np.where(np.arange(cells) % 2, 0.0, late)
            parts.append(
                pl.DataFrame(
                    {"entry_h": entry, "exit_h": np.minimum(death, END), "event": death <= END}
                )
                .filter(pl.col("exit_h") > pl.col("entry_h"))
                .with_columns(
                    well=pl.lit(f"p{plate} A{n + 1:02d}"),
                    batch=pl.lit(f"b{plate % batches}"),
                    reason=pl.lit(""),
                    treated=pl.lit(n >= wells[0]),
                )
            )
    table = pl.concat(parts)
    return both_arms(*(table.filter(pl.col("treated") == z).drop("treated") for z in (False, True)))


def test_one_plate_is_kaplan_meier_with_entry_times():
    both = arms(np.random.default_rng(0), late=24.0)
    answer = restricted_means(both, 72.0)
    expected = []
    for z in (0.0, 1.0):
        arm = both.filter(treated=z)
        curve = KaplanMeierFitter().fit(
            *(arm[c].to_numpy() for c in ("exit_h", "event")), entry=arm["entry_h"].to_numpy()
        )
        expected.append(restricted_mean_survival_time(curve, t=72.0))
    assert [answer.vehicle, answer.treated] == pytest.approx(expected, rel=1e-9)
    assert answer.difference.difference == pytest.approx(expected[1] - expected[0])
    assert answer.start_h == 0.0


def test_plates_are_weighted_by_the_tracks_of_both_arms():
    both = arms(np.random.default_rng(1), plates=2, wells=(4, 2), levels=(0.003, 0.03))
    parts = [restricted_means(both.filter(stratum=s), END) for s in (1, 2)]
    n = [[len(both.filter(stratum=s, treated=z)) for z in (0.0, 1.0)] for s in (1, 2)]
    weight = [a * b / (a + b) for a, b in n]
    whole = restricted_means(both, END)
    assert whole.vehicle == pytest.approx(np.average([p.vehicle for p in parts], weights=weight))
    assert whole.treated == pytest.approx(np.average([p.treated for p in parts], weights=weight))


def test_batches_are_a_t_test_of_their_differences():
    both = arms(np.random.default_rng(2), plates=3, batches=3)
    parts = [
        restricted_means(both.filter(batch=b), END).difference.difference
        for b in ("b0", "b1", "b2")
    ]
    whole = restricted_means(both, END).difference
    ends = stats.ttest_1samp(parts, 0).confidence_interval()
    assert (whole.low, whole.high) == pytest.approx((ends.low, ends.high), rel=1e-9)


def test_the_start_is_the_first_hour_of_both_arms_on_the_plates():
    both = arms(np.random.default_rng(3), plates=2)
    shifted = both.with_columns(
        entry_h=pl.when((pl.col("stratum") == 2) & (pl.col("treated") == 1))
        .then(12.0)
        .otherwise(0.0)
    ).filter(pl.col("exit_h") > pl.col("entry_h"))
    answer = restricted_means(shifted, END)
    assert answer.start_h == 12.0
    assert answer.vehicle < 84
    assert states("means.known_on", restricted_means(shifted, 12.0).reason, known=1, of=2)
    none = restricted_means(shifted.filter(stratum=2), 12.0)
    assert (none.start_h, none.difference) == (None, None)
    assert states("means.from", none.reason, start=12)


def test_an_arm_whose_survival_is_not_known_is_refused():
    both = arms(np.random.default_rng(4))
    lost = both.with_columns(
        exit_h=pl.when(pl.col("treated") == 1)
        .then(pl.min_horizontal("exit_h", pl.lit(10.0)))
        .otherwise(pl.col("exit_h")),
        event=pl.col("event") & (pl.col("treated") == 0),
    )
    answer = restricted_means(lost, END)
    assert answer.difference is None
    assert states("means.known_on", answer.reason, known=0, of=1)


def test_a_plate_that_is_seen_late_or_lost_is_left_out_and_the_others_are_compared():
    both = arms(np.random.default_rng(5), plates=3)
    third = pl.col("stratum") == 3
    alone = restricted_means(both.filter(~third), END)
    late = both.with_columns(
        entry_h=pl.when(third & (pl.col("treated") == 1)).then(90.0).otherwise(0.0)
    ).filter(pl.col("exit_h") > pl.col("entry_h"))
    lost = both.with_columns(
        exit_h=pl.when(third).then(pl.min_horizontal("exit_h", 10.0)).otherwise("exit_h"),
        event=pl.col("event") & ~third,
    )
    for table in (late, lost):
        answer = restricted_means(table, END)
        assert answer.start_h == 0.0
        assert answer.difference == alone.difference
        assert states("means.known_on", answer.reason, known=2, of=3)


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [
        ({"wells": (2, 2)}, 0.92, 0.98),
        ({"wells": (6, 2), "late": 24.0}, 0.92, 0.98),
        ({"wells": (2, 2), "plates": 3, "batches": 3, "levels": (0.005, 0.01, 0.02)}, 0.92, 0.98),
    ],
)
def test_the_interval_covers_in_both_tails(settings, low, high):
    """By Greenwood alone 70 and 79 %; 300 draws, so ± 0.025."""
    covered = []
    for seed in range(300):
        answer = restricted_means(arms(np.random.default_rng(seed), **settings), END).difference
        covered.append(answer.low < 0 < answer.high)
    assert low < np.mean(covered) < high
