"""How pixels and labels are shown: the colour of each channel's light, and of outlines.

Apart from the report, so that the first tile after a start waits for nothing that fits curves.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Channel ► colour of its light in the thumbnails, BGR.
LIGHT = {
    "dna": (1.0, 0.35, 0.2),
    "neurite": (0.1, 0.9, 0.1),
    "aggregate": (0.25, 0.15, 1.0),
    "identity": (0.0, 0.8, 0.8),
    "granule": (0.9, 0.3, 0.7),
    "envelope": (0.9, 0.8, 0.4),
    "death": (0.8, 0.8, 0.8),
}
OUTLINES = {
    "nuclei": (255, 255, 255),
    "somas": (0, 215, 255),
    "neurites": (255, 0, 255),
    "puncta": (170, 200, 0),
    "granules": (255, 160, 255),
}


def outlines(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Inner boundary pixels of all labels."""
    image = labels.astype(np.float32)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    return np.asarray(
        (labels > 0) & ((cv2.erode(image, cross) != image) | (cv2.dilate(image, cross) != image))
    )
