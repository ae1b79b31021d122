"""From flows to labels: pixels walk along the flow, and those that meet are one object.

The idea is Cellpose's (Stringer et al., Nat. Methods 18:100, 2021). It is written anew here, on the
device that holds the flows, because importing cellpose takes a worker longer than labelling its
first field.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segmentation.field import Labels, Mask
from segmentation.filters.labels import expand

Flows = NDArray[np.floating[Any]]

# The training target is a unit vector times this.
FLOW_SCALE = 5.0
# Half-resolution steps of a pixel: 65 µm, further than from the rim of any soma to its centre.
STEPS = 100
# Sinks nearer than this many pixels (2 µm) are one; fewer pixels than _LEAST that meet are noise.
_REACH = 3
_LEAST = 8.0


def follow(
    flows: Flows, inside: Mask, device: str = "cpu", steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of every inside pixel, both (n, 2) y, x; ends are rounded to pixels."""
    start = torch.from_numpy(np.argwhere(inside)).to(device)
    if not len(start):
        return np.zeros((0, 2), int), np.zeros((0, 2), int)
    height, width = inside.shape
    # grid_sample's coordinates run from -1 to 1, x first.
    scale = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=device)
    field = torch.from_numpy(np.where(inside, flows, 0).astype(np.float32)).to(device)[[1, 0]]
    field = (field / FLOW_SCALE * scale[:, None, None])[None]
    position: Tensor = (start[:, [1, 0]].float() * scale - 1)[None, None]
    for _ in range(steps):
        move = torch.nn.functional.grid_sample(
            field, position, align_corners=True, padding_mode="border"
        )
        position = (position + move.permute(0, 2, 3, 1)).clamp_(-1, 1)
    end = ((position[0, 0] + 1) / scale).round().long()[:, [1, 0]]
    return start.cpu().numpy(), end.cpu().numpy()


def objects(flows: Flows, inside: Mask, device: str = "cpu") -> Labels:
    """(2, Y, X) flows (y, x) and the inside mask ► labels 1…n, in scan order of their sinks."""
    start, end = follow(flows, inside, device)
    labels = np.zeros(inside.shape, np.int32)
    if not len(start):
        return labels
    crowd = (
        np.bincount(end[:, 0] * inside.shape[1] + end[:, 1], minlength=inside.size)
        .reshape(inside.shape)
        .astype(np.float32)
    )
    crowd = cv2.boxFilter(crowd, -1, (3, 3), normalize=False)
    # Ties in a crowd's plateau are broken by the wider view; what is still equal touches and is one
    # component.
    crowd += np.float32(1e-3) * cv2.GaussianBlur(crowd, (0, 0), 2.0)
    window = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    peaks = (crowd >= cv2.dilate(crowd, window)) & (crowd >= _LEAST)
    _, seeds = cv2.connectedComponents(peaks.astype(np.uint8), connectivity=8)
    basins = expand(np.asarray(seeds, np.int32), _REACH + 2)
    labels[start[:, 0], start[:, 1]] = basins[end[:, 0], end[:, 1]]
    return labels
