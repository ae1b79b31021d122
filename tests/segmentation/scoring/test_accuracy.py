from __future__ import annotations

import numpy as np
import pytest

from segmentation.scoring.accuracy import Counts, centres, line_counts, object_counts, point_counts
from tests.messages import says


def squares(*corners, side=10, shape=(60, 60)):
    labels = np.zeros(shape, np.int32)
    for i, (y, x) in enumerate(corners, start=1):
        labels[y : y + side, x : x + side] = i
    return labels


def test_equal_labels_are_perfect_at_every_threshold():
    truth = squares((0, 0), (20, 20))
    assert all(c == Counts(2, 0, 0) for c in object_counts(truth, truth).values())


def test_a_shifted_square_counts_up_to_its_overlap():
    # 10 × 8 of 10 × 10 shared: IoU 80 / 120 = 2/3.
    counts = object_counts(squares((0, 0)), squares((0, 2)))
    assert [t for t, c in counts.items() if c.tp] == [0.5, 0.55, 0.6, 0.65]
    assert counts[0.75] == Counts(0, 1, 1)
    assert counts[0.75].average_precision == 0


def test_missed_split_and_invented_objects_lower_average_precision():
    truth = squares((0, 0), (20, 20), (40, 40))
    found = truth.copy()
    found[found == 1] = 0  # missed
    found[20:25, 20:30] = 9  # one half of the second
    counts = object_counts(truth, found)[0.5]
    # Only the third is right: neither half reaches more than 0.5.
    assert counts == Counts(1, 2, 2)
    assert counts.average_precision == pytest.approx(1 / 5)


def test_nothing_there_and_nothing_found_is_right():
    empty = np.zeros((5, 5), np.int32)
    assert object_counts(empty, empty)[0.5].average_precision == 1
    assert object_counts(empty, squares((0, 0), shape=(20, 20))[:5, :5])[0.5].average_precision == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=says("accuracy.shapes_differ")):
        object_counts(np.zeros((3, 3), np.int32), np.zeros((3, 4), np.int32))


@pytest.mark.parametrize(("shift", "f1"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_lines_within_the_tolerance_are_right(shift, f1):
    truth, found = np.zeros((2, 20, 40), bool)
    truth[5, 5:35] = True
    found[5 + shift, 5:35] = True
    assert line_counts(truth, found, 2).f1 == f1


def test_half_a_line_and_a_false_one():
    truth, found = np.zeros((2, 40, 40), bool)
    truth[5, :] = True
    found[5, :20] = True
    found[30, :20] = True
    counts = line_counts(truth, found, 0)
    assert (counts.precision, counts.recall) == (0.5, 0.5)
    assert counts.f1 == 0.5
    assert line_counts(truth, np.zeros_like(truth), 2).recall == 0


def test_points_match_one_to_one():
    truth = np.array([[0.0, 0.0], [10.0, 10.0], [20.0, 20.0]])
    found = np.array([[0.0, 1.0], [0.5, 0.0], [10.0, 12.0], [50.0, 50.0]])
    counts = point_counts(truth, found, 2.0)
    assert counts == Counts(2, 2, 1)
    assert counts.f1 == pytest.approx(4 / 7)
    assert point_counts(truth, np.zeros((0, 2)), 2.0) == Counts(0, 0, 3)


def test_centres():
    assert centres(squares((0, 0), (20, 30))).tolist() == [[4.5, 4.5], [24.5, 34.5]]
