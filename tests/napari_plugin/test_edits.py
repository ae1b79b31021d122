"""Corrections as arrays: what is done to a cell is done to its nucleus and its soma."""

from __future__ import annotations

import numpy as np
import pytest

from imaging_service.review.field_image import FieldImage
from imaging_service.review.log import UNATTRIBUTED
from napari_plugin.edits import changes, erased, graph_labels, merged, new_label, refuse_cut, split
from tests.messages import says

SHAPE = (12, 36)
# Compartment ► label ► its rows and columns. Cells 1 and 2 are 3 pixels apart, 2 and 3 are 15.
NUCLEI = {1: (2, 6, 2, 6), 2: (2, 6, 8, 12), 3: (2, 6, 26, 30)}
SOMAS = {1: (1, 7, 1, 7), 2: (1, 7, 7, 13), 3: (1, 7, 25, 31)}
DRAWN = {
    "nuclei": NUCLEI,
    "somas": SOMAS,
    "neurites": {1: (8, 9, 0, 36)},
    "puncta": {9: (9, 10, 4, 6)},
}


def labelled(boxes, shape=SHAPE):
    image = np.zeros(shape, np.int32)
    for label, (top, bottom, left, right) in boxes.items():
        image[top:bottom, left:right] = label
    return image


def field(drawn=DRAWN, shape=SHAPE, whole=None, origin=(0, 0), frame=1):
    """A field of which labels of a shape are loaded: all of it, or a window of a `whole`."""
    return FieldImage(
        levels=(np.zeros((1, *(whole or shape)), np.uint16),),
        channels=("dna",),
        roles=("dna",),
        labels={name: labelled(boxes, shape) for name, boxes in drawn.items()},
        pixel_size_um=0.5,
        origin=origin,
        frame=frame,
    )


def boxes_of(image):
    """Label ► its rows and columns, which it must fill."""
    boxes = {}
    for label in np.unique(image[image > 0]):
        y, x = np.nonzero(image == label)
        box = (y.min(), y.max() + 1, x.min(), x.max() + 1)
        assert len(y) == (box[1] - box[0]) * (box[3] - box[2])
        boxes[int(label)] = tuple(map(int, box))
    return boxes


def without(boxes, label):
    return {n: box for n, box in boxes.items() if n != label}


def test_a_nucleus_goes_with_its_soma_and_a_soma_leaves_its_nucleus():
    shown = field()
    painted = erased(shown, "nuclei", 1)
    assert {n: boxes_of(image) for n, image in painted.items()} == {
        "nuclei": without(NUCLEI, 1),
        "somas": without(SOMAS, 1),
    }
    assert {n: boxes_of(i) for n, i in erased(shown, "somas", 1).items()} == {
        "somas": without(SOMAS, 1)
    }
    assert {n: boxes_of(i) for n, i in erased(shown, "puncta", 9).items()} == {"puncta": {}}
    assert boxes_of(shown.labels["nuclei"]) == NUCLEI  # the field is as it was


def test_in_an_assay_without_somas_a_cell_is_its_nucleus():
    shown = field({"nuclei": NUCLEI})
    assert list(erased(shown, "nuclei", 2)) == ["nuclei"]
    assert list(merged(shown, 1, 2)) == ["nuclei"]
    assert list(split(shown, 1, [(2, 2), (5, 5)])) == ["nuclei"]


def test_merged_cells_have_the_number_of_the_first():
    for first, second in ((1, 2), (2, 1)):
        painted = merged(field(), first, second)
        assert list(painted) == ["nuclei", "somas"]
        for name, image in painted.items():
            before = labelled(DRAWN[name])
            assert np.array_equal(image == first, np.isin(before, (1, 2)))
            assert np.array_equal(image == 3, before == 3)


