from __future__ import annotations

import numpy as np

from segmentation.scoring.consensus import beside_consensus, consensus, lines_beside_consensus


def squares(**places):
    """A field of 40 × 40 with squares: label=(y, x, side)."""
    labels = np.zeros((40, 40), np.int32)
    for name, (y, x, side) in places.items():
        labels[y : y + side, x : x + side] = int(name[1:])
    return labels


FIRST = squares(_1=(0, 0, 8), _2=(0, 20, 8), _5=(20, 0, 8))
SECOND = squares(_7=(1, 0, 8), _9=(0, 20, 8), _4=(20, 20, 8))


def test_what_both_have_is_agreed_and_what_one_has_is_disputed():
    agreed, disputed = consensus(FIRST, SECOND)
    assert set(np.unique(agreed)) == {0, 1, 2}
    assert (agreed == 1).sum() == 56  # the rows that both gave it
    assert disputed[20:28, 0:8].all()
    assert disputed[20:28, 20:28].all()
    assert disputed.sum() == 128


def test_an_engine_is_counted_beside_what_is_agreed_only():
    agreed, disputed = consensus(FIRST, SECOND)
    everything = squares(_1=(0, 0, 8), _2=(0, 20, 8), _3=(20, 0, 8), _4=(20, 20, 8), _6=(32, 32, 6))
    counts = beside_consensus(everything, agreed, disputed)
    # the disputed two are nobody's fault, the fifth is the engine's
    assert (counts.tp, counts.fp, counts.fn) == (2, 1, 0)
    counts = beside_consensus(squares(_3=(0, 20, 8)), agreed, disputed)
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
    nothing = np.zeros_like(FIRST)
    counts = beside_consensus(nothing, agreed, disputed)
    assert (counts.tp, counts.fp, counts.fn) == (0, 0, 2)


def test_two_who_agree_on_everything_dispute_nothing():
    agreed, disputed = consensus(FIRST, FIRST)
    assert np.array_equal(agreed, FIRST)
    assert not disputed.any()
    empty = np.zeros_like(FIRST)
    agreed, disputed = consensus(FIRST, empty)
    assert not agreed.any()
    assert np.array_equal(disputed, FIRST > 0)


def line(*rows):
    image = np.zeros((40, 40), bool)
    for row in rows:
        image[row, 5:25] = True
    return image


def test_lines_that_only_one_drew_count_neither_way():
    first, second = line(5, 20), line(6, 30)
    counts = lines_beside_consensus(line(5, 20, 30), first, second, 2)
    assert (counts.tp, counts.fp, counts.fn) == (20, 0, 0)
    counts = lines_beside_consensus(line(12, 20), first, second, 2)
    assert (counts.tp, counts.fp, counts.fn) == (0, 20, 20)
    nothing = lines_beside_consensus(line(), line(), line(), 2)
    assert (nothing.tp, nothing.fp, nothing.fn) == (0, 0, 0)
