"""Strokes as arrays: lines become neurites, and branches leave."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.morphology import skeletonize

from imaging_service.review.field_image import FieldImage
from napari_plugin.tracing.strokes import line_mask, stroke_width_px, traced, without_branch
from tests.messages import says

SHAPE = (60, 80)


def field(neurites=None, somas=None, pixel=0.5):
    labels = {} if neurites is None else {"neurites": neurites}
    if somas is not None:
        labels["somas"] = somas
    return FieldImage(
        levels=(np.zeros((1, *SHAPE), np.uint16),),
        channels=("tubb3",),
        roles=("neurite",),
        labels=labels,
        pixel_size_um=pixel,
    )


def empty():
    return np.zeros(SHAPE, np.uint16)


@pytest.mark.parametrize(("pixel", "width"), [(0.25, 6.0), (0.5, 3.0), (0.65, 3.0), (2.0, 3.0)])
def test_a_stroke_is_a_micrometre_and_a_half_wide_and_never_too_thin_to_be_thinned(pixel, width):
    assert stroke_width_px(pixel) == pytest.approx(width)


@pytest.mark.parametrize("angle", np.deg2rad([0, 13, 30, 45, 90, 120]))
@pytest.mark.parametrize("width", [3.0, 6.0])
def test_a_line_has_its_width_and_thins_to_itself(angle, width):
    middle, along = np.array([60.0, 60.0]), np.array([np.sin(angle), np.cos(angle)])
    ends = [tuple(middle - 40 * along), tuple(middle + 40 * along)]
    mask = line_mask((121, 121), ends, width)
    # 80 long with round ends, and as wide as whole pixels allow.
    assert (mask.sum() - np.pi * (width / 2) ** 2) / 80 == pytest.approx(width, abs=1.1)
    across = np.array([np.cos(angle), -np.sin(angle)])
    y, x = np.nonzero(skeletonize(mask))
    away = np.abs((np.column_stack([y, x]) - middle) @ across)
    assert away.max() <= 1.5
    assert np.abs((np.column_stack([y, x]) - middle) @ along).max() == pytest.approx(40, abs=width)


def test_a_line_may_leave_the_image_and_a_single_point_is_a_dot():
    mask = line_mask(SHAPE, [(30, -50), (30, 200)], 3)
    assert np.array_equal(np.flatnonzero(mask.any(axis=1)), [29, 30, 31])
    assert mask[30].all()
    dot = line_mask(SHAPE, [(10, 10)], 3)
    assert dot.sum() == 9
    assert dot[9:12, 9:12].all()
    assert not line_mask(SHAPE, [(-40, 5), (-30, 70)], 3).any()
    assert not line_mask(SHAPE, [], 3).any()


def test_a_traced_neurite_joins_what_is_there_and_leaves_somas_alone():
    neurites, somas = empty(), empty()
    neurites[10, :20] = 1
    somas[20:40, 30:50] = 7
    shown = field(neurites, somas)
    painted = traced(shown, [(10, 15), (30, 15), (30, 75)])["neurites"]
    assert painted.dtype == neurites.dtype
    assert set(np.unique(painted)) == {0, 1}
    assert (painted[10, :20] == 1).all()
    assert painted[30, 15:30].all()
    assert painted[30, 50:75].all()
    assert not painted[somas > 0].any()
    assert neurites.sum() == 20  # what was shown is not painted on


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (field(np.ones(SHAPE, np.uint16)), says("strokes.adds_nothing")),
        (field(empty(), np.full(SHAPE, 3, np.uint16)), says("strokes.adds_nothing")),
        (field(), says("strokes.no_neurites")),
    ],
)
def test_a_line_that_adds_nothing_is_refused(shown, message):
    with pytest.raises(ValueError, match=message):
        traced(shown, [(5, 5), (5, 60)])


def crossing():
    """Two neurites that cross, 3 pixels wide, and one apart."""
    neurites = line_mask(SHAPE, [(30, 5), (30, 74)], 3) | line_mask(SHAPE, [(4, 40), (56, 40)], 3)
    return (neurites | line_mask(SHAPE, [(5, 5), (5, 20)], 3)).astype(np.uint16)


@pytest.mark.parametrize(
    ("point", "gone"),
    [
        ((30, 10), (slice(None), slice(0, 36))),
        ((31, 70), (slice(None), slice(45, 80))),
        ((8, 40), (slice(0, 26), slice(30, 50))),
    ],
)
def test_a_branch_leaves_up_to_the_crossing_and_no_further(point, gone):
    before = crossing()
    after = without_branch(field(before), point)["neurites"]
    inside = np.zeros(SHAPE, bool)
    inside[gone] = True
    inside[:8, :24] = False  # the one apart
    assert not after[inside].any()
    kept = before.astype(bool) & ~inside
    near = np.zeros(SHAPE, bool)
    near[24:37, 34:47] = True  # the crossing
    assert after[kept & ~near].all()
    assert not after[before == 0].any()
    assert after[30, 40]


def test_a_piece_without_crossing_leaves_whole_and_twigs_of_thinning_divide_none():
    before = crossing()
    after = without_branch(field(before), (5, 10))["neurites"]
    assert np.array_equal(after, np.where(line_mask(SHAPE, [(5, 5), (5, 20)], 3), 0, before))
    rough = line_mask(SHAPE, [(30, 5), (30, 74)], 3)
    for x in (20, 35, 50):
        rough |= line_mask(SHAPE, [(30, x), (34, x)], 3)  # 4 pixels, 2 µm
    assert not without_branch(field(rough.astype(np.uint16)), (30, 8))["neurites"].any()
    speck = empty()
    speck[3, 3] = 1
    assert not without_branch(field(speck), (3, 3))["neurites"].any()


@pytest.mark.parametrize("point", [(20, 20), (-3, 5), (5, 200)])
def test_where_there_is_no_neurite_none_is_erased(point):
    with pytest.raises(ValueError, match=says("strokes.none_under_cursor")):
        without_branch(field(crossing()), point)
