"""Accuracy of labels against truth, in the numbers that papers on segmentation report.

Average precision is TP / (TP + FP + FN) at an intersection over union, as Cellpose and StarDist use
it (Stringer et al., Nat. Methods 18:100, 2021; Schmidt et al., MICCAI 2018). Skeletons are compared
with a tolerance: a predicted pixel is right if a true one lies within it, a true one found if a
predicted one does (as DIADEM and road extraction do).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Labels, Mask

IOU = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives; they add over images."""

    tp: float
    fp: float
    fn: float

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN); 1 where there is nothing and nothing was found."""
        total = self.tp + self.fp + self.fn
        return self.tp / total if total else 1.0

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 1 where nothing was found."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 1.0

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 1 where there is nothing."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 1.0

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 1.0


@dataclass(frozen=True)
class LineCounts:
    """Skeleton pixels: predicted, of them right; true, of them detected. They add over images."""

    predicted: int
    right: int
    true: int
    detected: int

    def __add__(self, other: LineCounts) -> LineCounts:
        return LineCounts(
            self.predicted + other.predicted,
            self.right + other.right,
            self.true + other.true,
            self.detected + other.detected,
        )

    @property
    def precision(self) -> float:
        """Share of predicted pixels near a true one; 1 where nothing was predicted."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of true pixels near a predicted one; 1 where there is none."""
        return self.detected / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def overlaps(truth: Labels, predicted: Labels) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """((n, 2) true and predicted labels that share a pixel, their IoU).

    Above an IoU of 0.5 no object can match two others, so no assignment has to be solved.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth has shape {truth.shape}, but labels have shape {predicted.shape}")
    true_area, predicted_area = np.bincount(truth.ravel()), np.bincount(predicted.ravel())
    both = (truth > 0) & (predicted > 0)
    count = len(predicted_area)
    pairs, shared = np.unique(
        truth[both].astype(np.int64) * count + predicted[both], return_counts=True
    )
    t, f = pairs // count, pairs % count
    return np.stack([t, f], axis=1), shared / (true_area[t] + predicted_area[f] - shared)


def object_counts(
    truth: Labels, predicted: Labels, thresholds: Sequence[float] = IOU
) -> dict[float, Counts]:
    """Counts at each IoU threshold (over 0.5, or equal to it)."""
    iou = overlaps(truth, predicted)[1]
    n_true, n_predicted = (
        int((np.bincount(labels.ravel())[1:] > 0).sum()) for labels in (truth, predicted)
    )
    counts = {}
    for threshold in thresholds:
        # At exactly 0.5 two objects may tie for one; strictly above they cannot.
        tp = int((iou > threshold).sum()) if threshold <= 0.5 else int((iou >= threshold).sum())
        counts[threshold] = Counts(tp, n_predicted - tp, n_true - tp)
    return counts


def line_counts(truth: Mask, predicted: Mask, tolerance_px: float) -> LineCounts:
    """Compare two one-pixel-wide skeletons."""
    return LineCounts(
        int(predicted.sum()),
        int((predicted & near(truth, tolerance_px)).sum()),
        int(truth.sum()),
        int((truth & near(predicted, tolerance_px)).sum()),
    )


def near(lines: Mask, tolerance_px: float) -> Mask:
    """Pixels within a distance of a line's."""
    if not lines.any():
        return np.zeros_like(lines)
    distance = cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= tolerance_px + 1e-6, bool)


def point_counts(
    truth_yx: NDArray[np.float64], found_yx: NDArray[np.float64], reach_px: float
) -> Counts:
    """Match points one to one within `reach_px`, the nearest first (linear assignment)."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial import cKDTree

    if not len(truth_yx) or not len(found_yx):
        return Counts(0, len(found_yx), len(truth_yx))
    near = cKDTree(truth_yx).sparse_distance_matrix(
        cKDTree(found_yx), reach_px, output_type="coo_matrix"
    )
    cost = np.full((len(truth_yx), len(found_yx)), 1e6)
    cost[near.row, near.col] = near.data
    rows, columns = linear_sum_assignment(cost)
    tp = int((cost[rows, columns] < 1e6).sum())
    return Counts(tp, len(found_yx) - tp, len(truth_yx) - tp)


def centres(labels: Labels) -> NDArray[np.float64]:
    """(n, 2) centroids y, x of labels 1…n that are present."""
    y, x = np.nonzero(labels)
    label = labels[y, x]
    area = np.bincount(label)
    present = area > 0
    return np.stack([np.bincount(label, w)[present] / area[present] for w in (y, x)], axis=1)
