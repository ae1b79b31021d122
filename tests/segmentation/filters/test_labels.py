from __future__ import annotations

import numpy as np
from skimage.segmentation import expand_labels

from segmentation.filters.labels import expand


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


def test_nothing_to_expand():
    assert not expand(np.zeros((5, 5), np.int32), 3).any()
    assert (expand(np.ones((5, 5), np.int32), 3) == 1).all()
