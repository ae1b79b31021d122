from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from phenotypes.statistics.curves.batch_response import (
    BatchDesign,
    design_of,
    response_p,
    treated_means,
)
from phenotypes.statistics.curves.hill import occupancy

LADDER = np.r_[0.0, np.geomspace(1e-8, 3e-5, 8)]


def points(batches=3):
    x = np.tile(LADDER, batches)
    return x, np.tile(np.r_[8.0, [3.0] * 8], batches), np.repeat(np.arange(batches), 9)


def draw(rng, batches=3, curve=0.0, shift=0.0):
    x, w, b = points(batches)
    y = curve * occupancy(x, -6.0, 1.2) + rng.normal(0, shift, batches)[b] * (x > 0)
    return x, y + rng.normal(0, 1, len(x)) / np.sqrt(w), w, b


def test_p_is_uniform_without_a_response_whatever_batches_differ_by():
    rng = np.random.default_rng(0)
    for shift in (0.0, 5.0):
        p = [response_p(*draw(rng, shift=shift)) for _ in range(400)]
        assert stats.kstest(p, "uniform").pvalue > 0.001
        assert 0.018 <= np.mean(np.array(p) < 0.05) <= 0.083


def test_small_p_keep_their_size_beyond_the_draws():
    """Of 20,000 without a response, 20 are due under 0.001 and 2 under 0.0001."""
    rng = np.random.default_rng(1)
    x, w, b = points()
    treated = x > 0
    design = design_of(x[treated], w[treated], b[treated])
    null = design.noise()
    fresh = design.within(rng.normal(size=(20_000, int(treated.sum()))) / design.root)
    scores = design.score(fresh)
    edge = null[-20]
    assert 0.012 <= (scores > edge).mean() <= 0.03
    assert 8 <= (0.02 * np.exp(edge - scores[scores > edge]) < 0.001).sum() <= 45
    assert (0.02 * np.exp(edge - scores[scores > edge]) < 0.0001).sum() <= 9


def test_a_distance_from_vehicle_counts_as_much_as_its_batches_say():
    """All doses alike: Student's t between batches is all there is."""
    x, w, b = points()
    noise = np.random.default_rng(2).normal(0, 0.3, len(x))
    same = response_p(x, 10.0 * (x > 0) + np.array([0.1, -0.1, 0.05])[b] * (x > 0) + noise, w, b)
    split = response_p(x, np.array([10.0, -10.0, 1.0])[b] * (x > 0) + noise, w, b)
    assert same < 0.01
    assert split > 0.05


def test_one_batch_counts_vehicle_as_a_dose():
    x, y, w, b = draw(np.random.default_rng(3), batches=1, curve=-20.0)
    assert response_p(x, y, w, b) < 0.01


def test_data_without_scatter_have_a_p():
    x, w, b = points()
    assert response_p(x, 100 - 50 * occupancy(x, -6.0, 1.0), w, b) < 1e-6
    assert response_p(x, np.where(x > 0, 50.0, 100.0), w, b) == 1.0


def test_lack_of_fit_has_its_level_and_its_power():
    """One in a hundred of true curves, of 300 at most 8; a bell of 5 standard deviations always."""
    rng = np.random.default_rng(4)
    p = np.array([treated_means(*draw(rng, curve=-15.0, shift=3.0))[1] for _ in range(300)])
    assert (p < 0.01).sum() <= 8
    assert 0.02 <= (p < 0.1).mean() <= 0.17
    bell = 5 * (occupancy(LADDER, -7.2, 1.5) - occupancy(LADDER, -6.0, 2.0))
    found = []
    for _ in range(30):
        x, y, w, b = draw(rng)
        found.append(treated_means(x, y + np.tile(bell, 3), w, b)[1])
    assert max(found) < 0.01


def test_means_are_weighted_by_wells_and_their_scatter_is_between_batches():
    x, y, w, b = draw(np.random.default_rng(5), shift=4.0)
    means, *_ = treated_means(x, y, w, b)
    assert means.mean[0] == pytest.approx(np.average(y[x == 1e-8], weights=w[x == 1e-8]))
    table = y[x > 0].reshape(3, 8)
    left = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    assert means.error == pytest.approx(3.0 * (left**2).sum())
    assert means.degrees == 14


def test_the_contrasts_are_those_between_doses():
    x, w, b = points()
    design = BatchDesign(x, w, b)
    assert design.contrasts.shape == (8, 27)
    assert design.contrasts @ design.contrasts.T == pytest.approx(np.eye(8), abs=1e-9)
