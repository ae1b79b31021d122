from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from imaging_service.models.shifts import MARGINS, field_shifts, field_values, run_shifts, shift
from segmentation import Segmentation
from tests.imaging_service.models.drawn_fields import PX, SHAPE, traced


def test_bias_and_limits_are_bland_and_altmans():
    one = shift("log10_ec50", [(-6.0, -5.9), (-7.0, -6.7), (-5.0, -4.8)])
    assert one.bias == pytest.approx(0.2)
    assert (one.low, one.high) == (pytest.approx(0.2 - 0.196), pytest.approx(0.2 + 0.196))
    assert one.moved
    ratio = shift("live_density", [(100.0, 102.0), (200.0, 204.0)])
    assert ratio.bias == pytest.approx(100 * 2 / 101)
    assert not ratio.moved


@pytest.mark.parametrize("name", MARGINS)
def test_a_phenotype_moves_beyond_its_margin_on_either_side(name):
    margin, unit = MARGINS[name]
    for sign in (-1, 1):
        for share, moved in ((0.9, False), (1.1, True)):
            step = sign * share * margin
            new = 10 * (200 + step) / (200 - step) if unit == "%" else 10 + step
            assert shift(name, [(10.0, new)] * 3).moved is moved


def test_a_value_that_is_not_there_is_not_compared():
    assert shift("nc_log2", [(None, 1.0), (1.0, None)]).reason
    one = shift("nc_log2", [(None, 1.0), (1.0, 1.5)], [0.0, 1.5])
    assert (one.n, one.bias, one.error_before, one.error_after) == (1, 0.5, 0.5, 0.0)
    assert one.towards_truth


def test_values_of_a_field():
    field = traced()
    values = field_values(field, field.labels)
    area = SHAPE[0] * SHAPE[1] * PX**2 / 1e6
    assert values["live_density"] == pytest.approx(2 / area)
    # Two neurites of about 55 pixels each.
    assert values["neurite_length_density"] == pytest.approx(2 * 55 * PX / 1000 / area, rel=0.1)
    assert values["nc_log2"] is not None
    assert values["puncta_per_cell"] is None


def test_a_move_towards_what_was_traced_is_told_from_one_away():
    field = traced()
    half = {n: np.where(np.arange(96)[:, None] < 48, m, 0) for n, m in field.labels.items()}
    poor, good = Segmentation(half, "t"), Segmentation(dict(field.labels), "t")
    by_name = {s.phenotype: s for s in field_shifts([(field, poor)], [(field, good)])}
    assert by_name["neurite_length_density"].moved
    assert by_name["neurite_length_density"].towards_truth
    back = {s.phenotype: s for s in field_shifts([(field, good)], [(field, poor)])}
    assert back["live_density"].moved
    assert not back["live_density"].towards_truth


def test_wells_and_curves_of_a_plate():
    wells = pl.DataFrame(
        {"well": ["B02", "B03"], "live_density": [100.0, 120.0], "nc_log2_aggregate": [1.0, None]}
    )
    curves = pl.DataFrame(
        {
            "line": ["L", "L"],
            "compound": ["x", "y"],
            "phenotype": ["live_density"] * 2,
            "ec50_molar": [1e-6, None],
        }
    )
    moved = curves.with_columns(ec50_molar=pl.Series([2e-6, 1e-6]))
    by_name = {s.phenotype: s for s in run_shifts((wells, curves), (wells, moved))}
    assert by_name["live_density"].bias == 0
    assert by_name["nc_log2"].n == 1
    assert by_name["puncta_per_cell"].bias is None
    assert by_name["log10_ec50"].bias == pytest.approx(np.log10(2))
    assert by_name["log10_ec50"].moved
