from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import optimize, stats

from benchmarks.inference.potency import DOSES, WELLS, pair
from phenotypes.statistics.curves.hill import occupancy
from phenotypes.statistics.curves.potency import Ladder, potency_shift


def test_agrees_with_a_general_solver_on_one_batch():
    """SciPy's curve_fit of the same seven parameters, with its Wald interval."""
    line, reference = pair(np.random.default_rng(5), batches=1)
    x, y = np.r_[DOSES, DOSES], np.r_[line.response, reference.response]
    is_line = np.arange(len(x)) < len(DOSES)

    def model(x, a, b, s, t, log_ratio, theta, log_hill):
        f = occupancy(x, theta + log_ratio * is_line, np.exp(log_hill))
        return np.where(is_line, a + s * f, b + t * f)

    start = [100, 100, -60, -50, 0.4, -6, 0.2]
    best, covariance = optimize.curve_fit(
        model, x, y, start, sigma=1 / np.sqrt(np.r_[WELLS, WELLS]), xtol=1e-12, ftol=1e-12
    )
    found = potency_shift(line, reference)
    assert found.status == "one_batch"
    assert found.p_value is None
    assert found.ratio == pytest.approx(10 ** best[4], rel=1e-5)
    assert found.hill == pytest.approx(np.exp(best[6]), rel=1e-5)
    half = stats.t.ppf(0.975, len(x) - 7) * np.sqrt(covariance[4, 4])
    assert np.log10(found.high / found.ratio) == pytest.approx(half, rel=1e-3)
    assert np.log10(found.ratio / found.low) == pytest.approx(half, rel=1e-3)


CASES = {
    "one batch": "one_batch",
    "one batch: slopes differ": "one_batch",
    "three batches": "ok",
    "three batches: slopes differ": "slopes_differ",
    "four batches: equal": "ok",
    "shared limits": "one_batch",
    "shared limits: slopes differ": "one_batch",
}


@pytest.mark.parametrize(("case", "status"), CASES.items())
def test_agrees_with_nls_of_r(reference, case, status):
    """R's nls on the same means (tests/reference/potency), with its interval between batches.

    EDcomp of R's drc states the delta method's interval, symmetric about the ratio; ours is
    symmetric about its logarithm, for a ratio and its inverse are the same finding. Of one batch
    the two standard errors differ only by the information, observed there and expected here.
    """
    means = pl.read_csv(reference / "potency" / "means.csv").filter(case=case)
    (expected,) = (
        pl.read_csv(reference / "potency" / "expected.csv").filter(case=case).iter_rows(named=True)
    )
    parts = []
    for name in ("line", "reference"):
        part = means.filter(line=name)
        parts.append(Ladder(*part.select("dose", "response", "wells"), part["batch"].to_list()))
    found = potency_shift(*parts, shared_limits=means["limits"][0] == "shared")
    assert found.status == status
    assert found.ratio == pytest.approx(expected["ratio"], rel=1e-6)
    assert found.slope_p == pytest.approx(expected["slope_p"], rel=1e-4)
    assert (found.hill is None) == (expected["slope_p"] < 0.05)
    if found.hill is not None:
        assert found.hill == pytest.approx(expected["hill"], rel=1e-6)
    between = "batches" if status != "one_batch" else "wald"
    assert found.low == pytest.approx(expected[f"{between}_low"], rel=1e-5)
    assert found.high == pytest.approx(expected[f"{between}_high"], rel=1e-5)
    if status != "one_batch":
        assert found.p_value == pytest.approx(expected["batches_p"], rel=1e-4)
    else:
        assert found.p_value is None
        t = stats.t.ppf(0.975, expected["residual_df"])
        error = found.ratio * np.log(found.high / found.low) / (2 * t)
        assert error == pytest.approx(expected["delta_se"], rel=0.03)


def test_the_slopes_are_tested_by_the_extra_sum_of_squares():
    line, reference = pair(np.random.default_rng(4), batches=1, hills=(1.0, 2.0))
    costs = []
    for slopes in (1, 2):

        def residual(p, slopes=slopes):
            out = []
            for part, theta, hill in ((line, p[0], p[2]), (reference, p[1], p[1 + slopes])):
                f = occupancy(DOSES, theta, np.exp(hill))
                root = np.sqrt(WELLS)
                columns = np.column_stack([np.ones(len(f)), f]) * root[:, None]
                y = part.response * root
                out.append(y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0])
            return np.concatenate(out)

        costs.append(2 * optimize.least_squares(residual, [-5.5, -6, *[0.2] * slopes]).cost)
    degrees = 2 * len(DOSES) - 8
    expected = stats.f.sf((costs[0] - costs[1]) / (costs[1] / degrees), 1, degrees)
    assert potency_shift(line, reference).slope_p == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("batches", "ratio"), [(2, 3.0), (3, 1.0), (5, 3.0)])
