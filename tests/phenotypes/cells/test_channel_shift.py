"""Round cells at known places; one channel is drawn beside them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from phenotypes import measure
from phenotypes.cells.channel_shift import LEAST_UM, MOST_UM, Shift, channel_shift
from phenotypes.cells.partial_volume import mixture
from segmentation import Field, Segmentation
from tests.messages import states

PX = 0.65


def cells(*, log2=1.0, by=(0.0, 0.0), seed=0, side=200, noise=15.0, px=PX):
    """DNA, neurite and protein channel of nine cells per 130 µm, and the labels.

    The protein lies `by` µm (y, x) beside the other two.
    """
    places = [
        (y, x) for y in np.arange(20, side * px - 15, 40) for x in np.arange(20, side * px - 15, 40)
    ]
    y, x = (np.mgrid[:side, :side] + 0.5) * px
    rng = np.random.default_rng(seed)

    def drawn(away, radius, edge=0.5):
        return expit((radius - away) / (0.55 * edge))

    def planes(dy, dx):
        nucleus, soma = np.zeros((side, side)), np.zeros((side, side))
        for cy, cx in places:
            away = np.hypot(y - cy - dy, x - cx - dx)
            nucleus += drawn(away, 5)
            soma += drawn(away, 9)
        return nucleus, soma

    nucleus, soma = planes(0, 0)
    there, around = planes(*by)
    protein = 400 * (2**log2 * there + np.maximum(around - there, 0))
    seen = np.stack([1000 * nucleus, 800 * soma, protein])
    seen += 200 + noise * rng.standard_normal(seen.shape)
    nuclei, somas = (np.zeros((side, side), np.int32) for _ in range(2))
    for n, (cy, cx) in enumerate(places, start=1):
        away = np.hypot(y - cy, x - cx)
        nuclei[away < 5] = n
        somas[away < 9] = n
    return Field(seen.astype(np.float32), ("dna", "neurite", "aggregate"), px), nuclei, somas


def shift_of(field, nuclei, somas, role="aggregate") -> Shift | None:
    px = field.pixel_size_um
    dna, neurite, image = (field.channel(r) - np.float32(200) for r in ("dna", "neurite", role))
    return channel_shift(mixture(dna, neurite, nuclei, somas, 3.0, px), image, px)


@pytest.mark.parametrize("log2", [-1.0, 0.3, 1.0])
@pytest.mark.parametrize("by", [(0.0, 0.0), (1.3, 0.0), (0.0, -1.3), (-0.8, 1.7)])
def test_a_shift_is_read_along_both_axes(log2, by):
    shift = shift_of(*cells(log2=log2, by=by))
    assert (shift.y_um, shift.x_um) == pytest.approx(by, abs=0.03)
    assert shift.sure == (np.hypot(*by) > LEAST_UM)


def test_the_standard_error_is_the_spread_over_repeats():
    shifts = [shift_of(*cells(by=(0.4, -0.4), seed=s, noise=150.0)) for s in range(30)]
    spread = np.std([(s.y_um, s.x_um) for s in shifts], axis=0, ddof=1).mean()
    told = np.mean([s.error_um for s in shifts])
    assert 0.7 * spread < told < 1.4 * spread


def test_the_middle_of_a_large_field_tells():
    pixels = np.full((3, 1300, 1300), 200, np.float32)
    nuclei, somas = (np.zeros((1300, 1300), np.int32) for _ in range(2))
    for corner, by in ((550, (1.0, -0.5)), (0, (-1.0, 0.5))):
        part, *labels = cells(by=by)
        there = np.s_[corner : corner + 200, corner : corner + 200]
        pixels[:, there[0], there[1]] = part.pixels
        known = nuclei.max()
        for whole, own in zip((nuclei, somas), labels, strict=True):
            whole[there] = np.where(own > 0, own + known, 0)
    shift = shift_of(Field(pixels, ("dna", "neurite", "aggregate"), PX), nuclei, somas)
    assert (shift.y_um, shift.x_um) == pytest.approx((1.0, -0.5), abs=0.03)


@pytest.mark.parametrize("by", [(9.0, 0.0), (0.0, -20.0)])
def test_a_channel_that_shows_no_cells_where_they_are_has_no_shift(by):
    assert shift_of(*cells(by=by)) is None


def test_a_dark_channel_and_few_cells_have_no_shift():
    field, nuclei, somas = cells()
    field.pixels[2] = 200 + 15 * np.random.default_rng(1).standard_normal(field.shape)
    assert shift_of(field, nuclei, somas) is None
    field, nuclei, somas = cells()
    assert shift_of(field, np.where(nuclei < 5, nuclei, 0), np.where(somas < 5, somas, 0)) is None


def measured(**drawing):
    field, nuclei, somas = cells(**drawing)
    out = measure(field, Segmentation({"nuclei": nuclei, "somas": somas}, "drawn"))
    return out.cells["nc_log2_aggregate"].mean(), out.field["warnings"].item()


def test_a_channel_is_moved_back_before_it_is_measured():
    straight, words = measured()
    assert words == ""
    assert straight == pytest.approx(1.0, abs=0.05)
    moved, words = measured(by=(1.2, -0.9))
    assert moved == pytest.approx(straight, abs=0.03)
    assert states("measure.channel_shifted", words, role="aggregate", distance="1.5")


def test_where_nucleus_and_cytoplasm_are_alike_a_shift_is_not_known_and_moves_little():
    assert shift_of(*cells(log2=0.0, by=(1.3, 0.0))) is None
    level, words = measured(log2=0.0, by=(1.3, 0.0))
    assert level == pytest.approx(0.0, abs=0.1)
    assert words == ""


def test_light_that_is_too_far_from_its_cell_has_no_level():
    level, words = measured(by=(MOST_UM + 0.5, 0.0))
    assert level is None
    assert states("measure.channel_too_far", words, role="aggregate", distance="3.5")
