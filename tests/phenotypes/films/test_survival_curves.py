"""Survival of an arm: its steps, its interval, and the neurons at risk."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times
from scipy import stats

from phenotypes.films.survival_curves import arm_curves, at_risk


def tracks_of(rows):
    """Tracks of (well, entry, exit, event)."""
    names = ("well", "entry_h", "exit_h", "event")
    table = pl.DataFrame(dict(zip(names, zip(*rows, strict=True), strict=True)))
    return table.with_columns(reason=pl.when("event").then(pl.lit("")).otherwise(pl.lit("lost")))


# First and last well of each.
ARMS = ((0, 5), (6, 7), (8, 9), (10, 11))


def curve_of(tracks, lost=()):
    return arm_curves([tracks], lost)[0]


# Freireich's 6-MP arm (Klein & Moeschberger, Survival Analysis, 2003, table 4.1A and §4.3).
MERCAPTOPURINE = [
    *((t, True) for t in (6, 6, 6, 7, 10, 13, 16, 22, 23)),
    *((t, False) for t in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)),
]


def test_one_well_has_greenwood_s_interval_on_the_log_log_scale():
    tracks = tracks_of([("B02", 0.0, float(t), e) for t, e in MERCAPTOPURINE])
    curve = curve_of(tracks, ("lost",))
    place = curve.time.tolist().index(23.0)
    # R: survfit(Surv(t, e) ~ 1, conf.type = "log-log"), at 23 weeks.
    seen = (curve.survival[place], curve.low[place], curve.high[place])
    assert seen == pytest.approx((0.4482, 0.1881, 0.6801), abs=2e-4)
    assert (curve.tracks, curve.events, curve.lost, curve.wells) == (21, 9, 12, 1)
    assert (curve.time[0], curve.survival[0], curve.time[-1]) == (0.0, 1.0, 35.0)
    assert np.isnan(curve.low[0])


def test_wells_that_differ_widen_the_interval_and_wells_that_do_not_leave_it():
    """Half of each well dies at 12 h, or all of one well and none of the other."""
    even = tracks_of(
        [(w, 0.0, 12.0 + 12 * (i > 4), i < 5) for w in ("B02", "B03") for i in range(10)]
    )
    odd = tracks_of(
        [(w, 0.0, 12.0 + 12 * (w > "B02"), w == "B02") for w in ("B02", "B03") for i in range(10)]
    )
    even_curve, odd_curve = (curve_of(t) for t in (even, odd))
    assert even_curve.survival[1] == odd_curve.survival[1] == 0.5
    # Greenwood: 1 / (n - d) - 1 / n of 20 neurons.
    error = np.sqrt(10 / (20 * 10)) / np.log(2)
    half = stats.norm.ppf(0.975) * error
    assert even_curve.low[1] == pytest.approx(0.5 ** np.exp(half))
    # Each well is half of its ten deaths away from what was to be expected: 5 / 10 on log S.
    wells = stats.t.ppf(0.975, 1) * np.sqrt(2 * (0.5**2 + 0.5**2)) / np.log(2)
    assert odd_curve.low[1] == pytest.approx(0.5 ** np.exp(wells))
    assert odd_curve.high[1] == pytest.approx(0.5 ** np.exp(-wells))


def test_arms_share_how_their_wells_scatter():
    """Wells of one arm die alike, of the other all or none: each has half of the scatter."""
    even, odd = (
        tracks_of(
            [
                (w, 0.0, 12.0 + 12 * (not dies(w, i)), dies(w, i))
                for w in ("B02", "B03")
                for i in range(10)
            ]
        )
        for dies in (lambda w, i: i < 5, lambda w, i: w == "B02")
    )
    lone = tracks_of([("C02", 0.0, 12.0 + 12 * (i > 4), i < 5) for i in range(10)])
    curves = arm_curves([even, odd, lone], ())
    scale = np.log(2) ** 2
    # Greenwood's is 10 / (20 * 10) of two wells and 5 / (10 * 5) of one.
    greenwood = np.array([0.05, 0.05, 0.1]) / scale
    # σ² of two wells is 2 (own − Greenwood's): own is 0 of the even and 2 (0.5² + 0.5²) of the odd.
    scatter = (2 * (0 - 0.05) + 2 * (1.0 - 0.05)) / 2 / scale
    half = stats.t.ppf(0.975, 2) * np.sqrt(greenwood + scatter / [2, 2, 1])
    assert [c.low[1] for c in curves] == pytest.approx(0.5 ** np.exp(half))
    assert [c.high[1] for c in curves] == pytest.approx(0.5 ** np.exp(-half))
    # An arm tells others nothing before its first death.
    early = tracks_of([(w, 0.0, 6.0, i < 5) for w in ("D02", "D03") for i in range(10)])
    alone, beside = arm_curves([early], ())[0], arm_curves([early, odd], ())[0]
    assert (alone.low[1], alone.high[1]) == (beside.low[1], beside.high[1])


@pytest.mark.parametrize(("well_sd", "covered", "width"), [(0.0, 0.975, 0.2), (0.5, 0.955, 0.49)])
def test_bands_of_two_wells_cover_whether_or_not_wells_differ(well_sd, covered, width):
    """Vehicle of six wells and three doses of two, of 60 neurons each, seen every 12 h to 96 h."""
    rng = np.random.default_rng(2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    true = weights @ np.exp(-0.008 * 60 * np.exp(well_sd * nodes)) / weights.sum()
    held, widths = [], []
    for _ in range(200):
        wells = np.repeat(np.arange(12), 60)
        hazard = 0.008 * np.exp(rng.normal(0, well_sd, 12))[wells]
        death = np.ceil(rng.exponential(size=720) / hazard / 12) * 12
        table = pl.DataFrame(
            {"well": wells, "entry_h": 0.0, "exit_h": np.minimum(death, 96), "event": death <= 96}
        ).with_columns(reason=pl.lit(""))
        arms = [table.filter(pl.col("well").is_between(a, b)) for a, b in ARMS]
        for curve in arm_curves(arms, ())[1:]:
            place = np.searchsorted(curve.time, 60, "right") - 1
            held.append(curve.low[place] <= true <= curve.high[place])
            widths.append(curve.high[place] - curve.low[place])
    # 600 bands: 95 % ± 3 of their standard errors is 0.92 … 0.98.
    assert np.mean(held) == pytest.approx(covered, abs=0.02)
    # The arm's own two wells alone: 0.74 and 0.97.
    assert np.median(widths) == pytest.approx(width, abs=0.03)


def test_where_all_die_the_end_has_no_interval():
    curve = curve_of(tracks_of([("B02", 0.0, t, True) for t in (12.0, 24.0)]))
    assert curve.time.tolist() == [0.0, 12.0, 24.0]
    assert curve.survival.tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(curve.high).tolist() == [True, False, True]


def test_an_arm_that_was_not_followed_has_no_curve():
    assert curve_of(tracks_of([("B02", 12.0, 12.0, True)])) is None


def test_neurons_at_risk_are_those_alive_and_followed_then():
    tracks = tracks_of([("B02", 0.0, 12.0, True), ("B02", 12.0, 36.0, False)])
    assert at_risk(tracks, [0.0, 12.0, 24.0, 48.0]) == [1, 2, 1, 0]


def test_the_median_is_where_the_curve_and_its_interval_come_to_one_half():
    tracks = tracks_of([("B02", 0.0, float(t), e) for t, e in MERCAPTOPURINE])
    # R: survfit(Surv(t, e) ~ 1, conf.type = "log-log") gives 23, 13 and NA.
    assert arm_curves([tracks], ())[0].median() == (23.0, 13.0, None)
    # lifelines' KaplanMeierFitter and median_survival_times of its interval (Greenwood, log-log).
    fitter = KaplanMeierFitter().fit(*zip(*MERCAPTOPURINE, strict=True))
    ends = median_survival_times(fitter.confidence_interval_).to_numpy()[0]
    assert (fitter.median_survival_time_, *ends) == (23.0, 13.0, np.inf)


def test_a_median_is_not_reached_where_most_live_and_has_no_interval_where_all_die_at_once():
    some = [("B02", 0.0, 12.0, True), *[("B02", 0.0, 24.0, False)] * 9]
    assert arm_curves([tracks_of(some)], ())[0].median()[0] is None
    at_once = [("B02", 0.0, 12.0, True)] * 5
    assert arm_curves([tracks_of(at_once)], ())[0].median() == (12.0, None, None)
