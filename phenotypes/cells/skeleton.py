"""Skeletons as graphs: pixels, the links between them, and the branches that they form.

Strategy. A mask is thinned to a one-pixel skeleton. Its pixels are the nodes of a graph whose links
join 8-connected neighbours; a diagonal that an axial neighbour already bridges is not a link, so
that a T of pixels is one junction and not a triangle. Pixels with three links or more are
junctions; those that touch are one branch point. What lies between junctions and tips is a branch.
All of it is arithmetic on arrays of pixels, without a loop over them.

A length is read from the links with weights that are right on average for lines of every direction,

    L = 0.980 · axial links + 1.406 · diagonal links − 0.091 · corners

(Vossepoel & Smeulders, Comput. Graph. Image Process. 20:347, 1982; a corner is a pixel where an
axial link meets a diagonal one.) Counting pixels is wrong by −10 %, counting 1 and √2 by +5 %; the
two-weight estimator 0.948 / 1.340 has no bias on average either, but is 5 % short on every
horizontal or vertical line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

AXIAL, DIAGONAL, CORNER = 0.980, 1.406, -0.091
# A branch that a junction's own removal leaves over is at most this many pixels long.
_STUB_PX = 2.5

Mask = NDArray[np.bool_]
Real = NDArray[np.float64]
Index = NDArray[np.int64]
Labels = NDArray[np.int32]


def skeletonize(mask: Mask) -> Mask:
    """One-pixel skeleton of a (Y, X) mask (Zhang & Suen 1984, as scikit-image does it)."""
    from skimage.morphology import skeletonize as thin

    return np.asarray(thin(mask), bool)


@dataclass(frozen=True)
class Branches:
    """Branches of a skeleton, one entry each.

    `length_px` along the branch up to its junctions; `chord_px` straight between its two ends, NaN
    for a closed loop; `tips`: how many of its ends are free (2, 1 or 0); `contacts`: links into
    junctions.
    """

    length_px: Real
    chord_px: Real
    tips: Index
    contacts: Index


@dataclass(frozen=True)
class SkeletonGraph:
    """A skeleton's pixels and links.

    `y`, `x` (n,): pixels in scan order. `first`, `second` (m,): the two pixels of each link.
    `diagonal` (m,): its kind.
    """

    shape: tuple[int, int]
    y: Index
    x: Index
    first: Index
    second: Index
    diagonal: Mask

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def degree(self) -> Index:
        """Links of each pixel."""
        return np.bincount(self.first, minlength=len(self)) + np.bincount(
            self.second, minlength=len(self)
        )

    @cached_property
    def corner(self) -> Mask:
        """Pixels with exactly two links, an axial and a diagonal one."""
        diagonals = np.bincount(self.first[self.diagonal], minlength=len(self)) + np.bincount(
            self.second[self.diagonal], minlength=len(self)
        )
        return np.asarray((self.degree == 2) & (diagonals == 1), bool)

    @cached_property
    def link_px(self) -> Real:
        """Length of each link, corners not yet taken off."""
        return np.where(self.diagonal, DIAGONAL, AXIAL)

    @cached_property
    def pixel_px(self) -> Real:
        """Each pixel's share of the length: half of its links, and its corner.

        The shares sum to the skeleton's length.
        """
        half = self.link_px / 2
        n = len(self)
        return (
            np.bincount(self.first, half, n)
            + np.bincount(self.second, half, n)
            + CORNER * self.corner
        )

    @property
    def length_px(self) -> float:
        """Length of the whole skeleton in pixels, between the centres of its end pixels."""
        return max(0.0, float(self.pixel_px.sum()))

    @cached_property
    def junction(self) -> Mask:
        """Pixels with three links or more."""
        return np.asarray(self.degree >= 3, bool)

    @cached_property
    def piece(self) -> Index:
        """Number of the connected piece of each pixel, from 0."""
        return self._parts(np.ones(len(self.first), bool))

    @cached_property
    def cluster(self) -> Index:
        """Number of the branch point of each junction pixel, from 0; -1 elsewhere."""
        inner = self.junction[self.first] & self.junction[self.second]
        return self._numbered(self._parts(inner), self.junction)

    @cached_property
    def branch(self) -> Index:
        """Number of the branch of each pixel, from 0; -1 for junction pixels."""
        outer = ~self.junction[self.first] & ~self.junction[self.second]
        return self._numbered(self._parts(outer), ~self.junction)

    @cached_property
    def contact(self) -> tuple[Index, Index, Index]:
        """Links between a branch and a junction: (number of the link, branch, junction pixel)."""
        mixed = np.flatnonzero(self.junction[self.first] != self.junction[self.second])
        a, b = self.first[mixed], self.second[mixed]
        junction_pixel = np.where(self.junction[a], a, b)
        return mixed, self.branch[np.where(self.junction[a], b, a)], junction_pixel

    @cached_property
    def branches(self) -> Branches:
        """Length, chord and ends of every branch."""
        count = int(self.branch.max(initial=-1)) + 1
        link, of, junction_pixel = self.contact
        inside = ~self.junction[self.first] & ~self.junction[self.second]
        length = np.zeros(count)
        length += np.bincount(self.branch[self.first[inside]], self.link_px[inside], count)
        length += np.bincount(of, self.link_px[link], count)
        in_branch = self.branch >= 0
        length = length + CORNER * np.bincount(
            self.branch[in_branch], self.corner[in_branch].astype(float), count
        )
        tip = np.flatnonzero(self.degree <= 1)
        tips = np.bincount(self.branch[tip], 2 - self.degree[tip], count).astype(int)
        # Two ends p and q: |p − q|² = 2 (|p|² + |q|²) − |p + q|².
        ends = np.concatenate([tip, junction_pixel])
        which = np.concatenate([self.branch[tip], of])
        y, x = self.y[ends].astype(float), self.x[ends].astype(float)
        square = (
            2 * np.bincount(which, y * y + x * x, count)
            - np.bincount(which, y, count) ** 2
            - np.bincount(which, x, count) ** 2
        )
        chord = np.where(
            np.bincount(which, minlength=count) == 2, np.sqrt(np.maximum(square, 0)), np.nan
        )
        chord[np.bincount(which, minlength=count) == 1] = 0.0
        return Branches(length, chord, tips, np.bincount(of, minlength=count))

    def branch_points(self, radius_px: Real) -> tuple[Index, int]:
        """(branch point of each junction pixel or -1, number of branch points).

        Junctions nearer than twice the neurite's width are one: thinning parts a crossing in two,
        the farther the acuter it is. `radius_px` (n,) is half the local width.
        """
        count = int(self.cluster.max(initial=-1)) + 1
        if count == 0:
            return self.cluster, 0
        _, of, junction_pixel = self.contact
        reach = np.zeros(len(self.branches.length_px))
        np.maximum.at(reach, of, radius_px[junction_pixel])
        short = (self.branches.contacts == 2) & (self.branches.length_px < 4 * reach)
        joins = short[of]
        order = np.argsort(of[joins], kind="stable")
        pairs = self.cluster[junction_pixel[joins]][order].reshape(-1, 2)
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
        merged, number = connected_components(graph, directed=False)
        return np.where(self.cluster >= 0, number[self.cluster], -1), int(merged)

    def matrix(self) -> csr_array:
        """Symmetric sparse matrix of link lengths in pixels."""
        n = len(self)
        ends = (
            np.concatenate([self.first, self.second]),
            np.concatenate([self.second, self.first]),
        )
        return csr_array((np.tile(self.link_px, 2), ends), shape=(n, n))

    def _parts(self, kept: Mask) -> Index:
        n = len(self)
        graph = coo_array(
            (np.ones(int(kept.sum())), (self.first[kept], self.second[kept])), shape=(n, n)
        )
        return np.asarray(connected_components(graph, directed=False)[1], np.int64)

    @staticmethod
    def _numbered(parts: Index, wanted: Mask) -> Index:
        numbers = np.full(len(parts), -1, np.int64)
        numbers[wanted] = np.unique(parts[wanted], return_inverse=True)[1]
        return numbers


def skeleton_graph(skeleton: Mask) -> SkeletonGraph:
    """The graph of a (Y, X) skeleton."""
    padded = np.pad(skeleton, 1)
    width = padded.shape[1]
    s = padded.ravel()
    pixel = np.flatnonzero(s)
    number = np.full(s.size, -1, np.int32)
    number[pixel] = np.arange(len(pixel), dtype=np.int32)
    right, down = s[pixel + 1], s[pixel + width]
    falling = s[pixel + width + 1] & ~right & ~down
    rising = s[pixel + width - 1] & ~down & ~s[pixel - 1]
    first, second, diagonal = [], [], []
    for linked, step, slanted in (
        (right, 1, False),
        (down, width, False),
        (falling, width + 1, True),
        (rising, width - 1, True),
    ):
        begin = pixel[linked]
        first.append(number[begin])
        second.append(number[begin + step])
        diagonal.append(np.full(len(begin), slanted))
    y, x = np.divmod(pixel, width)
    begins, ends = (np.concatenate(part).astype(np.int64) for part in (first, second))
    return SkeletonGraph(
        (skeleton.shape[0], skeleton.shape[1]), y - 1, x - 1, begins, ends, np.concatenate(diagonal)
    )


def prune(skeleton: Mask, min_length_px: float, rooted: Labels | None = None) -> Mask:
    """Remove whole side branches shorter than `min_length_px`: from a free tip to a junction.

    Branches between two junctions and pieces without junction stay, however short. So does a branch
    that ends where `rooted` (Y, X) holds the label of a soma: of several that one junction sends to
    one soma (thinning forks where a neurite is cut off bluntly) the longest. Where a neurite would
    lose its free end with its side branches, the longest of them stays. The pixels that a removed
    branch leaves are not pruned again, so a long neurite is not shortened step by step.
    """
    for least in (min_length_px, min(_STUB_PX, min_length_px)):
        graph = skeleton_graph(skeleton)
        if not graph.junction.any():
            return skeleton
        gone = _side_branches(graph, least, rooted)
        if not gone.any():
            continue
        keep = np.ones(len(graph), bool)
        side = graph.branch >= 0
        keep[side] = ~gone[graph.branch[side]]
        skeleton = np.zeros_like(skeleton)
        skeleton[graph.y[keep], graph.x[keep]] = True
    return skeleton


def _side_branches(graph: SkeletonGraph, least: float, rooted: Labels | None) -> Mask:
    branches = graph.branches
    side = (branches.tips == 1) & (branches.contacts == 1) & (branches.length_px < least)
    _, of, junction_pixel = graph.contact
    cluster = graph.cluster[junction_pixel]
    if rooted is not None:
        soma = np.zeros(len(side), np.int64)
        np.maximum.at(
            soma, graph.branch[graph.branch >= 0], rooted[graph.y, graph.x][graph.branch >= 0]
        )
        short = np.flatnonzero(side[of] & (soma[of] > 0))
        order = short[np.lexsort((-branches.length_px[of[short]], soma[of[short]], cluster[short]))]
        pair = np.column_stack([cluster[order], soma[of[order]]])
        longest = (
            np.append(True, (pair[1:] != pair[:-1]).any(axis=1))
            if len(order)
            else np.zeros(0, bool)
        )
        side[of[order[longest]]] = False
    count = int(graph.cluster.max()) + 1
    staying = np.bincount(cluster, ~side[of], count)
    # A junction that keeps fewer than two arms keeps the longest of its short ones to make up two.
    short = np.flatnonzero(side[of])
    order = short[np.lexsort((-branches.length_px[of[short]], cluster[short]))]
    rank = np.arange(len(order)) - np.searchsorted(cluster[order], cluster[order])
    side[of[order[rank < 2 - staying[cluster[order]]]]] = False
    return np.asarray(side, bool)
