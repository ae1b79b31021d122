from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.engines.motornet.dynamics import FLOW_SCALE, objects
from segmentation.scoring.accuracy import object_counts


def discs(centres, radius, shape=(120, 160)):
    """Labels and exact flows of discs: every vector points to its own centre."""
    labels, flows = np.zeros(shape, np.int32), np.zeros((2, *shape), np.float32)
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    nearest = np.argmin([np.hypot(yy - y, xx - x) for y, x in centres], axis=0)
    for i, (y, x) in enumerate(centres):
        distance = np.hypot(yy - y, xx - x)
        inside = (distance <= radius) & (nearest == i)
        labels[inside] = i + 1
        length = np.maximum(distance, 1e-6)
        pull = np.minimum(1, distance)
        flows[:, inside] = (
            FLOW_SCALE * np.stack([(y - yy) / length * pull, (x - xx) / length * pull])
        )[:, inside]
    return labels, flows


@pytest.mark.parametrize("radius", [3.5, 6.0, 12.0])
def test_discs_that_touch_are_told_apart(radius):
    centres = [(30.0, 30.0), (30.0, 30.0 + 1.7 * radius), (80.0, 90.0), (0.0, 150.0)]
    labels, flows = discs(centres, radius)
    found = objects(flows, labels > 0)
    counts = object_counts(labels, found)
    assert found.max() == len(centres)
    assert counts[0.9].tp == len(centres)


def test_nothing_inside_gives_nothing():
    assert objects(np.zeros((2, 20, 30), np.float32), np.zeros((20, 30), bool)).max() == 0


def test_a_few_stray_pixels_are_no_object():
    _, flows = discs([(30.0, 30.0)], 6)
    inside = np.zeros((120, 160), bool)
    inside[100, 100:103] = True
    assert objects(flows, inside).max() == 0


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
def test_it_agrees_with_cellpose_on_the_same_flows():
    from cellpose import dynamics

    rng = np.random.default_rng(2)
    labels = np.zeros((300, 300), np.int32)
    for i in range(1, 90):
        centre = tuple(int(v) for v in rng.integers(0, 300, 2))
        axes = tuple(int(v) for v in rng.integers(5, 11, 2))
        cv2.ellipse(labels, centre, axes, float(rng.uniform(0, 180)), 0, 360, i, cv2.FILLED)
    # Overlaps leave slivers, which neither can find.
    areas = np.bincount(labels.ravel())
    labels[areas[labels] < 40] = 0
    _, numbered = np.unique(labels, return_inverse=True)
    labels = numbered.reshape(labels.shape).astype(np.int32)
    flows = FLOW_SCALE * dynamics.masks_to_flows_gpu(labels)[0].astype(np.float32)
    inside = labels > 0
    theirs = dynamics.compute_masks(
        flows, np.where(inside, 5.0, -5.0), flow_threshold=None, max_size_fraction=1.0
    ).astype(np.int32)
    ours = objects(flows, inside)
    assert object_counts(theirs, ours)[0.5].f1 >= 0.95
    truth = object_counts(labels, ours)[0.5].f1
    assert truth >= object_counts(labels, theirs)[0.5].f1 - 0.02
    assert truth >= 0.9
