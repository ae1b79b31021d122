"""Survival of an arm: its steps, its interval, and the neurons at risk."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.films.survival_curves import arm_curve, at_risk


def tracks_of(rows):
    """Tracks of (well, entry, exit, event)."""
    names = ("well", "entry_h", "exit_h", "event")
    table = pl.DataFrame(dict(zip(names, zip(*rows, strict=True), strict=True)))
    return table.with_columns(reason=pl.when("event").then(pl.lit("")).otherwise(pl.lit("lost")))


# Freireich's 6-MP arm (Klein & Moeschberger, Survival Analysis, 2003, table 4.1A and §4.3).
MERCAPTOPURINE = [
    *((t, True) for t in (6, 6, 6, 7, 10, 13, 16, 22, 23)),
    *((t, False) for t in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)),
]


def test_one_well_has_greenwood_s_interval_on_the_log_log_scale():
    tracks = tracks_of([("B02", 0.0, float(t), e) for t, e in MERCAPTOPURINE])
    curve = arm_curve(tracks, ("lost",))
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
    even_curve, odd_curve = (arm_curve(t, ()) for t in (even, odd))
    assert even_curve.survival[1] == odd_curve.survival[1] == 0.5
    # Greenwood: 1 / (n - d) - 1 / n of 20 neurons.
    error = np.sqrt(10 / (20 * 10)) / np.log(2)
    half = stats.norm.ppf(0.975) * error
    assert even_curve.low[1] == pytest.approx(0.5 ** np.exp(half))
    # Each well is half of its ten deaths away from what was to be expected: 5 / 10 on log S.
    wells = stats.t.ppf(0.975, 1) * np.sqrt(2 * (0.5**2 + 0.5**2)) / np.log(2)
    assert odd_curve.low[1] == pytest.approx(0.5 ** np.exp(wells))
    assert odd_curve.high[1] == pytest.approx(0.5 ** np.exp(-wells))


def test_where_all_die_the_end_has_no_interval():
    curve = arm_curve(tracks_of([("B02", 0.0, t, True) for t in (12.0, 24.0)]), ())
    assert curve.time.tolist() == [0.0, 12.0, 24.0]
    assert curve.survival.tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(curve.high).tolist() == [True, False, True]


def test_an_arm_that_was_not_followed_has_no_curve():
    assert arm_curve(tracks_of([("B02", 12.0, 12.0, True)]), ()) is None


def test_neurons_at_risk_are_those_alive_and_followed_then():
    tracks = tracks_of([("B02", 0.0, 12.0, True), ("B02", 12.0, 36.0, False)])
    assert at_risk(tracks, [0.0, 12.0, 24.0, 48.0]) == [1, 2, 1, 0]
