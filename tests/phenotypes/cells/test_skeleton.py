"""Length against answers in closed form, branches against published skeletons."""

from __future__ import annotations

import numpy as np
import pytest

from phenotypes.cells.neurites import neurite_length_um
from phenotypes.cells.skeleton import prune, skeleton_graph, skeletonize

ANGLES = np.arange(0, 91)


def skeleton_length_px(image):
    return skeleton_graph(image).length_px


def links(image):
    """(axial links, diagonal links, corners)."""
    graph = skeleton_graph(image)
    return int((~graph.diagonal).sum()), int(graph.diagonal.sum()), int(graph.corner.sum())


def published(reference, name):
    return np.loadtxt(reference / "skeleton" / "arrays" / f"{name}.txt", ndmin=2)


def digital_line(angle, length=200):
    """Pixels of a straight line, one a column (or row) as digitisation makes it, and its true
    length.
    """
    dx, dy = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    steps = np.arange(int(length * max(dx, dy)) + 1)
    image = np.zeros((260, 260), bool)
    image[
        np.round(20 + steps * dy / max(dx, dy)).astype(int),
        np.round(20 + steps * dx / max(dx, dy)).astype(int),
    ] = True
    return image, steps[-1] / max(dx, dy)


def test_straight_lines_of_any_angle_within_the_designs_bounds():
    errors = []
    for angle in ANGLES:
        image, true = digital_line(angle)
        errors.append(skeleton_length_px(image) / true - 1)
    assert abs(np.mean(errors)) <= 0.01
    assert np.abs(errors).max() <= 0.03


def test_why_not_simpler_estimators():
    """The two that the design rejects are as wrong as it says, and the two-weight one fails its
    worst case.
    """
    pixels, chain, two = [], [], []
    for angle in ANGLES:
        image, true = digital_line(angle)
        axial, diagonal, _ = links(image)
        pixels.append((image.sum() - 1) / true - 1)
        chain.append((axial + np.sqrt(2) * diagonal) / true - 1)
        two.append((0.948 * axial + 1.340 * diagonal) / true - 1)
    assert np.mean(pixels) == pytest.approx(-0.098, abs=0.01)
    assert np.mean(chain) == pytest.approx(0.055, abs=0.01)
    assert np.abs(two).max() > 0.05


@pytest.mark.parametrize("radius", [10, 25, 60, 110])
def test_circles(radius):
    t = np.linspace(0, 2 * np.pi, 40 * radius)
    image = np.zeros((260, 260), bool)
    image[
        np.round(130 + radius * np.sin(t)).astype(int),
        np.round(130 + radius * np.cos(t)).astype(int),
    ] = True
    assert skeleton_length_px(skeletonize(image)) == pytest.approx(2 * np.pi * radius, rel=0.01)


@pytest.mark.parametrize(("amplitude", "period"), [(5, 60), (20, 120), (30, 90)])
def test_sines(amplitude, period):
    x = np.linspace(0, 240, 20000)
    y = amplitude * np.sin(2 * np.pi * x / period)
    true = np.hypot(np.diff(x), np.diff(y)).sum()
    image = np.zeros((100, 260), bool)
    image[np.round(50 + y).astype(int), np.round(10 + x).astype(int)] = True
    assert skeleton_length_px(skeletonize(image)) == pytest.approx(true, rel=0.03)


def test_a_corner_is_not_counted_twice():
    image = np.zeros((5, 5), bool)
    image[2, :3] = image[2:, 2] = True
    assert links(image) == (4, 0, 0)


def test_short_side_branches_go_whole_and_long_ones_stay():
    image = np.zeros((60, 120), bool)
    image[30, 10:110] = True
    image[25:30, 40] = True  # 5 px
    image[10:30, 80] = True  # 20 px
    pruned = prune(image, 10)
    assert not pruned[:29, 40].any()
    assert pruned[10:30, 80].all()
    assert pruned[30, 10]
    assert pruned[30, 109]


def test_no_end_is_eaten_where_nothing_branches():
    image = np.zeros((20, 20), bool)
    image[10, 5:9] = True
    assert (prune(image, 10) == image).all()


