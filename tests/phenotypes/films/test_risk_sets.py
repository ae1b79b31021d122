"""Residuals of Cox's model against their definition, and against lifelines where it has them."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import CoxPHFitter
from lifelines.statistics import proportional_hazard_test

from phenotypes.films.risk_sets import is_finite, proportionality_p, residuals, risk_sets


def drawn(rng, n=240, frame_h=None, late=True, ratio=1.5):
    """(entry, exit, event, well, treated): six wells, the second half of them treated."""
    well = np.arange(n) % 6
    treated = (well >= 3).astype(float)
    death = rng.exponential(100 / ratio**treated)
    if frame_h:
        death = np.ceil(death / frame_h) * frame_h
    entry = np.where(late & (np.arange(n) % 4 == 0), 24.0, 0.0)
    kept = death > entry
    leave = np.minimum(death, 96.0)
    return entry[kept], leave[kept], (death <= 96)[kept], well[kept], treated[kept]


def frame_of(entry, leave, event, well, treated):
    import pandas as pd

    return pd.DataFrame(
        {"entry": entry, "exit": leave, "event": event.astype(int), "treated": treated}
    )


def test_at_risk_is_from_after_the_entry_to_the_exit():
    risk = risk_sets([0, 24, 0, 0], [24, 48, 48, 36], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1])
    assert risk.time.tolist() == [24, 48]
    assert risk.at_risk.tolist() == [[1, 1], [2, 1]]
    assert risk.deaths.tolist() == [[1, 1], [0, 1]]
    assert risk.treated.tolist() == [0, 1]


@pytest.mark.parametrize("frame_h", [None, 12.0])
def test_at_the_maximum_the_deaths_of_each_arm_are_those_expected(frame_h):
    """Lifelines finds the maximum, with entry times and Efron's ties; its error is the root of the
    information.
    """
    subjects = drawn(np.random.default_rng(0), frame_h=frame_h)
    fit = CoxPHFitter().fit(frame_of(*subjects), "exit", "event", entry_col="entry")
    rest = residuals(risk_sets(*subjects), float(fit.params_["treated"]))
    for arm in (slice(0, 3), slice(3, 6)):
        assert rest.expected[arm].sum() == pytest.approx(rest.deaths[arm].sum(), rel=1e-5)
    assert rest.information**-0.5 == pytest.approx(float(fit.standard_errors_["treated"]), rel=1e-6)
    assert rest.schoenfeld.sum() == pytest.approx(0, abs=1e-4)


def test_deaths_beyond_the_expected_are_lifelines_martingales():
    """Summed over the neurons of a well, without entry times; with entry times they add up to 0."""
    subjects = drawn(np.random.default_rng(1), late=False)
    frame = frame_of(*subjects).drop(columns="entry")
    fit = CoxPHFitter().fit(frame, "exit", "event")
    theirs = fit.compute_residuals(frame, "martingale")["martingale"].sort_index()
    rest = residuals(risk_sets(*subjects), float(fit.params_["treated"]))
    assert rest.deaths - rest.expected == pytest.approx(np.bincount(subjects[3], theirs), rel=1e-6)


def test_efrons_ties_by_hand():
    """Two vehicle and two treated, one of each dies at 1; ratio 1: 4 then 3 at risk, z̄ 1/2 twice.

    Expected of a survivor 1/4 + 1/3, of one that dies 1/4 + 1/2 · 1/3.
    """
    risk = risk_sets([0] * 4, [1, 2, 1, 2], [1, 0, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1])
    rest = residuals(risk, 0.0)
    assert rest.expected == pytest.approx([1.0, 1.0])
    assert rest.information == pytest.approx(2 * 0.25)
    assert rest.schoenfeld.tolist() == [-0.5, 0.5]
    single = risk_sets([0] * 4, [1, 2, 2, 2], [1, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1])
    rest = residuals(single, np.log(2))
    # z̄ = 4 / 6; survivors are expected to die by 1/6 (vehicle) and 2/6 (treated).
    assert rest.expected == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])
    assert rest.schoenfeld == pytest.approx([-2 / 3])


def test_proportional_hazards_are_tested_as_lifelines_does_without_ties_and_entries():
    subjects = drawn(np.random.default_rng(2), late=False)
    frame = frame_of(*subjects).drop(columns="entry")
    fit = CoxPHFitter().fit(frame, "exit", "event")
    theirs = proportional_hazard_test(fit, frame, time_transform="rank").p_value
    rest = residuals(risk_sets(*subjects), float(fit.params_["treated"]))
    assert proportionality_p([rest]) == pytest.approx(float(np.ravel(theirs)[0]), rel=1e-3)


def test_proportionality_has_its_level_where_fields_are_seen_late():
    """Two strata, a third of the treated seen late: 5 % of 400 under 0.05, and few under 0.01."""
    ps = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        strata = [risk_sets(*drawn(rng, frame_h=12.0)) for _ in range(2)]
        ps.append(proportionality_p([residuals(s, np.log(1.5)) for s in strata]))
    assert 0.02 < np.mean(np.array(ps) < 0.05) < 0.085
    assert 0.4 < np.median(ps) < 0.6


def test_hazards_that_cross_are_seen():
    entry, leave, event, well, treated = drawn(np.random.default_rng(3), late=False)
    late = np.where(treated == 1, 48 + leave / 2, leave)
    rest = residuals(risk_sets(entry, late, event, well, treated), 0.0)
    assert proportionality_p([rest]) < 1e-4


def test_a_ratio_is_finite_where_each_arm_dies_beside_the_other():
    dies_at_once = risk_sets([0] * 4, [1, 1, 5, 6], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0])
    assert not is_finite([dies_at_once])
    never_together = risk_sets([0, 0, 2, 2], [1, 1, 5, 6], [1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0])
    assert not is_finite([never_together])
    mixed = risk_sets([0] * 4, [1, 4, 3, 6], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0])
    assert is_finite([mixed])
    assert is_finite([dies_at_once, mixed])
    assert not is_finite([])
