"""Cells drawn with known ratios, puncta and overlaps."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from phenotypes.cells.localisation import manders, nc_log2, rim, spots


def disc(shape, y, x, radius):
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(yy - y, xx - x) <= radius


@pytest.fixture
def cells():
    """Two cells side by side: nuclei of radius 14, somas of radius 25."""
    shape = (80, 160)
    nuclei, somas = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for label, x in ((1, 40), (2, 110)):
        somas[disc(shape, 40, x, 25)] = label
        nuclei[disc(shape, 40, x, 14)] = label
    return nuclei, somas


def test_a_ratio_to_noise_is_no_ratio():
    assert np.isnan(nc_log2(np.array([100.0, 1.0]), np.array([1.0, 100.0]), 4.0)).all()
    assert nc_log2(np.array([100.0]), np.array([50.0]), 4.0) == pytest.approx([1.0])


def test_spots_are_counted_where_most_of_them_lies(cells):
    nuclei, somas = cells
    labels = np.zeros_like(somas)
    for k, (y, x, r) in enumerate([(40, 20, 2), (40, 42, 3), (60, 40, 1), (40, 130, 2)], start=1):
        labels[disc(somas.shape, y, x, r)] = k
    image = np.where(labels > 0, 10.0, 1.0).astype(np.float32)
    found = spots(labels, somas, nuclei, image, 2, 0.5)
    areas = np.bincount(labels.ravel())[1:] * 0.25
    assert found["count"].tolist() == [3, 1]
    assert found["nuclear_count"].tolist() == [1, 0]
    assert found["area_um2"] == pytest.approx([areas[:3].sum(), areas[3]])
    assert found["largest_um2"] == pytest.approx([areas[:3].max(), areas[3]])
    assert found["sum"] == pytest.approx(10 * found["area_um2"] / 0.25)
    none = spots(np.zeros_like(labels), somas, nuclei, image, 2, 0.5)
    assert all((v == 0).all() for v in none.values())


@pytest.mark.parametrize(("inside", "nuclear"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)])
def test_a_spot_is_nuclear_if_more_than_half_of_it_is(cells, inside, nuclear):
    nuclei, somas = cells
    labels = np.zeros_like(somas)
    edge = np.flatnonzero(nuclei[40] == 1)[-1]
    labels[40, edge - inside + 1 : edge - inside + 5] = 1
    found = spots(labels, somas, nuclei, np.ones(somas.shape, np.float32), 2, 0.5)
    assert (nuclei[labels > 0] > 0).sum() == inside
    assert (found["count"].tolist(), found["nuclear_count"].tolist()) == ([1, 0], [nuclear, 0])


def test_manders_null_is_that_of_real_shuffles(cells):
    _, somas = cells
    rng = np.random.default_rng(0)
    image = rng.gamma(2, 50, somas.shape).astype(np.float32)
    granules = (rng.random(somas.shape) < 0.1).astype(np.int32) * (somas > 0)
    image[granules > 0] *= 1.3
    ours = manders(image, granules, somas, 2)
    for cell in (1, 2):
        light, within = image[somas == cell].astype(float), granules[somas == cell] > 0
        draws = np.array([rng.permutation(light)[within].sum() for _ in range(4000)]) / light.sum()
        assert ours["m1"][cell - 1] == pytest.approx(light[within].sum() / light.sum())
        assert ours["null"][cell - 1] == pytest.approx(draws.mean(), rel=0.01)
        expected = (ours["m1"][cell - 1] - draws.mean()) / draws.std()
        assert ours["z"][cell - 1] == pytest.approx(expected, rel=0.06)


def test_manders_z_is_exact_over_all_placings_of_the_granules():
    light = np.array([[1, 2, 4, 8, 16, 3, 5, 7]], np.float32)
    granules = np.array([[0, 0, 0, 1, 1, 1, 0, 0]], np.int32)
    every = [sum(chosen) for chosen in combinations(light[0].tolist(), 3)]
    found = manders(light, granules, np.ones_like(granules), 1)
    assert found["z"][0] == pytest.approx((27 - np.mean(every)) / np.std(every), rel=1e-12)
    assert found["m1"][0] == pytest.approx(27 / 46)
    assert found["null"][0] == pytest.approx(3 / 8)


def test_manders_of_indifferent_protein_is_its_null(cells):
    _, somas = cells
    rng = np.random.default_rng(1)
    granules = (rng.random(somas.shape) < 0.1).astype(np.int32)
    flat = manders(np.full(somas.shape, 7.0, np.float32), granules, somas, 2)
    assert flat["m1"] == pytest.approx(flat["null"])
    absent = manders(np.full(somas.shape, 7.0, np.float32), np.zeros_like(somas), somas, 2)
    assert np.isnan(absent["m1"]).all()


def test_the_rim_against_the_interior():
    px, shape = 0.1, (160, 160)
    nuclei = disc(shape, 80, 80, 60).astype(np.int32)
    image = np.where(disc(shape, 80, 80, 62) & ~disc(shape, 80, 80, 55), 400.0, 100.0).astype(
        np.float32
    )
    whole = rim(nuclei, image, 1, px)
    assert whole["log2"][0] == pytest.approx(2.0, abs=0.2)
    gapped = image.copy()
    gapped[:80] = np.minimum(gapped[:80], 100)
    assert rim(nuclei, gapped, 1, px)["cv"][0] > whole["cv"][0] + 0.3
    tiny = disc(shape, 80, 80, 5).astype(np.int32)
    assert np.isnan(rim(tiny, image, 1, px)["log2"][0])
