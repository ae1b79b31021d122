from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation import Field
from segmentation.engines.motornet.network import PROBABILITIES
from segmentation.engines.motornet.traced import traced_samples
from tests.messages import says

NUCLEI, SOMAS, NEURITES, PUNCTA = (1 << i for i in range(len(PROBABILITIES)))
OPEN = 1 << len(PROBABILITIES)


def drawn(px, shape=(120, 200), width=1):
    """A soma with its nucleus, and a neurite that a person drew from it with a thin pen."""
    labels = {n: np.zeros(shape, np.int32) for n in ("nuclei", "somas", "neurites")}
    middle = round(10 / px), round(10 / px)
    cv2.circle(labels["somas"], middle, round(6 / px), 3, -1)
    cv2.circle(labels["nuclei"], middle, round(3 / px), 3, -1)
    cv2.line(labels["neurites"], middle, (round(30 / px), round(10 / px)), 1, width)
    pixels = np.zeros((2, *shape), np.uint16)
    pixels[0], pixels[1] = 100 + 500 * (labels["nuclei"] > 0), 100 + 300 * (labels["neurites"] > 0)
    return Field(pixels, ("dna", "neurite"), px), labels


@pytest.mark.parametrize("px", [0.325, 0.2, 0.65])
def test_the_truth_lies_where_it_was_drawn_at_any_pixel_size(px):
    field, labels = drawn(px)
    (sample,) = traced_samples(field, labels, side=416)
    truth = np.asarray(sample["truth"])
    row, column = round(10 / 0.325), round(20 / 0.325)
    assert truth[row, column] == NEURITES
    # Half a pixel of the camera is the most that resampling may move a line.
    drawn_rows = np.flatnonzero(truth[:100, column] & NEURITES)
    assert abs(drawn_rows.mean() - row) <= 1.5
    assert 3 <= len(drawn_rows) <= 4
    # How wide it is was not traced; far from it there is none.
    above, below = int(drawn_rows.min()), int(drawn_rows.max())
    assert truth[above - 2, column] == truth[below + 2, column] == OPEN
    assert truth[above - 6, column] == truth[below + 6, column] == 0
    assert truth[row, round(10 / 0.325)] == NUCLEI | SOMAS


def test_what_was_not_traced_is_not_known():
    field, labels = drawn(0.325)
    (whole,) = traced_samples(field, labels, side=208)
    assert list(whole["known"]) == [True, True, True, False]
    (lines,) = traced_samples(field, {"neurites": labels["neurites"]}, side=208)
    assert list(lines["known"]) == [False, False, True, False]
    assert list(lines["present"]) == [True, True, False]
    without_dna = Field(field.pixels[1:], ("neurite",), 0.325)
    (somas,) = traced_samples(without_dna, labels, side=208)
    assert list(somas["known"]) == [False, True, True, False]


def test_where_a_tracer_was_unsure_nothing_is_learnt():
    field, labels = drawn(0.325)
    unsure = np.zeros(field.shape, bool)
    unsure[100:] = True
    (sample,) = traced_samples(field, labels, side=208, unsure=unsure)
    truth = np.asarray(sample["truth"])
    assert (truth[100:120, 60:200] == OPEN).all()
    assert (truth[60:100, 60:200] == 0).all()


def test_pieces_cover_a_field():
    field, labels = drawn(0.325, shape=(300, 500))
    pieces = traced_samples(field, labels, side=208)
    assert len(pieces) == 2 * 3
    assert {piece["truth"].shape for piece in pieces} == {(208, 208)}
    assert {piece["flows"].shape for piece in pieces} == {(4, 104, 104)}
    neurite = sum(int((np.asarray(p["truth"]) & NEURITES > 0).sum()) for p in pieces)
    assert neurite > 0


def test_a_field_from_which_nothing_can_be_learnt_is_refused():
    field, labels = drawn(0.325)
    with pytest.raises(ValueError, match=says("motornet.nothing_to_learn")):
        traced_samples(Field(field.pixels[1:], ("neurite",), 0.325), {"nuclei": labels["nuclei"]})
