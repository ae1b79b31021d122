"""Neurites of a field: their graph, which soma each piece belongs to, and what is measured on them.

Strategy. The mask (somas already removed) is thinned, and side branches that thinning made are
taken off whole. Where a skeleton comes nearer to a soma than the neurite is wide, it is rooted
there. Every pixel then belongs to the soma that is nearest along the skeleton (Dijkstra from all
somas at once), and the shortest paths form trees, one a soma, on which primary neurites and the
longest process are read. Two neurites that cross are one piece of skeleton: where a piece touches
two somas, nobody can say from the picture whose it is beyond the crossing. The share of such length
is `attribution_conflict_fraction`, and above `max_conflict` what is said of single neurons is
withheld; what is said of the field stays.
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

# Where a skeleton ends within this many pixels of where its neurite would meet the soma, it meets
# it.
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
    """Where neurites cross too often to say whose they are."""

    max_conflict: Annotated[
        Share,
        meaning(
            "Share of the neurite length in pieces touching several somas above which what is said"
            " of single neurons is withheld."
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

    All arrays have one entry a skeleton pixel. `soma`: label of the soma that it belongs to, 0 for
    none. `distance_px`: to that soma's outline along the skeleton, NaN for none. `length_px`: its
    share of the length; the gap between outline and skeleton counts with the pixel that ends there.
    `radius_px`: half the local width. `root`: pixels that touch a soma. `conflict`: pixels of
    pieces that touch several somas. `parent`: the next pixel towards the soma, -1 at its outline.
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
        """Share of the length that lies in pieces touching two somas or more; 0 where there is no
        neurite.
        """
        total = float(self.length_px.sum())
        return float(self.length_px[self.conflict].sum()) / total if total > 0 else 0.0


def trace(
    mask: Mask, somas: Labels | None, pixel_size_um: float, settings: NeuriteSettings | None = None
) -> NeuriteGraph:
    """The neurite graph of a (Y, X) mask from which somas are removed.

    Without somas nothing is attributed.
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
    at = graph.y, graph.x
    n = len(graph)
    own = radius[at].astype(float)
    if gap is None or rooted is None:
        none = np.zeros(n, bool)
        return NeuriteGraph(
            graph,
            np.zeros(n, np.int64),
            np.full(n, np.nan),
            graph.pixel_px,
            own,
            none,
            none,
            np.full(n, -1),
        )
    label, away = rooted[at].astype(np.int64), gap[at].astype(float)
    root = label > 0
    soma, distance, parent = _attribute(graph, root, label, away)
    ends = root & (graph.degree <= 1)
    length = graph.pixel_px + np.where(ends, away, 0.0)
    return NeuriteGraph(
        graph, soma, distance, length, own, root, _conflicts(graph, root, label), parent
    )


