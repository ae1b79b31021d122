from __future__ import annotations

import csv

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.quality.controls import (
    assay_window,
    quality_table,
    robust_z_prime,
    signal_window,
    ssmd,
    v_estimate,
    v_factor,
    z_prime,
)
from tests.messages import says


def sample(mean, sd, n=9):
    """Wells whose sample mean and standard deviation (n − 1) are exactly these."""
    x = np.linspace(-1, 1, n)
    return mean + (x / x.std(ddof=1) * sd if sd else 0 * x)


def test_definitions_on_published_identities(reference):
    rows = list(
        csv.DictReader(
            (reference / "screening" / "zprime_ssmd_identity.csv").read_text().splitlines()
        )
    )
    assert len(rows) > 10
    for r in rows:
        p, n = (
            sample(float(r["mean_pos"]), float(r["sd_pos"])),
            sample(float(r["mean_neg"]), float(r["sd_neg"])),
        )
        assert float(ssmd(p, n)) == pytest.approx(float(r["ssmd"]))
        assert float(z_prime(p, n)) == pytest.approx(float(r["z_prime"]))


def test_equal_spread_ties_the_two_together():
    p, n = sample(20, 2), sample(5, 2)
    assert float(z_prime(p, n)) == pytest.approx(1 - 6 / np.sqrt(2) / abs(float(ssmd(p, n))))


def test_one_wild_well_moves_the_robust_one_little():
    p, n = np.append(sample(20, 1), 200.0), sample(5, 1)
    assert float(robust_z_prime(p, n)) > 0.4
    assert float(z_prime(p, n)) < 0


def test_what_is_not_defined_is_none():
    window = assay_window([5.0, 5.0, 5.0], [5.0, 5.0, 5.0])
    assert window["z_prime"].value is None
    assert window["ssmd"].value is None


def test_intervals_hold_the_value_and_repeat():
    rng = np.random.default_rng(0)
    p, n = list(rng.normal(10, 1, 12)), list(rng.normal(0, 1, 12))
    first, second = assay_window(p, n), assay_window(p, n)
    assert first == second
    for estimate in first.values():
        assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize(("positives", "vehicles"), [(3, 8), (8, 16)])
def test_the_intervals_cover_in_both_tails(positives, vehicles):
    """200 plates: 2.5 % on either side and three standard errors. A bootstrap misses 19 to 53 %."""
    rng = np.random.default_rng(0)
    true = {"z_prime": 0.4, "robust_z_prime": 0.4, "ssmd": 20 / np.sqrt(8), "signal_window": 4.0}
    below, above = dict.fromkeys(true, 0), dict.fromkeys(true, 0)
    for _ in range(200):
        window = assay_window(rng.normal(25, 2, positives), rng.normal(5, 2, vehicles))
        for name, value in true.items():
            below[name] += value < window[name].low
            above[name] += value > window[name].high
    for name in true:
        assert below[name] <= 0.058 * 200, name
        assert above[name] <= 0.058 * 200, name
        assert below[name] + above[name] >= 2, name


def test_the_interval_of_the_v_factor_covers_in_both_tails():
    rng = np.random.default_rng(0)
    below = above = 0
    for _ in range(200):
        groups = [rng.normal(m, 2, n) for m, n in ((25, 4), (5, 8), (20, 3), (15, 3), (10, 3))]
        found = v_estimate(groups, groups[0], groups[1], np.random.default_rng(0))
        below += found.low > 0.4
        above += found.high < 0.4
    assert max(below, above) <= 0.058 * 200
    assert below + above >= 2


def test_wells_that_do_not_vary_have_a_number_without_an_interval():
    window = assay_window([10.0] * 4, [1.0, 2.0, 3.0, 2.0])
    assert window["z_prime"].value == pytest.approx(1 - 3 * np.sqrt(2 / 3) / 8)
    assert window["z_prime"].low is window["z_prime"].high is None


def test_too_few_wells_are_refused():
    with pytest.raises(ValueError, match=says("controls.too_few_wells")):
        assay_window([1.0, 2.0], [0.0] * 8)


def test_signal_window_and_v_factor_by_hand():
    positive, negative = [10.0, 12.0, 14.0], [1.0, 2.0, 3.0]
    assert float(signal_window(positive, negative)) == pytest.approx((10 - 3 * (2 + 1)) / 1)
    assert v_factor([positive, negative, [5.0, 8.0]], positive, negative) == pytest.approx(
        1 - 6 * np.mean([2, 1, 3 / np.sqrt(2)]) / 10
    )
    assert v_factor([[1.0]], positive, negative) is None


def test_a_noisy_middle_lowers_the_v_factor_and_not_z_prime():
    """The two ends of the curve are tight; between them replicates scatter, which only V sees."""
    rng = np.random.default_rng(0)
    rows = [("vehicle", "DMSO", 0.0, v) for v in rng.normal(100, 2, 8)] + [
        ("positive", "ref", 1e-6, v) for v in rng.normal(20, 2, 8)
    ]
    middle = [("none", "x", d, v) for d in (1e-8, 1e-7, 1e-6) for v in rng.normal(60, 15, 4)]
    table = conform(
        pl.DataFrame(
            [
                {
                    "well": f"A{i + 1:02d}",
                    "status": "done",
                    "line": "L",
                    "control": c,
                    "compound": n,
                    "dose_molar": d,
                    "live_density": v,
                }
                for i, (c, n, d, v) in enumerate(rows + middle)
            ]
        ),
        "well",
    )
    found = quality_table(table, ["live_density"]).to_dicts()[0]
    assert found["z_prime"] > 0.7
    assert found["v_factor"] < 0.5
    assert found["v_factor_low"] < found["v_factor"] < found["v_factor_high"]
    assert found["signal_window_low"] < found["signal_window"] < found["signal_window_high"]
