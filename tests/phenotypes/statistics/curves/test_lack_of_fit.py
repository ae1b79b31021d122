from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from phenotypes.statistics.curves.lack_of_fit import (
    DoseMeans,
    lack_of_fit,
    means_of_wells,
    misfit,
    response_score,
    reversal,
)
from tests.messages import states

DOSE = np.concatenate([np.zeros(6), np.repeat(np.geomspace(1e-8, 1e-5, 6), 3)])


def wells(means, sd=1.0, seed=0):
    levels = dict(zip(np.unique(DOSE), means, strict=True))
    noise = np.random.default_rng(seed).normal(0, sd, len(DOSE))
    return np.array([levels[d] for d in DOSE]) + noise


def test_means_and_pure_error_are_those_of_an_analysis_of_variance():
    y = wells([0, 1, 2, 3, 4, 5, 6])
    means = means_of_wells(DOSE, y)
    groups = [y[d == DOSE] for d in np.unique(DOSE)]
    assert means.mean == pytest.approx([g.mean() for g in groups])
    assert means.error == pytest.approx(sum(((g - g.mean()) ** 2).sum() for g in groups))
    assert (means.degrees, means.weight.tolist()) == (24 - 7, [6, 3, 3, 3, 3, 3, 3])
    # A constant has no lack of fit exactly where the analysis of variance finds no difference.
    rss = float(((y - y.mean()) ** 2).sum())
    assert lack_of_fit(rss, 1, means, 7) == pytest.approx(stats.f_oneway(*groups).pvalue)


def test_lack_of_fit_is_the_f_test_of_a_straight_line():
    """Three straight segments beside one line: F with 5 and 17 degrees of freedom."""
    y = wells([0, 3, 3, 3, 3, 3, 6])
    position = np.unique(DOSE, return_inverse=True)[1].astype(float)
    line = np.polyfit(position, y, 1)
    rss = float(((y - np.polyval(line, position)) ** 2).sum())
    means = means_of_wells(DOSE, y)
    f = (rss - means.error) / 5 / (means.error / 17)
    assert lack_of_fit(rss, 2, means, 7) == pytest.approx(stats.f.sf(f, 5, 17))


def test_what_cannot_be_tested_has_no_p():
    lonely = means_of_wells(np.arange(6.0), np.arange(6.0))
    assert lack_of_fit(3.0, 2, lonely, 6) is None
    assert reversal(lonely) == ""
    replicated = means_of_wells(DOSE, wells([0, 1, 2, 3, 4, 5, 6]))
    assert lack_of_fit(100.0, 7, replicated, 7) is None


def test_replicates_without_scatter_fit_or_do_not():
    exact = means_of_wells(DOSE, wells([0, 1, 2, 3, 4, 5, 6], sd=0.0))
    assert lack_of_fit(exact.error, 4, exact, 7) == 1.0
    assert lack_of_fit(5.0, 4, exact, 7) == 0.0
    bell = means_of_wells(DOSE, wells([0, 1, 2, 3, 2, 1, 0], sd=0.0))
    assert "rises" in reversal(bell)


def test_a_reversal_names_its_doses():
    found = reversal(means_of_wells(DOSE, wells([100, 110, 150, 150, 130, 110, 60], sd=2.0)))
    assert states("reversal.rises", found, top=149)
    assert states("reversal.falls", found, top=149, dose="39.8 nM")
    assert found.endswith("at 10 µM")
    valley = reversal(means_of_wells(DOSE, wells([100, 60, 60, 60, 60, 90, 120], sd=2.0)))
    assert valley.index("falls") < valley.index("rises")


@pytest.mark.parametrize("top", [0.0, 8.0])
def test_monotone_means_hardly_ever_reverse(top):
    """At most one in twenty; of 300, none to 25."""
    count = sum(
        bool(reversal(means_of_wells(DOSE, wells([0, 0, 0, 0, top, top, top], seed=s))))
        for s in range(300)
    )
    assert count <= 25


def test_the_score_orders_by_the_better_of_curve_and_means():
    curve = response_score(np.array([0.5, 0.9]), np.array([0.6, 0.6]), 24, 7)
    assert curve[1] > curve[0]
    means = response_score(np.array([0.3, 0.3]), np.array([0.7, 0.95]), 24, 7)
    assert means[1] > means[0]
    # Weighed at a quarter: the tail of F with 6 and 17 degrees of freedom, four times.
    f = (0.95 / 6) / (0.05 / 17)
    assert means[1] == pytest.approx(-np.log(4 * stats.f.sf(f, 6, 17)), rel=1e-6)
    # Without replicates only curves count.
    lonely = response_score(np.array([0.5]), np.array([1.0]), 7, 7)
    f = (0.5 / 3) / (0.5 / 3)
    assert lonely[0] == pytest.approx(-np.log(stats.f.sf(f, 3, 3)), rel=1e-6)


def test_the_variance_is_that_of_replicates():
    means = DoseMeans(np.array([0.0, 1.0]), np.zeros(2), np.ones(2), 8.0, 4)
    assert means.variance == 2.0
    assert means.points() == ((0.0, 0.0), (1.0, 0.0))


def test_misfit_is_what_lies_beyond_chance_as_a_share_of_the_range():
    """Means 0.3 off a curve in eight doses of four wells, range 10, replicates with an SD of 1."""
    weight = np.full(8, 4.0)
    means = DoseMeans(np.arange(8.0), np.linspace(0, 10, 8), weight, error=24.0, degrees=24)
    beyond = 0.3**2 * weight.sum()
    chance = 4 * means.variance
    assert misfit(24.0 + chance + beyond, 4, means, 8) == pytest.approx(0.03)
    assert misfit(24.0 + 0.5 * chance, 4, means, 8) == 0.0
    assert misfit(1e9, 4, DoseMeans(np.arange(8.0), np.zeros(8), weight, 1.0, 24), 8) == 0.0
    assert misfit(1e9, 4, DoseMeans(np.arange(8.0), np.arange(8.0), weight, 1.0, 2), 8) == 0.0