def _attribute(
    graph: SkeletonGraph, root: Mask, label: Index, away: Real
) -> tuple[Index, Real, Index]:
    """(soma, distance, parent) of each pixel: Dijkstra from all somas, each a node joined to its
    root pixels.
    """
    n = len(graph)
    roots = np.flatnonzero(root)
    if not len(roots):
        return np.zeros(n, np.int64), np.full(n, np.nan), np.full(n, -1)
    names, node = np.unique(label[roots], return_inverse=True)
    inner = graph.matrix().tocoo()
    rows = np.concatenate([inner.row, n + node])
    columns = np.concatenate([inner.col, roots])
    # A root in contact with its soma is half a pixel from it: a link of no length would be no link.
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
    """The marked ancestor (or self) of each node, -1 where there is none; marked nodes are no
    ancestors of each other.
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
    # A branch point is its first pixel's, so that each counts once.
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
    """Crossings of circles around each soma's centre of mass (Sholl, J.

    Anat. 87:387, 1953) by its own neurites.
    """
    y, x = np.nonzero(somas)
    label = somas[y, x]
    pixels = np.maximum(np.bincount(label, minlength=n + 1), 1)
    cy, cx = np.bincount(label, y, n + 1) / pixels, np.bincount(label, x, n + 1) / pixels
    graph, owner = traced.graph, traced.soma
    away = np.hypot(graph.y - cy[owner], graph.x - cx[owner]) * px
    own = (owner[graph.first] == owner[graph.second]) & (owner[graph.first] > 0)
    of = owner[graph.first[own]]
    a, b = away[graph.first[own]], away[graph.second[own]]
    low, high = np.minimum(a, b), np.maximum(a, b)
    return {
        f"sholl_{r}um": np.bincount(of[(low < r) & (high >= r)], minlength=n + 1)[1:].astype(float)
        for r in SHOLL_UM
    }


def of_field(
    traced: NeuriteGraph, mask: Mask, pixel_size_um: float, settings: NeuriteSettings | None = None
) -> dict[str, float | int | None]:
    """Columns of the field table. Ratios without denominator are None."""
    settings = settings or NeuriteSettings()
    graph, px = traced.graph, pixel_size_um
    length = float(traced.length_px.sum()) * px
    branches = graph.branches
    width, weight = _branch_widths(traced)
    straight = np.isfinite(branches.chord_px) & (
        branches.length_px * px >= settings.primary_ring_um
    )
    tips = (graph.degree <= 1) & ~traced.root
    row: dict[str, float | int | None] = {
        "neurite_length_um": length,
        "neurite_area_um2": float(mask.sum()) * px**2,
        "neurite_unattributed_um": float(traced.length_px[traced.soma == 0].sum()) * px,
        "attribution_conflict_fraction": traced.conflict_fraction if length > 0 else None,
        "neurite_branch_points": graph.branch_points(traced.radius_px)[1],
        "neurite_tips": int(tips.sum()),
        "neurite_beads": _beads(traced, px, settings),
        "neurite_fragment_um2": _fragments(mask, px, settings),
        "neurite_width_um": _weighted_median(width, weight) * px if len(width) else None,
    }
    if straight.any():
        along = branches.length_px[straight]
        # Digital chords may exceed the estimated length by a percent; nothing is straighter than
        # straight.
        ratio = np.minimum(branches.chord_px[straight] / along, 1.0)
        row["neurite_straightness"] = float((ratio * along).sum() / along.sum())
    return row


def _branch_widths(traced: NeuriteGraph) -> tuple[Real, Real]:
    """Median width in pixels of each branch, and its length."""
    graph = traced.graph
    own = graph.branch >= 0
    branch, width = graph.branch[own], 2 * traced.radius_px[own]
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


def _beads(traced: NeuriteGraph, px: float, settings: NeuriteSettings) -> int:
    """Short swellings: connected stretches of a branch that are wide for it. Those at junctions and
    somas are none.
    """
    graph = traced.graph
    if not len(graph):
        return 0
    median, _ = _branch_widths(traced)
    own = graph.branch >= 0
    width = 2 * traced.radius_px
    usual = np.where(own, median[graph.branch] if len(median) else 0.0, np.inf)
    wide = own & (width > settings.bead_width * usual) & (width - usual >= _BEAD_LEAST_PX)
    both = wide[graph.first] & wide[graph.second]
    n = len(graph)
    links = coo_array(
        (np.ones(int(both.sum())), (graph.first[both], graph.second[both])), shape=(n, n)
    )
    count, stretch = connected_components(links, directed=False)
    length = np.bincount(stretch, traced.length_px, count) * px
    bead = np.bincount(stretch[wide], minlength=count).astype(bool) & (
        length < settings.bead_length_um
    )
    # Where branches meet, and where a soma begins, neurites are wide without being swollen.
    _, _, junctions = graph.contact
    beside = np.zeros(n, bool)
    link = graph.contact[0]
    beside[graph.first[link]] = beside[graph.second[link]] = True
    beside[junctions] = True
    bead[stretch[(beside | traced.root) & wide]] = False
    return int(bead.sum())


def _fragments(mask: Mask, px: float, settings: NeuriteSettings) -> float:
    """Area in µm² of pieces of the mask that are small and round: what is left of neurites that
    broke up.
    """
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    pixels = Pixels(pieces, count - 1)
    area = pixels.count[1:] * px**2
    around = perimeters(pieces, pixels) * px
    circularity = 4 * np.pi * area / np.maximum(around, 1e-9) ** 2
    return float(
        area[
            (area < settings.fragment_area_um2) & (circularity >= settings.fragment_circularity)
        ].sum()
    )


def neurite_length_um(mask: Mask, pixel_size_um: float, min_branch_um: float = 5.0) -> float:
    """Length in µm of all neurites of a (Y, X) mask, no somas given."""
    return (
        float(
            trace(
                mask, None, pixel_size_um, NeuriteSettings(min_branch_um=min_branch_um)
            ).length_px.sum()
        )
        * pixel_size_um
    )
