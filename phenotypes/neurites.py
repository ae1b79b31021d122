"""Neurite length from a mask.

Strategy. The mask is thinned to a one-pixel skeleton; side branches shorter than the protocol's minimum are removed as
whole branches (thinning a ragged outline makes them; eroding end points instead would shorten every true tip). The length
is then read from the links between neighbouring skeleton pixels with weights that are right on average for lines of
every direction:

    L = 0.980 · axial links + 1.406 · diagonal links − 0.091 · corners

(Vossepoel & Smeulders, Comput. Graph. Image Process. 20:347, 1982; a corner is a pixel where an axial link meets a
diagonal one.) Counting pixels is wrong by −10 %, counting 1 and √2 by +5 %; the two-weight estimator 0.948 / 1.340 has no
bias on average either, but is 5 % short on every horizontal or vertical line.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

AXIAL, DIAGONAL, CORNER = 0.980, 1.406, -0.091

_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
_CROSS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8)

Mask = NDArray[np.bool_]


def skeletonize(mask: Mask) -> Mask:
    """One-pixel skeleton of a (Y, X) mask (Zhang & Suen 1984, as scikit-image does it)."""
    from skimage.morphology import skeletonize as thin

    return np.asarray(thin(mask), bool)


def links(skeleton: Mask) -> tuple[int, int, int]:
    """(axial links, diagonal links, corners) of a skeleton.

    A diagonal between two pixels that an axial neighbour already joins is no link: it would be counted twice around every
    corner.
    """
    s = skeleton
    right, down = s[:, :-1] & s[:, 1:], s[:-1] & s[1:]
    falling = s[:-1, :-1] & s[1:, 1:] & ~s[1:, :-1] & ~s[:-1, 1:]
    rising = s[1:, :-1] & s[:-1, 1:] & ~s[:-1, :-1] & ~s[1:, 1:]
    axial = np.zeros(s.shape, np.uint8)
    diagonal = np.zeros(s.shape, np.uint8)
    axial[:, :-1] += right
    axial[:, 1:] += right
    axial[:-1] += down
    axial[1:] += down
    diagonal[:-1, :-1] += falling
    diagonal[1:, 1:] += falling
    diagonal[1:, :-1] += rising
    diagonal[:-1, 1:] += rising
    corners = int(((axial == 1) & (diagonal == 1)).sum())
    return int(right.sum() + down.sum()), int(falling.sum() + rising.sum()), corners


def skeleton_length_px(skeleton: Mask) -> float:
    """Length of a skeleton in pixels, between the centres of its end pixels."""
    axial, diagonal, corners = links(skeleton)
    return max(0.0, AXIAL * axial + DIAGONAL * diagonal + CORNER * corners)


def prune(skeleton: Mask, min_length_px: float) -> Mask:
    """Remove whole side branches shorter than `min_length_px`: from a tip to a junction.

    Branches between two junctions and pieces without junction stay, however short. One pass: what a removed branch leaves
    is not looked at again, so a long neurite is never eaten from its end.
    """
    s = skeleton.astype(np.uint8)
    neighbours = cv2.filter2D(s, -1, _NEIGHBOURS, borderType=cv2.BORDER_CONSTANT)
    junction = (s > 0) & (neighbours >= 3)
    if not junction.any():
        return skeleton
    near_junction = cv2.dilate(junction.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    branches = ((s > 0) & ~junction).astype(np.uint8)
    count, labels = cv2.connectedComponents(branches, connectivity=8)
    size = np.bincount(labels.ravel(), minlength=count)
    tips = np.bincount(labels[(neighbours == 1) & (s > 0)].ravel(), minlength=count)
    touches = np.bincount(labels[near_junction].ravel(), minlength=count)
    # A diagonal step is longer than a pixel; 1.1 is the mean step of a line of random direction.
    drop = (tips == 1) & (touches > 0) & (size * 1.1 < min_length_px)
    drop[0] = False
    pruned = skeleton & ~drop[labels]
    # The stub of a junction that lost its branch may stand out by one pixel; thinning again takes it away.
    return skeletonize(pruned)


def neurite_length_um(mask: Mask, pixel_size_um: float, min_branch_um: float = 5.0) -> float:
    """Length in µm of all neurites of a (Y, X) mask from which somas are already removed."""
    if not mask.any():
        return 0.0
    skeleton = prune(skeletonize(mask), min_branch_um / pixel_size_um)
    return skeleton_length_px(skeleton) * pixel_size_um
