"""Against metafor's printed values for the BCG vaccine trials (Colditz et al., JAMA 271:698, 1994)."""

from __future__ import annotations

import numpy as np
import pytest

from phenotypes.statistics.meta_analysis import meta_analysis
from tests.messages import says

# Vaccinated with and without tuberculosis, controls with and without; 13 trials.
BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ]
)


@pytest.fixture
def log_risk_ratios():
    a, b, c, d = BCG.T.astype(float)
    return np.log(a / (a + b)) - np.log(c / (c + d)), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_the_bcg_trials(log_risk_ratios):
    """Printed for method REML: τ² 0.3132, I² 92.22 %, Q(12) = 152.2330, estimate −0.7145, se 0.1798
    and interval −1.0669 … −0.3622 (normal).
    """
    y, v = log_risk_ratios
    found = meta_analysis(y, v)
    assert found.method == "REML"
    assert found.tau2 == pytest.approx(0.3132, abs=5e-5)
    assert found.i2 == pytest.approx(0.9222, abs=5e-5)
    assert found.q == pytest.approx(152.2330, abs=5e-5)
    assert found.mean == pytest.approx(-0.7145, abs=5e-5)
    normal = (1 / (v + found.tau2)).sum() ** -0.5
    assert normal == pytest.approx(0.1798, abs=5e-5)
    assert (found.mean - 1.959964 * normal, found.mean + 1.959964 * normal) == pytest.approx(
        (-1.0669, -0.3622), abs=5e-5
    )
    # Hartung and Knapp's factor is near 1 with 13 trials, and its t wider than the normal.
    assert found.error == pytest.approx(normal, rel=0.02)
    assert found.low < -1.0669
    assert found.predicted_low < found.low < found.high < found.predicted_high


def test_donors_that_agree_have_no_variance_between_them():
    found = meta_analysis([1.0, 1.01, 0.99, 1.0], [0.04] * 4)
    assert found.tau2 == 0.0
    assert found.i2 == 0.0
    assert found.mean == pytest.approx(1.0)


@pytest.mark.parametrize("tau", [0.0, 0.5])
def test_intervals_hold_with_four_donors(tau):
    """Where the normal interval covers 85 to 90 %, Hartung and Knapp's covers 95."""
    rng = np.random.default_rng(0)
    covered = predicted = 0
    for _ in range(600):
        v = rng.uniform(0.02, 0.1, 4)
        found = meta_analysis(rng.normal(0.3, tau, 4) + rng.normal(0, np.sqrt(v)), v)
        covered += found.low <= 0.3 <= found.high
        predicted += found.predicted_low <= rng.normal(0.3, tau) <= found.predicted_high
    assert covered / 600 == pytest.approx(0.95, abs=0.03)
    assert 0.9 < predicted / 600 < 0.99


def test_two_donors_are_no_population():
    with pytest.raises(ValueError, match=says("meta_analysis.too_few_donors")):
        meta_analysis([1.0, 2.0], [0.1, 0.1])
    with pytest.raises(ValueError, match=says("meta_analysis.variance_not_positive")):
        meta_analysis([1.0, 2.0, 3.0], [0.1, 0.1, 0.0])


@pytest.mark.parametrize("exponent", [-500, -266, -20, -10, 10, 266, 500])
def test_the_unit_of_the_effect_changes_nothing_else(log_risk_ratios, exponent):
    """Also in small units: τ² has no tolerance of its own size."""
    effects, variances = log_risk_ratios
    one = meta_analysis(effects, variances)
    other = meta_analysis(np.ldexp(effects, exponent), np.ldexp(variances, 2 * exponent))
    for name in ("mean", "error", "low", "high", "predicted_low", "predicted_high"):
        value = np.ldexp(getattr(other, name), -exponent)
        assert value == pytest.approx(getattr(one, name), rel=1e-9), name
    assert np.ldexp(other.tau2, -2 * exponent) == pytest.approx(one.tau2, rel=1e-9)
    for name in ("p_value", "i2", "q", "q_p"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9), name
    assert other.method == one.method
