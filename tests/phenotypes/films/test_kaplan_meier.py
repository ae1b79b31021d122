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
        mean, error = kaplan_meier(np.minimum(death, np.minimum(lost, 72)), (death <= lost) & (death <= 72)).rmst(72)
        means.append(mean)
        errors.append(error)
    true = 60 * (1 - np.exp(-72 / 60))
    assert np.mean(means) == pytest.approx(true, rel=0.01)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)
    assert np.mean(np.abs(np.array(means) - true) < 1.96 * np.array(errors)) == pytest.approx(0.95, abs=0.03)


def test_nobody_dies():
    curve = kaplan_meier([5, 5], [False, False])
    assert curve.at(10) == 1.0
    assert curve.rmst(5) == (5.0, 0.0)


def test_cox_as_we_call_it_gives_rs_coefficients(shared_data):
    """Efron ties, and strata, as printed for the Rossi data."""
    import pandas as pd
    from lifelines import CoxPHFitter

    folder = shared_data / "reference" / "survival"
    frame = pd.read_csv(folder / "rossi.csv")
    with (folder / "rossi_expected.csv").open() as stream:
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
