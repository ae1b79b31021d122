"""Neurites of a field: their graph, which soma each piece belongs to, and what is measured on them.

Strategy. The mask (somas already removed) is thinned, and side branches that thinning made are
taken off whole. Where a skeleton comes nearer to a soma than the neurite is wide, it is rooted
there. Every pixel then belongs to the soma that is nearest along the skeleton (Dijkstra from all
somas at once), and the shortest paths form trees, one per soma, on which primary neurites and the
longest process are read. Two neurites that cross are one piece of skeleton: where a piece touches
two somas, the image does not tell to which of them it belongs beyond the crossing. The share of
such length is `attribution_conflict_fraction`; above `max_conflict` the columns of single neurons
are withheld, and those of the field stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import pydantic
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra

from phenotypes.cells.morphology import perimeters
from phenotypes.cells.skeleton import (
    CORNER,
    Index,
    Mask,
    Real,
    SkeletonGraph,
    prune,
    skeleton_graph,
    skeletonize,
)
from phenotypes.columns.dictionary import SHOLL_UM
from segmentation.field import Labels, Pixels
from segmentation.filters.labels import nearest
from segmentation.settings import STRICT, Positive, Share, meaning

# A skeleton that ends within this many pixels of where its neurite would meet the soma meets it.
_ROOT_SLACK_PX = 1.5
# From the skeleton to the nearest pixel outside it is this much further than to the rim, on average
# over lines of every direction, width and place between pixels; a skeleton rarely runs along the
# very middle (tests hold the bias).
_TO_RIM_PX = 0.2
# A bead is wider than its branch by at least so many pixels: less cannot be told from the width's
# own error.
_BEAD_LEAST_PX = 1.5


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class AttributionSettings:
    """When neurites cross too often to attribute them to somas."""

    max_conflict: Annotated[
        Share,
        meaning(
            "Share of the neurite length in pieces touching several somas above which columns of"
            " single neurons are withheld."
        ),
    ] = 0.3


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class NeuriteSettings(AttributionSettings):
    """What is a neurite, a primary neurite, a bead and a fragment."""

    min_branch_um: Annotated[
        Positive, meaning("Side branches of neurites shorter than this are artefacts of thinning.")
    ] = 5.0
    min_primary_um: Annotated[
        Positive, meaning("Processes shorter than this are not primary neurites.")
    ] = 10.0
    primary_ring_um: Annotated[
        Positive,
        meaning(
            "Distance from the soma, along the neurite, of the ring that a primary neurite crosses."
        ),
    ] = 3.0
    bead_length_um: Annotated[
        Positive, meaning("A swelling of a neurite at least this long is not a bead.")
    ] = 5.0
    bead_width: Annotated[
        float,
        pydantic.Field(gt=1),
        meaning("A bead is wider than this multiple of its branch's median width."),
    ] = 1.5
    fragment_area_um2: Annotated[
        Positive, meaning("Neurite pieces smaller than this, if round, are fragments.")
    ] = 50.0
    fragment_circularity: Annotated[
        Share, meaning("Fragments are at least this round (4π area / perimeter²).")
    ] = 0.2


@dataclass(frozen=True)
class NeuriteGraph:
    """The pruned skeleton of a field with what each of its pixels belongs to.

    All arrays have one entry per skeleton pixel. `soma`: label of the soma that it belongs to, 0
    for none. `distance_px`: to that soma's outline along the skeleton, NaN for none. `length_px`:
    its share of the length; the gap between outline and skeleton counts with the pixel that ends
    there. `radius_px`: half the local width. `root`: pixels that touch a soma. `conflict`: pixels
    of pieces that touch several somas. `parent`: the next pixel towards the soma, -1 at its
    outline.
    """

    graph: SkeletonGraph
    soma: Index
    distance_px: Real
    length_px: Real
    radius_px: Real
    root: Mask
    conflict: Mask
    parent: Index

    @property
    def conflict_fraction(self) -> float:
        """Share of the length in pieces that touch two somas or more; 0 without neurites."""
        total = float(self.length_px.sum())
        return float(self.length_px[self.conflict].sum()) / total if total > 0 else 0.0


def trace(
    mask: Mask, somas: Labels | None, pixel_size_um: float, settings: NeuriteSettings | None = None
) -> NeuriteGraph:
    """The neurite graph of a (Y, X) mask from which somas are removed.

    Without somas, neurites are not attributed.
    """
    settings = settings or NeuriteSettings()
    radius = (
        cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        - _TO_RIM_PX
    )
    rooted: Labels | None = None
    gap = None
    if somas is not None and somas.any():
        to_centre, soma_of = nearest(somas)
        # to the soma's outline, half a pixel nearer than its outermost pixel's centre
        gap = np.maximum(to_centre - 0.5, 0)
        rooted = np.where(gap <= radius + _ROOT_SLACK_PX, soma_of, 0).astype(np.int32)
    graph = skeleton_graph(prune(skeletonize(mask), settings.min_branch_um / pixel_size_um, rooted))
    pixels = graph.y, graph.x
    n = len(graph)
    half_width = radius[pixels].astype(float)
    if gap is None or rooted is None:
        none = np.zeros(n, bool)
        return NeuriteGraph(
            graph,
            np.zeros(n, np.int64),
            np.full(n, np.nan),
            graph.pixel_px,
            half_width,
            none,
            none,
            np.full(n, -1),
        )
    label, away = rooted[pixels].astype(np.int64), gap[pixels].astype(float)
    root = label > 0
    soma, distance, parent = _attribute(graph, root, label, away)
    ends = root & (graph.degree <= 1)
    length = graph.pixel_px + np.where(ends, away, 0.0)
    return NeuriteGraph(
        graph, soma, distance, length, half_width, root, _conflicts(graph, root, label), parent
    )


def _attribute(
    graph: SkeletonGraph, root: Mask, label: Index, away: Real
) -> tuple[Index, Real, Index]:
    """(soma, distance, parent) of each pixel, by Dijkstra from all somas at once.

    Each soma is a node joined to its root pixels.
    """
    n = len(graph)
    roots = np.flatnonzero(root)
    if not len(roots):
        return np.zeros(n, np.int64), np.full(n, np.nan), np.full(n, -1)
    names, node = np.unique(label[roots], return_inverse=True)
    inner = graph.matrix().tocoo()
    rows = np.concatenate([inner.row, n + node])
    columns = np.concatenate([inner.col, roots])
    # A root in contact with its soma is half a pixel from it: a link of length 0 would not be
    # a link.
    weights = np.concatenate([inner.data, np.maximum(away[roots], 0.5)])
    whole = coo_array((weights, (rows, columns)), shape=(n + len(names), n + len(names))).tocsr()
    distance, before, source = dijkstra(
        whole,
        directed=True,
        indices=n + np.arange(len(names)),
        return_predecessors=True,
        min_only=True,
    )
    distance, before, source = distance[:n], before[:n], source[:n]
    reached = np.isfinite(distance)
    soma = np.zeros(n, np.int64)
    soma[reached] = names[source[reached] - n]
    parent = np.where(reached & (before < n), before, -1).astype(np.int64)
    corners = along_path(parent, graph.corner.astype(float))
    return soma, np.where(reached, distance + CORNER * corners, np.nan), parent


def along_path(parent: Index, value: Real) -> Real:
    """Sum of `value` over each node and its ancestors, by pointer doubling.

    `parent` is -1 at the top.
    """
    n = len(parent)
    up = np.append(np.where(parent < 0, n, parent), n)
    total = np.append(value, 0.0)
    while (up != n).any():
        total = total + total[up]
        up = up[up]
    return total[:n]


def _ancestors(parent: Index, marked: Mask) -> Index:
    """The marked ancestor (or self) of each node; -1 without one.

    A marked node must not be an ancestor of another marked node.
    """
    n = len(parent)
    up = np.append(np.where(marked, np.arange(n), np.where(parent < 0, n, parent)), n)
    while True:
        further = up[up]
        if (further == up).all():
            break
        up = further
    return np.where(up[:n] == n, -1, up[:n])


def _conflicts(graph: SkeletonGraph, root: Mask, label: Index) -> Mask:
    touching = np.unique(np.column_stack([graph.piece[root], label[root]]), axis=0)
    somas = np.bincount(touching[:, 0], minlength=int(graph.piece.max(initial=-1)) + 1)
    return np.asarray(somas[graph.piece] >= 2, bool)


def per_soma(
    traced: NeuriteGraph,
    somas: Labels,
    n: int,
    pixel_size_um: float,
    settings: NeuriteSettings | None = None,
) -> dict[str, Real]:
    """Columns of the cell table for labels 1…n; zeros for somas without neurites.

    `neurite_length_um`, `primary_neurites`, `neurite_tips`, `branch_points`, `max_process_um`,
    `mean_process_um` (NaN without primary neurite), and Sholl crossings at each radius of SHOLL_UM
    from the soma's centre.
    """
    settings = settings or NeuriteSettings()
    graph, owner, px = traced.graph, traced.soma, pixel_size_um

    def count(of: Index, weight: Real | None = None) -> Real:
        return np.asarray(np.bincount(of, weight, n + 1)[1 : n + 1], float)

    length = count(owner, traced.length_px) * px
    ring = settings.primary_ring_um / px
    beyond = np.nan_to_num(traced.distance_px, nan=-1.0) >= ring
    before = np.where(
        traced.parent < 0, 0.0, np.nan_to_num(traced.distance_px, nan=0.0)[traced.parent]
    )
    crossing = beyond & (before < ring)
    trunk = _ancestors(traced.parent, crossing)
    reach = np.zeros(len(graph))
    np.maximum.at(reach, trunk[trunk >= 0], traced.distance_px[trunk >= 0])
    primary = crossing & (reach * px >= settings.min_primary_um)
    primaries = count(owner[primary])
    longest = np.zeros(n + 1)
    np.maximum.at(longest, owner[primary], reach[primary] * px)
    tips = count(owner[(graph.degree <= 1) & ~traced.root])
    points, number = graph.branch_points(traced.radius_px)
    # A branch point goes to the soma of its first pixel, so that each counts once.
    joints = np.flatnonzero(points >= 0)
    branching = (
        count(owner[joints[np.unique(points[joints], return_index=True)[1]]])
        if number
        else np.zeros(n)
    )
    columns = {
        "neurite_length_um": length,
        "primary_neurites": primaries,
        "neurite_tips": tips,
        "branch_points": branching,
        "max_process_um": longest[1:],
        "mean_process_um": np.divide(
            length, primaries, out=np.full(n, np.nan), where=primaries > 0
        ),
    }
    return columns | _sholl(traced, somas, n, px)


def _sholl(traced: NeuriteGraph, somas: Labels, n: int, px: float) -> dict[str, Real]:
    """Crossings of circles around each soma's centre of mass by its own neurites.

    Sholl, J. Anat. 87:387, 1953.
    """
    y, x = np.nonzero(somas)
    label = somas[y, x]
    pixels = np.maximum(np.bincount(label, minlength=n + 1), 1)
    cy, cx = np.bincount(label, y, n + 1) / pixels, np.bincount(label, x, n + 1) / pixels
    graph, owner = traced.graph, traced.soma
    away = np.hypot(graph.y - cy[owner], graph.x - cx[owner]) * px
    same_soma = (owner[graph.first] == owner[graph.second]) & (owner[graph.first] > 0)
    of = owner[graph.first[same_soma]]
    a, b = away[graph.first[same_soma]], away[graph.second[same_soma]]
    low, high = np.minimum(a, b), np.maximum(a, b)
    return {
        f"sholl_{r}um": np.bincount(of[(low < r) & (high >= r)], minlength=n + 1)[1:].astype(float)
        for r in SHOLL_UM
    }


def of_field(
    traced: NeuriteGraph,
    mask: Mask,
    pixel_size_um: float,
    settings: NeuriteSettings | None = None,
    owned: Mask | None = None,
) -> dict[str, float | int | None]:
    """Columns of the field table. Ratios without denominator are None.

    Lengths, areas and counts are those on the pixels (Y, X) that are `owned`, all if not given:
    what covers several pixels (branch point, bead, fragment) counts where its first one in reading
    order lies. Shares and means describe the whole image.
    """
    settings = settings or NeuriteSettings()
    graph, px = traced.graph, pixel_size_um
    counts = np.ones(len(graph), bool) if owned is None else owned[graph.y, graph.x]
    length_px = traced.length_px if owned is None else np.where(counts, traced.length_px, 0.0)
    length = float(length_px.sum()) * px
    area = mask if owned is None else mask & owned
    branches = graph.branches
    width, weight = _branch_widths(traced)
    straight = np.isfinite(branches.chord_px) & (
        branches.length_px * px >= settings.primary_ring_um
    )
    tips = (graph.degree <= 1) & ~traced.root & counts
    row: dict[str, float | int | None] = {
        "neurite_length_um": length,
        "neurite_area_um2": float(area.sum()) * px**2,
        "neurite_unattributed_um": float(length_px[traced.soma == 0].sum()) * px,
        "attribution_conflict_fraction": traced.conflict_fraction if length > 0 else None,
        "neurite_branch_points": _branch_points(traced, counts),
        "neurite_tips": int(tips.sum()),
        "neurite_beads": _beads(traced, px, settings, counts),
        "neurite_fragment_um2": _fragments(mask, px, settings, owned),
        "neurite_width_um": _weighted_median(width, weight) * px if len(width) else None,
    }
    if straight.any():
        along = branches.length_px[straight]
        # Digital chords may exceed the estimated length by a percent; the ratio is at most 1.
        ratio = np.minimum(branches.chord_px[straight] / along, 1.0)
        row["neurite_straightness"] = float((ratio * along).sum() / along.sum())
    return row


def _branch_widths(traced: NeuriteGraph) -> tuple[Real, Real]:
    """Median width in pixels of each branch, and its length."""
    graph = traced.graph
    in_branch = graph.branch >= 0
    branch, width = graph.branch[in_branch], 2 * traced.radius_px[in_branch]
    order = np.lexsort((width, branch))
    count = np.bincount(branch)
    start = np.cumsum(count) - count
    ordered = width[order]
    median = (
        (ordered[start + (count - 1) // 2] + ordered[start + count // 2]) / 2
        if len(count)
        else np.zeros(0)
    )
    return median, graph.branches.length_px


def _weighted_median(values: Real, weights: Real) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _branch_points(traced: NeuriteGraph, counts: Mask) -> int:
    """Number of branch points of which the first pixel counts."""
    points, _ = traced.graph.branch_points(traced.radius_px)
    joints = np.flatnonzero(points >= 0)
    first = joints[np.unique(points[joints], return_index=True)[1]]
    return int(counts[first].sum())


def _beads(traced: NeuriteGraph, px: float, settings: NeuriteSettings, counts: Mask) -> int:
    """Number of short swellings: connected stretches that are wide for their branch.

    Swellings at junctions, somas and free ends do not count, and none of which the first pixel does
    not.
    """
    graph = traced.graph
    if not len(graph):
        return 0
    median, _ = _branch_widths(traced)
    in_branch = graph.branch >= 0
    width = 2 * traced.radius_px
    usual = np.where(in_branch, median[graph.branch] if len(median) else 0.0, np.inf)
    swollen = in_branch & (width > settings.bead_width * usual) & (width - usual >= _BEAD_LEAST_PX)
    both = swollen[graph.first] & swollen[graph.second]
    n = len(graph)
    links = coo_array(
        (np.ones(int(both.sum())), (graph.first[both], graph.second[both])), shape=(n, n)
    )
    count, stretch = connected_components(links, directed=False)
    length = np.bincount(stretch, traced.length_px, count) * px
    bead = np.bincount(stretch[swollen], minlength=count).astype(bool) & (
        length < settings.bead_length_um
    )
    # Where branches meet, and where a soma begins, neurites are wide without being swollen; a free
    # end is a growth cone, or the round end that a ridge filter gives to any line.
    _, _, junctions = graph.contact
    at_junction = np.zeros(n, bool)
    link = graph.contact[0]
    at_junction[graph.first[link]] = at_junction[graph.second[link]] = True
    at_junction[junctions] = True
    bead[stretch[(at_junction | traced.root | (graph.degree <= 1)) & swollen]] = False
    first = np.unique(stretch, return_index=True)[1]
    return int((bead & counts[first]).sum())


def _fragments(mask: Mask, px: float, settings: NeuriteSettings, owned: Mask | None) -> float:
    """Area in µm² of small round pieces of the mask: remains of neurites that broke up."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    pixels = Pixels(pieces, count - 1)
    area = pixels.count[1:] * px**2
    around = perimeters(pieces, pixels) * px
    circularity = 4 * np.pi * area / np.maximum(around, 1e-9) ** 2
    fragment = (area < settings.fragment_area_um2) & (circularity >= settings.fragment_circularity)
    if owned is not None:
        labels, first = np.unique(pieces, return_index=True)
        fragment &= owned.ravel()[first[labels > 0]]
    return float(area[fragment].sum())


def neurite_length_um(mask: Mask, pixel_size_um: float, min_branch_um: float = 5.0) -> float:
    """Length in µm of all neurites of a (Y, X) mask without somas."""
    return (
        float(
            trace(
                mask, None, pixel_size_um, NeuriteSettings(min_branch_um=min_branch_um)
            ).length_px.sum()
        )
        * pixel_size_um
    )