def test_thick_neurites_in_micrometres():
    image = np.zeros((100, 300), bool)
    image[48:53, 20:280] = True
    # Thinning shortens each end by about half the width.
    assert neurite_length_um(image, 0.5) == pytest.approx(130, rel=0.04)
    assert neurite_length_um(np.zeros((10, 10), bool), 0.5) == 0.0


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("tiny_line", 2.0),
        ("tiny_cycle", 5.6568542495),
        ("loop_with_tails", 2.4142135624 + 12.0710678119 + 2.4142135624 + 3.4142135624),
    ],
)
def test_links_agree_with_published_skeleton_lengths(reference, name, length):
    """In skan's convention (1 and √2) the sum over its branches is the sum over our links."""
    image = published(reference, name) > 0
    axial, diagonal, _ = links(image)
    assert axial + np.sqrt(2) * diagonal == pytest.approx(length)


def test_no_diagonal_shortcut_across_a_junction(reference):
    image = published(reference, "t_junction") > 0
    axial, diagonal, _ = links(image)
    assert diagonal == 0
    assert axial == image.sum() - 1


def chain_length(graph, branch):
    """Length of a branch in the convention of 1 and √2."""
    inside = (graph.branch[graph.first] == branch) | (graph.branch[graph.second] == branch)
    return float(np.where(graph.diagonal[inside], np.sqrt(2), 1.0).sum())


@pytest.mark.parametrize(
    ("name", "ends"),
    # (free ends, links into junctions) of each branch: skan's types 0 (2, 0), 1 (1, 1), 2 (0, 2), 3
    # (0, 0)
    [
        ("tiny_line", [(2, 0)]),
        ("tiny_cycle", [(0, 0)]),
        ("loop_with_tails", [(0, 2), (0, 2), (1, 1), (1, 1)]),
        ("two_skeletons", [(0, 2)] * 4 + [(1, 1)] * 4),
        ("three_arms", [(1, 1)] * 3),
    ],
)
def test_branches_are_those_of_the_published(reference, name, ends):
    graph = skeleton_graph(published(reference, name) > 0)
    assert (
        sorted(zip(graph.branches.tips.tolist(), graph.branches.contacts.tolist(), strict=True))
        == ends
    )


def test_branch_lengths_are_those_of_the_reference(reference):
    graph = skeleton_graph(published(reference, "loop_with_tails") > 0)
    found = sorted(chain_length(graph, b) for b in range(4))
    assert found == pytest.approx(
        sorted([1 + np.sqrt(2), 5 * (1 + np.sqrt(2)), 1 + np.sqrt(2), 2 + np.sqrt(2)])
    )
    two = skeleton_graph(published(reference, "two_skeletons") > 0)
    assert int(two.piece.max()) + 1 == 2
    assert sorted({round(float(c), 6) for c in two.branches.chord_px}) == pytest.approx(
        [np.sqrt(5), np.sqrt(10)], abs=1e-6
    )


def test_pixel_shares_sum_to_the_branches_and_the_whole():
    rng = np.random.default_rng(0)
    image = skeletonize(rng.random((200, 200)) < 0.3)
    graph = skeleton_graph(image)
    inner = graph.junction[graph.first] & graph.junction[graph.second]
    assert graph.branches.length_px.sum() + graph.link_px[inner].sum() == pytest.approx(
        graph.length_px
    )


def test_a_blunt_end_that_forks_keeps_its_length():
    image = np.zeros((40, 120), bool)
    image[20, 10:100] = True
    for i in range(1, 5):
        image[20 - i, 99 + i] = image[20 + i, 99 + i] = True
    pruned = prune(image, 10)
    assert skeleton_graph(pruned).junction.sum() == 0
    assert skeleton_length_px(pruned) == pytest.approx(89 * 0.98 + 4 * 1.406, abs=1.0)


def test_a_root_is_no_side_branch():
    image = np.zeros((60, 60), bool)
    image[30, 10:50] = True
    image[26:30, 20] = True
    rooted = np.zeros(image.shape, np.int32)
    rooted[26, 20] = 7
    assert not prune(image, 10)[26, 20]
    assert prune(image, 10, rooted)[26, 20]
