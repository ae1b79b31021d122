from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.segmentation import expand_labels, watershed

from segmentation.filters.labels import (
    expand,
    flood,
    link_somas,
    mean_probability,
    nearest,
    remove_small,
)


def test_expand_agrees_with_scikit_image():
    labels = np.zeros((200, 200), np.int32)
    rng = np.random.default_rng(0)
    for i in range(1, 40):
        y, x = rng.integers(5, 190, 2)
        labels[y : y + 5, x : x + 6] = i
    for reach in (1.0, 3.1, 9.0):
        ours, theirs = expand(labels, reach), expand_labels(labels, reach)
        assert (ours != theirs).mean() < 0.01
        assert np.array_equal(ours[labels > 0], labels[labels > 0])


def test_flooding_agrees_with_scikit_image():
    rng = np.random.default_rng(3)
    landscape = rng.random((150, 170)).astype(np.float32)
    mask = cv2.GaussianBlur(landscape, (0, 0), 3) > 0.5
    seeds = np.zeros(mask.shape, np.int32)
    places = np.argwhere(rng.random(mask.shape) < 0.004)  # outside of the mask, too
    seeds[places[:, 0], places[:, 1]] = rng.permutation(len(places)) + 1
    expected = watershed(landscape, seeds, mask=mask)
    flooded = flood(landscape, seeds, mask)
    assert flooded.dtype == np.int32
    assert np.array_equal(flooded, expected)
    pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
    held = [len(np.unique(seeds[(pieces == k) & (seeds > 0)])) for k in range(1, pieces.max() + 1)]
    assert {0, 1} < set(held)  # pieces without a seed, with one, and with several


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_only_pieces_with_several_seeds_are_flooded(seeds, monkeypatch):
    flooded = []

    def counted(landscape, markers, mask):
        flooded.append(int(mask.sum()))
        return watershed(landscape, markers, mask=mask)

    monkeypatch.setattr("skimage.segmentation.watershed", counted)
    mask = np.zeros((40, 40), bool)
    mask[2:12, 2:12], mask[20:30, 20:26] = True, True
    markers = np.zeros(mask.shape, np.int32)
    markers[5, 5] = 1
    markers[[22, 28][:seeds], 22] = [2, 3][:seeds]
    labels = flood(np.zeros(mask.shape, np.float32), markers, mask)
    assert (
        np.bincount(labels.ravel(), minlength=4)[1:].tolist()
        == [
            [100, 0, 0],
            [100, 60, 0],
            [100, 36, 24],
        ][seeds]
    )
    assert flooded == ([60] if seeds == 2 else [])


def test_nothing_to_flood():
    nothing = np.zeros((5, 5), np.int32)
    assert not flood(nothing.astype(np.float32), nothing, nothing > 0).any()
    assert not flood(nothing.astype(np.float32), nothing, nothing == 0).any()


def test_nothing_to_expand():
    assert not expand(np.zeros((5, 5), np.int32), 3).any()
    assert (expand(np.ones((5, 5), np.int32), 3) == 1).all()


def test_mean_probability_is_that_of_each_label_at_any_resolution():
    labels = np.zeros((8, 8), np.int32)
    labels[:4, :4], labels[4:, 4:] = 1, 3
    logits = np.zeros((8, 8), np.float32)
    logits[4:, 4:] = 100
    found = mean_probability(labels, logits)
    assert found[[0, 2]] == pytest.approx([0.5, 1.0])
    assert np.isnan(found[1])
    assert mean_probability(labels, logits[::2, ::2])[0] == pytest.approx(0.5, abs=0.05)


def test_every_pixel_knows_the_nearest_label_and_how_far_it_is():
    labels = np.zeros((9, 21), np.int32)
    labels[4, 2], labels[4, 18] = 7, 3
    distance, label = nearest(labels)
    assert (distance[4, 2], label[4, 2]) == (0, 7)
    assert distance[4, 6] == pytest.approx(4, rel=0.02)
    assert (label[:, :10] == 7).all()
    assert (label[:, 11:] == 3).all()


def test_small_labels_go_and_the_rest_are_numbered_anew():
    labels = np.zeros((10, 10), np.int32)
    labels[0, :3], labels[2, :4], labels[4, :9] = 2, 5, 9
    kept = remove_small(labels, 4)
    assert kept.dtype == np.int32
    assert [int((kept == i).sum()) for i in range(1, kept.max() + 1)] == [4, 9]
    assert remove_small(labels, 10).max() == 0
    assert remove_small(np.zeros((3, 3), np.int32), 1).max() == 0


def test_a_body_gets_the_nucleus_that_it_holds_most_of():
    bodies, nuclei = np.zeros((2, 10, 20), np.int32)
    bodies[:, :8], bodies[:, 10:14], bodies[:, 16:] = 1, 2, 3
    nuclei[2:6, 2:6] = 4  # wholly in body 1
    nuclei[8, 2:9] = 2  # less of it in body 1, and sticks out
    nuclei[2:4, 12:16] = 1  # half in body 2, which alone holds it
    linked = link_somas(bodies, nuclei)
    assert set(np.unique(linked)) == {0, 1, 4}
    assert (linked[:2, :8] == 4).all()
    assert (linked[0, 10:14] == 1).all()
    assert (linked[2:4, 12:16] == 1).all()  # its own nucleus lies wholly in it
    assert not linked[:, 16:].any()  # no nucleus, no soma
