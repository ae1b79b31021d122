from __future__ import annotations

import numpy as np

from imaging_service.review.neurites import neurite_mask, with_neurite_mask


def test_a_mask_is_zero_and_one_and_leaves_somas_out():
    neurites = np.array([[0, 1, 7, 60_000]], np.uint16)
    somas = np.array([[2, 0, 0, 3]], np.int32)
    assert neurite_mask(neurites, None).tolist() == [[0, 1, 1, 1]]
    mask = neurite_mask(neurites, somas)
    assert (mask.tolist(), mask.dtype) == ([[0, 1, 1, 0]], np.int32)
    assert neurites.tolist() == [[0, 1, 7, 60_000]]


def test_other_compartments_are_the_same_arrays():
    labels = {"nuclei": np.ones((2, 2), np.int32), "neurites": np.full((2, 2), 4, np.int32)}
    made = with_neurite_mask(labels)
    assert made["nuclei"] is labels["nuclei"]
    assert made["neurites"].tolist() == [[1, 1], [1, 1]]
    assert with_neurite_mask({"nuclei": labels["nuclei"]}) == {"nuclei": labels["nuclei"]}