def test_interval_covers_and_is_no_wider_than_it_must(batches, ratio):
    rng = np.random.default_rng(5)
    found = [potency_shift(*pair(rng, batches, ratio)) for _ in range(80)]
    shown = [f for f in found if f.ratio is not None]
    assert len(shown) >= 78
    assert 0.88 <= np.mean([f.low <= ratio <= f.high for f in shown]) <= 0.99
    assert np.median([f.ratio for f in shown]) == pytest.approx(ratio, rel=0.12)
    assert np.mean([f.status == "slopes_differ" for f in shown]) <= 0.12


def test_what_a_batch_does_to_both_lines_leaves_the_ratio():
    """Batches that differ by half a decade, and lines that differ three-fold in each."""
    found = potency_shift(*pair(np.random.default_rng(6), 4, common=0.5, own=0.0, noise=1.0))
    assert found.status == "ok"
    assert found.high / found.low < 1.3
    assert found.low < 3 < found.high
    assert found.p_value < 1e-3


def test_slopes_that_differ_are_named_and_the_ratio_is_of_half_the_effect():
    line, reference = pair(np.random.default_rng(7), 3, noise=2.0, hills=(0.8, 2.5))
    found = potency_shift(line, reference)
    assert (found.status, found.hill) == ("slopes_differ", None)
    assert found.slope_p < 1e-4
    assert found.low < 3 < found.high


def test_batches_that_one_line_lacks_take_no_part():
    line, reference = pair(np.random.default_rng(8), 4)
    absurd = Ladder(
        line.dose, np.where(np.arange(36) < 27, line.response, 1e6), line.wells, line.batch
    )
    keep = np.arange(36) < 27
    short = Ladder(
        reference.dose[keep], reference.response[keep], reference.wells[keep], reference.batch[:27]
    )
    found = potency_shift(absurd, short)
    assert found == potency_shift(line, short)
    assert found.n_batches == 3
    other = Ladder(line.dose, line.response, line.wells, ["x"] * 36)
    assert potency_shift(other, reference).status == "too_few_batches"


def test_what_the_doses_do_not_determine_has_no_ratio():
    rng = np.random.default_rng(9)
    assert potency_shift(*pair(rng, ratio=1e4, noise=0.5)).status == "not_determined"
    line, reference = pair(rng, hills=(60.0, 60.0), noise=0.5, common=0.0, own=0.0)
    assert potency_shift(line, reference).status == "not_determined"
    few = [Ladder(DOSES[:3], np.array([100.0, 90.0, 50.0]), WELLS[:3], ["b"] * 3) for _ in range(2)]
    assert potency_shift(*few).status == "not_determined"


def test_curves_without_noise_have_an_interval_of_no_width():
    found = potency_shift(*pair(np.random.default_rng(0), noise=0.0, own=0.0))
    assert found.status == "ok"
    assert found.ratio == pytest.approx(3.0, rel=1e-6)
    assert found.high / found.low == pytest.approx(1.0, abs=1e-4)
    assert found.p_value < 1e-6


def test_shared_limits_are_those_of_one_organism():
    """Both lines begin at 100 and end at 40, so fewer parameters tell the ratio more sharply."""
    rng = np.random.default_rng(11)
    parts = []
    for theta in (-5.5, -6.0):
        y = 100 - 60 * occupancy(DOSES, theta, 1.2) + rng.normal(0, 2, len(DOSES))
        parts.append(Ladder(DOSES, y, np.ones(len(DOSES)), ["b"] * len(DOSES)))
    shared, own = potency_shift(*parts, shared_limits=True), potency_shift(*parts)
    assert shared.low < 10**0.5 < shared.high
    assert shared.high / shared.low < own.high / own.low


def test_the_interval_is_students_t_of_the_batches_ratios():
    """Curves without noise whose lines differ by 0.45, 0.48 and 0.54 decades in three batches."""
    logs = np.array([0.45, 0.48, 0.54])
    parts = []
    for shift in (logs, np.zeros(3)):
        y = [100 - 60 * occupancy(DOSES, -6 + s, 1.2) for s in shift]
        names = [f"b{b}" for b in range(3) for _ in DOSES]
        parts.append(Ladder(np.tile(DOSES, 3), np.concatenate(y), np.tile(WELLS, 3), names))
    found = potency_shift(*parts)
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / np.sqrt(3)
    assert np.log10(found.ratio) == pytest.approx(logs.mean(), abs=2e-3)
    assert np.log10(found.high / found.ratio) == pytest.approx(half, rel=0.03)
    assert found.p_value == pytest.approx(stats.ttest_1samp(logs, 0).pvalue, rel=0.06)


@pytest.mark.parametrize("power", [-200, 200])
def test_a_ratio_is_the_same_in_every_unit_of_the_response(power):
    parts = pair(np.random.default_rng(12))
    moved = [Ladder(p.dose, 10.0**power * p.response, p.wells, p.batch) for p in parts]
    plain, found = potency_shift(*parts), potency_shift(*moved)
    assert found.status == plain.status == "ok"
    assert found.ratio == pytest.approx(plain.ratio, rel=1e-5)
    assert found.p_value == pytest.approx(plain.p_value, rel=1e-4)
