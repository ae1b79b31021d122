from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.statistics.robust import mad, robust_scale, robust_z

NAME = "puncta_per_neuron"


def wells(rows, status="done"):
    schema = {"line": pl.String, "control": pl.String, NAME: pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(status=pl.lit(status))


def test_the_scale_is_scipys():
    values = np.random.default_rng(0).normal(5, 2, 31)
    assert mad(values) == stats.median_abs_deviation(values)
    middle, sd = robust_scale(values, 0.0)
    assert middle == np.median(values)
    assert sd == pytest.approx(stats.median_abs_deviation(values, scale="normal"), rel=1e-5)
    assert mad(np.stack([values, 2 * values])).tolist() == [mad(values), 2 * mad(values)]


def test_values_that_agree_have_the_floor_for_a_scale():
    assert robust_scale(np.full(5, 3.0), 0.25) == (3.0, 0.25)
    assert robust_scale(np.array([1.0, 2.0, 3.0]), 0.25)[1] == 1.4826


def test_robust_z_of_a_line_against_its_own_vehicles():
    vehicles = [("A", "vehicle", v) for v in (8.0, 9.0, 10.0, 11.0, 12.0)]
    z = robust_z(wells([*vehicles, ("A", "none", 13.0), ("B", "none", 13.0)]), NAME).to_list()
    assert z[5] == pytest.approx(3 / 1.4826)
    assert z[6] is None
    assert z[2] == 0


def test_z_needs_three_vehicle_wells():
    two = [("A", "vehicle", 8.0), ("A", "vehicle", 9.0), ("A", "none", 13.0)]
    assert robust_z(wells(two), NAME).null_count() == 3
    three = [*two, ("A", "vehicle", 10.0)]
    assert robust_z(wells(three), NAME).to_list()[2] == pytest.approx(4 / 1.4826)


def test_wells_that_do_not_count_change_no_score():
    vehicles = [("A", "vehicle", v) for v in (8.0, 9.0, 10.0, 11.0, 12.0)]
    clean = wells([*vehicles, ("A", "none", 13.0)])
    poison = [
        wells([("A", "vehicle", 1e9)] * 6, status="failed"),
        wells([("A", "vehicle", 1e9)] * 6, status="excluded"),
        wells([("A", "none", 1e9), ("A", "positive", -1e9), ("A", "vehicle", None)]),
        wells([("B", "vehicle", 1e9)] * 6),
    ]
    scores = robust_z(pl.concat([clean, *poison]), NAME).to_list()
    assert scores[:6] == robust_z(clean, NAME).to_list()
    assert scores[6:18] == [None] * 12
