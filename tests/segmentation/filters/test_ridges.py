from __future__ import annotations

import numpy as np
import pytest

from segmentation.filters.curvature import curvatures
from segmentation.filters.ridges import hysteresis, remove_short, ridge_response, segment_neurites


def test_the_larger_of_the_two_scales_wins_and_none_is_under_0_8_px():
    image = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    fine, coarse = curvatures(image, 0.5 / 0.25)[0], curvatures(image, 0.9 / 0.25)[0]
    assert np.array_equal(ridge_response(image, 0.25), np.maximum(np.maximum(fine, coarse), 0))
    assert np.array_equal(ridge_response(image, 2.0), np.maximum(curvatures(image, 0.8)[0], 0))


def test_hysteresis_keeps_faint_stretches_of_what_is_bright_elsewhere():
    response = np.zeros((6, 6), np.float32)
    response[0] = [0, 2, 2, 9, 2, 0]  # faint, and bright in one pixel
    response[1, 5] = 2  # touches it by a corner
    response[4] = [2, 2, 2, 2, 2, 2]  # faint only
    kept = hysteresis(response, 1.0, 5.0)
    assert kept[0].tolist() == [False, True, True, True, True, False]
    assert kept[1, 5]
    assert not kept[4].any()
    assert not hysteresis(response, 1.0, 9.0).any()  # above, not at


@pytest.mark.parametrize(
    ("pixels", "pixel_size_um", "kept"),
    [(8, 1.0, True), (7, 1.0, False), (16, 0.5, True), (15, 0.5, False)],
)
def test_pieces_under_8_um_are_dropped(pixels, pixel_size_um, kept):
    mask = np.zeros((30, 30), bool)
    mask[5, 2 : 2 + pixels] = True
    assert remove_short(mask, pixel_size_um).any() == kept


def line(length=60):
    image = np.zeros((64, 64), np.float32)
    image[30:33, 2 : 2 + length] = 100
    return image


def test_a_line_is_a_neurite_outside_somas_and_nuclei():
    labels = segment_neurites(line(), 0.5, low=5, high=20, somas=None)
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == {0, 1}
    assert labels[31, 10:50].all()
    assert not labels[:20].any()
    somas, nuclei = np.zeros((64, 64), np.int32), np.zeros((64, 64), bool)
    somas[:, :20], nuclei[:, 50:] = 3, True
    apart = segment_neurites(line(), 0.5, low=5, high=20, somas=somas, exclude=nuclei)
    assert np.array_equal(apart > 0, (labels > 0) & (somas == 0) & ~nuclei)


def test_the_soma_goes_before_the_length_is_measured():
    """Of a line of 20 µm all but 5 µm lie in a soma: what is left is too short."""
    somas = np.zeros((64, 64), np.int32)
    somas[:, :32] = 1
    assert segment_neurites(line(40), 0.5, low=5, high=20, somas=None).any()
    assert not segment_neurites(line(40), 0.5, low=5, high=20, somas=somas).any()
