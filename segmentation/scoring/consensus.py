"""What two people who outlined the same field agree on, and how an engine compares with it.

An object is agreed on where the two outlines of it match (IoU over 0.5); its pixels are those that
both gave it. What only one of them has is disputed: its presence is not known, so an engine
gets neither a hit nor a miss for it.
"""

from __future__ import annotations

import numpy as np

from segmentation.field import Labels, Mask
from segmentation.scoring.accuracy import Counts, near, overlaps

IOU = 0.5


def consensus(first: Labels, second: Labels) -> tuple[Labels, Mask]:
    """Objects that both people outlined, and pixels of objects that only one outlined.

    The objects (Y, X) carry the numbers of `first`.
    """
    mine, theirs = _matches(first, second)
    agreed = np.where((theirs[first] == second) & (theirs[first] > 0), first, 0).astype(np.int32)
    disputed = ((first > 0) & (theirs[first] == 0)) | ((second > 0) & (mine[second] == 0))
    return agreed, np.asarray(disputed & (agreed == 0), bool)


def beside_consensus(predicted: Labels, agreed: Labels, disputed: Mask) -> Counts:
    """Counts of an engine's objects against the agreed ones at IoU 0.5.

    An unmatched object that lies for more than half in disputed pixels is not counted.
    """
    of_agreed = _matches(predicted, agreed)[1]
    area = np.bincount(predicted.ravel(), minlength=len(of_agreed))
    doubtful = np.bincount(predicted[disputed], minlength=len(area)) > 0.5 * area
    present = area > 0
    present[0] = False
    tp = int((of_agreed > 0).sum())
    fp = int((present & (of_agreed[: len(present)] == 0) & ~doubtful).sum())
    return Counts(tp, fp, len(np.unique(agreed[agreed > 0])) - tp)


def lines_beside_consensus(
    predicted: Mask, first: Mask, second: Mask, tolerance_px: float
) -> Counts:
    """Counts of an engine's skeleton pixels against lines that both people drew.

    A pixel of a line that only one of them drew is disputed, and counts neither way.
    """
    near_first, near_second = near(first, tolerance_px), near(second, tolerance_px)
    agreed = (first & near_second) | (second & near_first)
    right = predicted & near(agreed, tolerance_px)
    wrong = predicted & ~near_first & ~near_second
    # Of the first's lines only: those of the second lie along the same neurites.
    missed = first & near_second & ~near(predicted, tolerance_px)
    return Counts(int(right.sum()), int(wrong.sum()), int(missed.sum()))


def _matches(first: Labels, second: Labels) -> tuple[np.ndarray, np.ndarray]:
    """For each label of the second its match in the first, and the other way round.

    Indexed by label; 0 where there is no match.
    """
    pairs, iou = overlaps(first, second)
    good = pairs[iou > IOU]
    to_first, to_second = (
        np.zeros(int(second.max()) + 1, np.int64),
        np.zeros(int(first.max()) + 1, np.int64),
    )
    to_first[good[:, 1]], to_second[good[:, 0]] = good[:, 0], good[:, 1]
    return to_first, to_second
