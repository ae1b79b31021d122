"""Fields that overlap: every place of a well belongs to exactly one of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotypes.cells.ownership import other_way, overlap_share, owned_cells, owned_pixels
from segmentation.phantoms.render import Culture, Optics, render

SHAPE = (12, 16)


def counted(centres, shape=SHAPE):
    """How many fields own each place that any field shows, and how many show it."""
    height, width = shape
    top = min(y for y, _ in centres.values())
    left = min(x for _, x in centres.values())
    size = [max(c[k] for c in centres.values()) + shape[k] for k in (0, 1)]
    owners = np.zeros((size[0] - top, size[1] - left), int)
    shown = np.zeros_like(owners)
    for number, (y, x) in centres.items():
        window = np.s_[y - top : y - top + height, x - left : x - left + width]
        owned = owned_pixels(shape, centres, number)
        owners[window] += 1 if owned is None else owned
        shown[window] += 1
    return owners, shown


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=6).map(
        lambda places: dict(enumerate(places, start=1))
    )
)
def test_every_place_that_is_shown_has_one_owner(centres):
    owners, shown = counted(centres)
    assert ((owners == 1) == (shown > 0)).all()
    assert owners.sum() == (shown > 0).sum()


def test_the_nearest_centre_owns_and_of_two_the_lower_number():
    centres = {7: (0, 0), 3: (0, 11)}
    right, left = (owned_pixels(SHAPE, centres, n) for n in (3, 7))
    # Columns 11 to 15 are shown twice; 13 is as far from both centres.
    assert left.sum(axis=0).tolist() == [12] * 13 + [0] * 3
    assert right.sum(axis=0).tolist() == [0] * 2 + [12] * 14
    mirrored = {n: (y, -x) for n, (y, x) in centres.items()}
    assert (owned_pixels(SHAPE, mirrored, 7) == left[:, ::-1]).all()


def test_fields_that_touch_are_alone_or_have_no_place_own_all():
    assert owned_pixels(SHAPE, {1: (0, 0), 2: (0, 16)}, 1) is None
    assert owned_pixels(SHAPE, {1: (0, 0)}, 1) is None
    assert owned_pixels(SHAPE, {1: (0, 0), 2: (0, 3)}, 4) is None
    # Half a pixel in a hundred is no overlap.
    assert owned_pixels((400, 400), {1: (0, 0), 2: (0, 399)}, 1) is None
    assert overlap_share((0, 0), (0, 300), (400, 400)) == pytest.approx(0.25)


def test_a_cell_belongs_to_the_owner_of_its_centroid():
    owned = np.zeros((4, 4), bool)
    owned[1, 2] = True
    places = pl.DataFrame({"y_um": [0.74, 0.99, 1.01, 2.0], "x_um": [1.26, 1.0, 1.2, 2.0]})
    assert owned_cells(places, owned, 0.5).tolist() == [True, True, False, False]


@pytest.fixture(scope="module")
def picture():
    return render(Culture(neurons_per_mm2=500), Optics(shape=(360, 520)), 3).field.channel("dna")


@pytest.mark.parametrize("offset", [(0, 210), (120, 0), (-120, 0), (60, -200)])
def test_pixels_tell_when_the_stage_points_the_other_way(picture, offset):
    down, right = offset
    y, x = max(0, -down), max(0, -right)
    size = np.s_[:240, :280]
    first, second = (picture[a:, b:][size] for a, b in ((y, x), (y + down, x + right)))
    assert other_way(first, second, offset, 0.65) is None
    # A stage that is 4 µm off is the same stage.
    assert other_way(first, second, (down + 6, right), 0.65) is None
    assert other_way(first, second, (-down, -right), 0.65) == offset
    assert other_way(first, second, (right, down), 0.65) == offset


def test_fields_without_cells_prove_nothing():
    rng = np.random.default_rng(1)
    blank = [rng.normal(200, 5, (240, 280)) for _ in range(2)]
    assert other_way(*blank, (0, 200), 0.65) is None
    assert other_way(np.ones((240, 280)), np.ones((240, 280)), (0, 200), 0.65) is None