def test_cells_that_are_apart_or_not_there_are_not_merged():
    assert (merged(field(), 2, 3)["nuclei"] == 2).sum() == 32  # 15 pixels are near enough
    for first, second in ((1, 3), (3, 1)):
        with pytest.raises(
            ValueError,
            match=says("edits.cells_too_far_apart", first=first, second=second),
        ):
            merged(field(), first, second)
    aside = field({"nuclei": {1: (0, 2, 0, 2), 2: (18, 20, 0, 2)}}, (20, 4))
    with pytest.raises(ValueError, match=says("edits.cells_far_apart")):
        merged(aside, 1, 2)
    for absent in (0, 9):
        for pair in ((absent, 1), (1, absent)):
            with pytest.raises(ValueError, match=says("edits.cell_to_merge_missing", label=absent)):
                merged(field(), *pair)


def test_each_pixel_of_a_split_cell_goes_to_the_nearest_point():
    painted = split(field(), 1, [(3.0, 2.0), (3.0, 5.0)])
    assert boxes_of(painted["nuclei"]) == {**NUCLEI, 1: (2, 6, 2, 4), 10: (2, 6, 4, 6)}
    assert boxes_of(painted["somas"]) == {**SOMAS, 1: (1, 7, 1, 4), 10: (1, 7, 4, 7)}
    # The point that was set first keeps the number.
    turned = split(field(), 1, [(3.0, 5.0), (3.0, 2.0)])
    assert boxes_of(turned["nuclei"]) == {**NUCLEI, 1: (2, 6, 4, 6), 10: (2, 6, 2, 4)}


def test_a_cell_is_split_in_as_many_parts_as_there_are_points():
    painted = split(field(), 1, [(2, 2), (2, 5), (5, 2), (5, 5)], "somas")
    assert boxes_of(painted["nuclei"]) == {
        **NUCLEI,
        1: (2, 4, 2, 4),
        10: (2, 4, 4, 6),
        11: (4, 6, 2, 4),
        12: (4, 6, 4, 6),
    }


@pytest.mark.parametrize(
    ("points", "compartment", "words"),
    [
        ([(3, 3)], "nuclei", says("edits.too_few_points", what="nuclei")),
        ([(3, 3), (1, 1)], "nuclei", says("edits.too_few_points", what="nuclei")),
        ([(3, 3), (3, 9)], "somas", says("edits.too_few_points", what="somas")),
        (
            [(3, 3), (40, 3)],
            "nuclei",
            says("edits.point_outside", row=40, column=3, what="nuclei"),
        ),
        ([(3, 3), (3, 36)], "somas", says("edits.point_outside", row=3, column=36, what="somas")),
        ([(3, 3), (-9, 3)], "nuclei", says("edits.point_outside", row=-9, column=3, what="nuclei")),
        (
            [(3, -33), (3, 3)],
            "nuclei",
            says("edits.point_outside", row=3, column=-33, what="nuclei"),
        ),
        ([(8, 3), (8, 9)], "neurites", says("edits.not_a_cell")),
    ],
)
def test_what_cannot_be_split_is_refused(points, compartment, words):
    with pytest.raises(ValueError, match=words):
        split(field(), 1, points, compartment)


def test_a_new_label_is_of_no_object_of_any_compartment():
    assert new_label(field()) == 10
    assert new_label(field({"nuclei": NUCLEI})) == 4
    assert new_label(field({"nuclei": {}})) == 1


# The edge of a window of 8 × 8 pixels ► the box of an object there, and where the window lies if
# that edge is also the edge of a field of 20 × 20.
EDGES = {
    "top": ((0, 2, 3, 5), (0, 7)),
    "bottom": ((6, 8, 3, 5), (12, 7)),
    "left": ((3, 5, 0, 2), (7, 0)),
    "right": ((3, 5, 6, 8), (7, 12)),
}


@pytest.mark.parametrize("edge", EDGES)
def test_an_object_that_the_window_cuts_is_not_corrected_by_half(edge):
    box, _ = EDGES[edge]
    shown = field({"nuclei": {1: box, 2: (3, 5, 3, 5)}}, (8, 8), (20, 20), (7, 7))
    with pytest.raises(ValueError, match=says("edits.cut_by_window", what="nuclei 1")):
        refuse_cut(shown, ["nuclei"], (1,))
    for refused in (
        lambda: erased(shown, "nuclei", 1),
        lambda: merged(shown, 1, 2),
        lambda: merged(shown, 2, 1),  # it is the second that is cut
        lambda: split(shown, 1, [(box[0], box[2]), (box[1] - 1, box[3] - 1)]),
    ):
        with pytest.raises(ValueError, match=says("edits.cut_by_window", what="nuclei 1")):
            refused()
    assert not (erased(shown, "nuclei", 2)["nuclei"] == 2).any()


