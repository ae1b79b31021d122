"""Arithmetic on label images that all engines and measurements share."""

from __future__ import annotations

import cv2
import numpy as np

from segmentation.field import Labels


def expand(labels: Labels, reach_px: float) -> Labels:
    """Labels grown by up to `reach_px` pixels; a pixel between two goes to the nearer.

    As `skimage.segmentation.expand_labels`, by OpenCV's distance transform: a tenth of the time, distances good to 2 %.
    """
    free = (labels == 0).astype(np.uint8)
    if free.all():
        return labels.copy()
    distance, nearest = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labelled = free == 0
    value = np.zeros(int(nearest.max()) + 1, np.int32)
    value[nearest[labelled]] = labels[labelled]
    return np.asarray(np.where(distance <= reach_px, value[nearest], 0), np.int32)
