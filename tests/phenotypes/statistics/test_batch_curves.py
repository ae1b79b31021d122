from __future__ import annotations

import numpy as np
import pytest

from phenotypes.statistics.batch_curves import fit_batches
from phenotypes.statistics.dose_response import fit
from phenotypes.statistics.hill import occupancy
from tests.phenotypes.drawn_screens import DOSES

LADDER = np.r_[0.0, DOSES]


def simulated(rng, span=-60.0, hill=1.2, batches=3, ec50_sd=0.15, sd=5.0, shift=0.0):
    """Batch means of 8 vehicle and 3 treated wells a dose; EC50 1 µM, `ec50_sd` decades between batches."""
    wells = np.tile(np.r_[8.0, [3.0] * 8], batches)
    half = -6 + rng.normal(0, ec50_sd, batches)
    curve = np.concatenate([100 + span * occupancy(LADDER, h, hill) for h in half])
    level = np.repeat(rng.normal(0, shift, batches), 9) if shift else 0.0
    return (
        np.tile(LADDER, batches),
        curve + rng.normal(0, sd, 9 * batches) / np.sqrt(wells) + level,
        wells,
        np.repeat(np.arange(batches), 9),
    )


@pytest.mark.parametrize("span", [-60.0, 60.0])
def test_intervals_cover_in_both_directions_though_batches_differ(span):
    rng = np.random.default_rng(0)
    found = [fit_batches(*simulated(rng, span)) for _ in range(200)]
    assert sum(r.status == "ok" for r in found) >= 196
    assert {r.direction for r in found} == {"ascending" if span > 0 else "descending"}
    assert sum(r.ec50_low <= 1e-6 <= r.ec50_high for r in found if r.ec50) >= 0.92 * len(found)


def test_flat_is_called_flat_though_batches_have_levels_of_their_own():
    rng = np.random.default_rng(1)
    found = [fit_batches(*simulated(rng, 0.0, shift=10.0)) for _ in range(400)]
    assert sum(r.status == "flat" for r in found) >= 0.93 * 400
    assert found[0].model == "constant"


def test_without_noise_the_curve_is_found_to_four_digits():
    x, y, w, b = simulated(np.random.default_rng(0), ec50_sd=0.0, sd=0.0)
    r = fit_batches(x, y, w, b)
    assert r.ec50 == pytest.approx(1e-6, rel=2e-3)
    assert r.hill == pytest.approx(1.2, rel=2e-3)
    assert (r.e0, r.einf) == (pytest.approx(100, abs=0.05), pytest.approx(40, abs=0.1))


def test_one_batch_agrees_with_the_fit_to_wells():
    """Same model, same wells: the plate's own fit (checked against R's drc) is the oracle."""
    rng = np.random.default_rng(2)
    x, y, w, _ = simulated(rng, batches=1)
    y = y + rng.normal(0, 1, len(y))
    ours = fit_batches(x, y, w, np.zeros(len(x), int))
    wells = fit(np.repeat(x, w.astype(int)), np.repeat(y, w.astype(int)))
    assert ours.ec50 == pytest.approx(wells.ec50, rel=5e-3)
    assert ours.hill == pytest.approx(wells.hill, rel=5e-3)
    assert ours.emax == pytest.approx(wells.emax, rel=5e-3)
    assert "says nothing of another batch" in ours.reason


def test_refusals_are_statuses():
    x, y, w, b = simulated(np.random.default_rng(0))
    few = x <= DOSES[2]
    assert fit_batches(x[few], y[few], w[few], b[few]).status == "too_few_doses"
    assert fit_batches(x, np.full(len(x), 100.0), w, b).status == "flat"
    low = fit_batches(
        *simulated(np.random.default_rng(0), ec50_sd=0)[:1],
        100 - 60 * occupancy(x, -8.5, 1.0) + np.random.default_rng(0).normal(0, 1, len(x)),
        w,
        b,
    )
    assert (low.status, low.ec50) == ("below_tested_range", None)
    high = fit_batches(x, 100 - 60 * occupancy(x, -3.9, 1.0) + np.random.default_rng(0).normal(0, 0.3, len(x)), w, b)
    assert (high.status, high.ec50) == ("above_tested_range", None)


def test_batches_that_disagree_widen_the_interval():
    def width(ec50_sd):
        rng = np.random.default_rng(3)
        found = [fit_batches(*simulated(rng, ec50_sd=ec50_sd, sd=2.0)) for _ in range(30)]
        return np.median([np.log10(r.ec50_high / r.ec50_low) for r in found if r.ec50])

    assert width(0.3) > 3 * width(0.0)


def test_outliers_weigh_less_on_request_and_are_counted():
    x, y, w, b = simulated(np.random.default_rng(5), sd=2.0, ec50_sd=0.02)
    spoilt = y.copy()
    spoilt[[6, 16]] += 70  # two means near the half-maximal dose, as a bubble or a fibre would lift them
    plain, robust = fit_batches(x, spoilt, w, b), fit_batches(x, spoilt, w, b, robust=True)
    assert abs(np.log10(robust.ec50 / 1e-6)) < 0.1 < abs(np.log10((plain.ec50 or 1.0) / 1e-6))
    assert "2 of 27 means weigh less than half" in robust.reason
    assert (robust.n_wells, robust.n_vehicle) == (plain.n_wells, plain.n_vehicle)
    assert "no mean was doubted" in fit_batches(x, y, w, b, robust=True).reason
    assert fit_batches(x, np.full(len(x), 100.0), w, b, robust=True).status == "flat"
