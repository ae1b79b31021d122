"""Survival against closed forms, lifelines and values printed by R."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from phenotypes.films.kaplan_meier import kaplan_meier


def test_without_censoring_it_is_the_share_still_alive():
    curve = kaplan_meier([1, 2, 2, 4, 5], [True] * 5)
    assert curve.time.tolist() == [1, 2, 4, 5]
    assert curve.survival == pytest.approx([0.8, 0.4, 0.2, 0.0])
    # Greenwood without censoring is the binomial variance.
    assert curve.variance[:3] == pytest.approx([0.8 * 0.2 / 5, 0.4 * 0.6 / 5, 0.2 * 0.8 / 5])
    mean, _ = curve.rmst(5)
    assert mean == pytest.approx(np.mean([1, 2, 2, 4, 5]))


def test_censored_and_left_truncated_agree_with_lifelines():
    rng = np.random.default_rng(0)
    entry = rng.uniform(0, 3, 300)
    leave = entry + rng.exponential(10, 300).round(1) + 0.1
    event = rng.random(300) < 0.6
    ours = kaplan_meier(leave, event, entry)
    theirs = KaplanMeierFitter().fit(leave, event, entry=entry)
    expected = theirs.survival_function_at_times(ours.time).to_numpy()
    assert ours.survival == pytest.approx(expected)


def test_rmst_standard_error_is_that_of_repeated_studies():
    rng = np.random.default_rng(1)
    means, errors = [], []
    for _ in range(400):
        death, lost = rng.exponential(60, 80), rng.exponential(90, 80)
        mean, error = kaplan_meier(
            np.minimum(death, np.minimum(lost, 72)), (death <= lost) & (death <= 72)
        ).rmst(72)
        means.append(mean)
        errors.append(error)
    true = 60 * (1 - np.exp(-72 / 60))
    assert np.mean(means) == pytest.approx(true, rel=0.01)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)
    assert np.mean(np.abs(np.array(means) - true) < 1.96 * np.array(errors)) == pytest.approx(
        0.95, abs=0.03
    )


def test_nobody_dies():
    curve = kaplan_meier([5, 5], [False, False])
    assert curve.at(10) == 1.0
    assert curve.rmst(5) == (5.0, 0.0)


def test_cox_as_we_call_it_gives_rs_coefficients(reference):
    """Efron ties, and strata, as printed for the Rossi data."""
    from lifelines import CoxPHFitter
    from lifelines.datasets import load_rossi

    frame = load_rossi()
    with (reference / "survival" / "rossi_expected.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    models = {r["model"] for r in rows}
    checked = 0
    for model in models:
        own = [r for r in rows if r["model"] == model and r["quantity"] in {"coef", "coefficient"}]
        if "cox" not in model.lower() or not own:
            continue
        strata = [model.rsplit("by ", maxsplit=1)[1]] if "stratified by" in model else None
        fit = CoxPHFitter().fit(frame, "week", "arrest", strata=strata)
        for r in own:
            assert fit.params_[r["term"]] == pytest.approx(float(r["expected"]), abs=2e-4), r
            checked += 1
    assert checked >= 7


@pytest.mark.parametrize("until", [2.5, 4.0, 9.0])
def test_without_censoring_the_rmst_is_a_mean_and_its_error_that_of_a_mean(until):
    """All deaths seen: RMST is the mean of min(T, τ), its variance Σ(min(T, τ) − mean)² / n².

    So Greenwood's sum must use d / (n (n − d)), with ties too.
    """
    times = np.array([1, 2, 2, 3, 3, 3, 5, 8.0])
    mean, error = kaplan_meier(times, [True] * 8).rmst(until)
    cut = np.minimum(times, until)
    assert mean == pytest.approx(cut.mean(), rel=1e-12)
    assert error == pytest.approx(cut.std() / np.sqrt(8), rel=1e-12)


def test_rmst_of_a_censored_curve_by_hand():
    """Deaths at 1 (of 5) and 3 (of 3), censored at 2 and 4: S = 0.8, then 0.8 · 2/3."""
    mean, error = kaplan_meier([1, 2, 3, 4, 5], [True, False, True, False, False]).rmst(4)
    s = 0.8 * 2 / 3
    assert mean == pytest.approx(1 + 2 * 0.8 + s)
    area = np.array([2 * 0.8 + s, s])
    variance = area[0] ** 2 * 1 / (5 * 4) + area[1] ** 2 * 1 / (3 * 2)
    assert error == pytest.approx(np.sqrt(variance), rel=1e-12)


def test_greenwoods_variance_agrees_with_lifelines():
    """Lifelines gives the exponential Greenwood interval: log −log S ± 1.96 √v / |log S|."""
    rng = np.random.default_rng(2)
    leave, event = rng.exponential(10, 80).round(0) + 1, rng.random(80) < 0.7
    ours, theirs = kaplan_meier(leave, event), KaplanMeierFitter().fit(leave, event)
    alive = ours.survival > 0
    ends = theirs.confidence_interval_survival_function_.loc[ours.time[alive]].to_numpy()
    v, log_s = ours.variance[alive] / ours.survival[alive] ** 2, np.log(ours.survival[alive])
    half_width = 1.959963985 * np.sqrt(v) / log_s
    assert np.log(-np.log(ends[:, 0])) - np.log(-log_s) == pytest.approx(-half_width, rel=1e-6)


@pytest.mark.parametrize("until", [6.0, 40.0])
def test_influences_add_up_to_nothing_and_their_squares_to_the_variance(until):
    """With ties, censoring and late entries; without entries the two agree to the last digit."""
    rng = np.random.default_rng(3)
    for late in (0.0, 3.0):
        entry = np.where(rng.random(200) < 0.3, late, 0.0)
        leave = entry + rng.exponential(10, 200).round(0) + 1
        event = rng.random(200) < 0.7
        curve = kaplan_meier(leave, event, entry)
        influence = curve.influence(until, leave, event, entry)
        assert influence.sum() == pytest.approx(0, abs=1e-9)
        assert np.sqrt((influence**2).sum()) == pytest.approx(curve.rmst(until)[1], rel=0.02)


def test_the_influence_of_a_subject_is_what_the_mean_loses_without_it():
    """To first order: n − 1 times what leaving it out changes."""
    rng = np.random.default_rng(4)
    entry = np.where(rng.random(400) < 0.3, 3.0, 0.0)
    leave, event = entry + rng.exponential(10, 400) + 0.1, rng.random(400) < 0.7
    curve = kaplan_meier(leave, event, entry)
    influence = curve.influence(15.0, leave, event, entry)
    for i in range(0, 400, 40):
        kept = np.arange(400) != i
        without = kaplan_meier(leave[kept], event[kept], entry[kept]).rmst(15.0)[0]
        assert curve.rmst(15.0)[0] - without == pytest.approx(influence[i], abs=3e-4)


def test_without_censoring_the_influence_is_the_life_beyond_the_mean():
    times = np.array([1, 2, 2, 3, 3, 3, 5, 8.0])
    curve = kaplan_meier(times, [True] * 8)
    influence = curve.influence(4.0, times, [True] * 8, [0.0] * 8)
    cut = np.minimum(times, 4.0)
    assert influence == pytest.approx((cut - cut.mean()) / 8, rel=1e-12)
