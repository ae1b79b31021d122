from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from imaging_service.web.screen_charts import (
    batch_curves,
    disease_windows,
    line_compound_heatmap,
)

RESPONSES = pl.DataFrame(
    {
        "line": ["S2", "S1", "H1"],
        "compound": ["x"] * 3,
        "phenotype": ["live_density"] * 3,
        "status": ["ok", "one_batch", "no_common_dose"],
        "reason": ["", "", "none"],
        "effect": [1.0, -0.5, None],
        "effect_low": [0.5, -1.5, None],
        "effect_high": [1.5, 0.5, None],
        "effect_floor": [0.26] * 3,
        "effect_dose_molar": [1e-6] * 3,
        "n_batches": [3, 1, 2],
        "hit": [True, False, None],
        "responder": ["yes", None, None],
    }
)
WINDOWS = pl.DataFrame(
    {
        "line": ["S1"] * 3,
        "isogenic": ["S1-iso"] * 3,
        "phenotype": ["live_density"] * 3,
        "batch": [None, "b0", "b1"],
        "status": ["expressed", "one_batch", "one_batch"],
        "reason": [""] * 3,
        "gap": [0.6, 0.5, 0.7],
        "gap_low": [0.4, None, None],
        "gap_high": [0.8, None, None],
        "ssmd": [3.0, 2.5, 3.5],
    }
)


def test_a_square_is_as_large_as_the_effect_is_sure():
    spec = line_compound_heatmap(RESPONSES, "live_density")
    rows = {r["line"]: r for r in spec["data"]["values"]}
    assert rows["S2"]["sure"] == pytest.approx(1.0 / 0.5 / 3)
    assert rows["S1"]["sure"] == 0.1  # one batch says little
    assert (rows["H1"]["nothing"], rows["S2"]["nothing"], rows["S2"]["hit"]) == (True, False, True)
    scale = spec["layer"][1]["encoding"]["color"]["scale"]
    assert scale["domain"] == pytest.approx([-0.99, -0.495, 0, 0.495, 0.99])
    assert len(set(scale["range"])) == 5
    assert line_compound_heatmap(RESPONSES, "neurite_length_density") == {}


def test_a_window_has_a_bar_over_batches_and_a_point_for_each():
    spec = disease_windows(WINDOWS, "live_density")
    assert [(r["gap"], r["low"], r["high"]) for r in spec["layer"][1]["data"]["values"]] == [
        (0.6, 0.4, 0.8)
    ]
    assert [(r["batch"], r["gap"]) for r in spec["layer"][3]["data"]["values"]] == [
        ("b0", 0.5),
        ("b1", 0.7),
    ]
    assert spec["layer"][1]["data"]["values"][0]["pair"] == "S1 → S1-iso"
    assert disease_windows(WINDOWS, "nc_log2_aggregate") == {}


def test_a_line_s_curve_goes_through_its_batches():
    points = pl.DataFrame(
        {
            "batch": ["b0", "b0", "b1"],
            "dose_molar": [0.0, 1e-7, 1e-6],
            "response": [100.0, 80.0, 40.0],
            "n_wells": [8, 3, 3],
        }
    )
    result = SimpleNamespace(
        model="hill",
        status="ok",
        reason="",
        ec50=4e-7,
        ec50_low=None,
        ec50_high=9e-7,
        predict=lambda xs: np.full(len(xs), 50.0),
        band=lambda _: None,
    )
    spec = batch_curves(points, result, "S1", "x", "live_density", "% of vehicle")
    shown = spec["layer"][3]["data"]["values"]
    assert [(p["batch"], p["dose"]) for p in shown] == [
        ("b0", 1e-7 / 10**0.5),
        ("b0", 1e-7),
        ("b1", 1e-6),
    ]
    assert spec["layer"][4]["data"]["values"] == [
        {"dose": 4e-7, "response": 50.0, "low": 1e-7 / 10**0.5, "high": 9e-7}
    ]
    assert spec["title"]["subtitle"] == "ok"
    assert (
        batch_curves(
            points.filter(pl.col("dose_molar") == 0), result, "S1", "x", "live_density", ""
        )
        == {}
    )
