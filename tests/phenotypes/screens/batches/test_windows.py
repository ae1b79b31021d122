from __future__ import annotations

import numpy as np
import pytest

from phenotypes.plates.quality.controls import ssmd
from phenotypes.screens.batches.windows import batch_gaps, ssmd_interval, windows_of
from phenotypes.screens.conditions import plate_effects
from tests.phenotypes.drawn_screens import ladder_wells

PAIR = {"S": "S-iso"}


def windows(gap, **more):
    wells = ladder_wells(
        np.random.default_rng(0), ["S", "S-iso"], gap=gap, isogenic=["S-iso"], **more
    )
    table, gaps = windows_of(
        batch_gaps(plate_effects(wells, ["nc_log2_aggregate", "live_density"]), PAIR)
    )
    return {(r["phenotype"], r["batch"]): r for r in table.to_dicts()}, gaps


def test_a_window_is_seen_in_each_batch_and_over_them():
    table, gaps = windows(0.6)
    every = table["nc_log2_aggregate", ""]
    assert (every["status"], every["n_batches"]) == ("expressed", 3)
    assert every["gap_low"] < 0.6 < every["gap_high"]
    first = table["nc_log2_aggregate", "b0"]
    assert first["status"] == "expressed"
    assert first["ssmd"] == pytest.approx(0.6 / (0.05 * np.sqrt(2)), rel=0.4)
    assert gaps["S", "nc_log2_aggregate"]["b1"] == pytest.approx(0.6, abs=0.06)


def test_no_difference_is_not_expressed():
    table, _ = windows(0.0)
    assert table["nc_log2_aggregate", ""]["status"] == "not_expressed"


def test_one_batch_and_few_wells_are_said():
    table, _ = windows(0.6, batches=1)
    assert table["nc_log2_aggregate", ""]["status"] == "too_few_batches"
    table, _ = windows(0.6, vehicles=2)
    assert table["nc_log2_aggregate", "b0"]["status"] == "too_few_wells"


def test_lines_on_different_plates_have_no_window():
    wells = ladder_wells(np.random.default_rng(0), ["S"], gap=1.0)
    table, gaps = windows_of(batch_gaps(plate_effects(wells, ["nc_log2_aggregate"]), PAIR))
    assert table.is_empty()
    assert gaps == {}


def test_ssmd_and_its_interval():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        a, b = rng.normal(1.5, 1, 8), rng.normal(0, 1, 8)
        value, low, high = ssmd_interval(
            a.mean() - b.mean(), (a.std(ddof=1), b.std(ddof=1)), (8, 8)
        )
        assert value == pytest.approx(float(ssmd(a, b)))
        covered += low <= 1.5 / np.sqrt(2) <= high
    assert 0.93 * 400 <= covered <= 0.975 * 400
    assert ssmd_interval(1.0, (0.0, 0.0), (4, 4)) is None


def test_single_vehicle_wells_and_wells_that_do_not_vary_have_no_ssmd():
    table, _ = windows(0.6, vehicles=1)
    assert table["nc_log2_aggregate", "b0"]["status"] == "too_few_wells"
    wells = ladder_wells(
        np.random.default_rng(0), ["S", "S-iso"], gap=0.5, isogenic=["S-iso"], noise=0.0
    )
    still = windows_of(batch_gaps(plate_effects(wells, ["nc_log2_aggregate"]), PAIR))[0]
    assert set(still["status"]) == {"no_variation"}