@pytest.mark.parametrize("edge", EDGES)
def test_an_object_at_the_edge_of_the_field_is_whole(edge):
    box, origin = EDGES[edge]
    shown = field({"nuclei": {1: box}}, (8, 8), (20, 20), origin)
    assert not erased(shown, "nuclei", 1)["nuclei"].any()


def test_a_nucleus_whose_soma_is_cut_is_not_erased_but_a_whole_punctum_is():
    drawn = {"nuclei": {1: (3, 5, 3, 5)}, "somas": {1: (0, 6, 2, 6)}, "puncta": {1: (4, 5, 4, 5)}}
    shown = field(drawn, (8, 8), (20, 20), (7, 7))
    with pytest.raises(ValueError, match=says("edits.cut_by_window", what="somas 1")):
        erased(shown, "nuclei", 1)
    assert not erased(shown, "puncta", 1)["puncta"].any()


def test_changes_are_the_smallest_rectangles_in_the_pixels_of_the_field():
    shown = field(whole=(100, 100), origin=(40, 50), frame=3)
    painted = {n: labels.copy() for n, labels in shown.labels.items()}
    painted["nuclei"][3, 2] = painted["nuclei"][4, 7] = 10
    painted["puncta"][11, 35] = 11
    after, before = changes(shown, painted)
    assert [c.region.model_dump() for c in after] == [c.region.model_dump() for c in before]
    assert [tuple(c.region.model_dump().values()) for c in after] == [
        ("nuclei", 3, 43, 52, 2, 6),
        ("puncta", 3, 51, 85, 1, 1),
    ]
    assert after[0].labels.tolist() == [[10, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 10]]
    assert before[0].labels.tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert (after[1].labels.tolist(), before[1].labels.tolist()) == ([[11]], [[0]])


def test_changes_stay_as_they_were_when_one_paints_on():
    shown = field()
    painted = {"nuclei": shown.labels["nuclei"].copy()}
    painted["nuclei"][0, 0] = 10
    after, before = changes(shown, painted)
    painted["nuclei"][:], shown.labels["nuclei"][:] = 7, 8
    assert (after[0].labels.tolist(), before[0].labels.tolist()) == ([[10]], [[0]])


def test_without_a_change_there_are_no_crops():
    shown = field()
    assert changes(shown, {n: labels.copy() for n, labels in shown.labels.items()}) == ([], [])
    assert changes(shown, {}) == ([], [])


def test_a_line_at_the_edge_does_not_come_out_at_the_other_side():
    graph = np.zeros((9, 9), np.int32)
    graph[0, 4], graph[8, 8] = 3, UNATTRIBUTED
    drawn = graph_labels(graph)
    assert drawn.tolist()[0] == [0, 0, 0, 3, 3, 3, 0, 0, 0]
    assert drawn[8, 4] == drawn[0, 8] == drawn[8, 0] == 0
    assert drawn[7:, 7:].tolist() == [[4, 4], [4, 4]]


def test_a_line_is_three_pixels_thick_and_never_hides_another():
    graph = np.zeros((5, 7), np.int32)
    graph[2, 1:6] = 2
    graph[1, 4] = 5
    drawn = graph_labels(graph)
    assert drawn.dtype == np.uint16
    assert np.array_equal(drawn[graph > 0], graph[graph > 0])
    assert (drawn[1:4] > 0).all()
    assert (drawn[4] == 0).all()
    assert graph_labels(np.array([[2], [5]], np.int32)).tolist() == [[2], [5]]
    assert graph_labels(np.full((1, 1), UNATTRIBUTED, np.int32)).tolist() == [[1]]
    assert not graph_labels(np.zeros((3, 3), np.int32)).any()
