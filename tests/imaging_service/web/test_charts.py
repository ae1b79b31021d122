from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from imaging_service.web.charts import PALETTE, dose_response, page_script, plate_heatmap, png, svg
from phenotypes.plates.responses import Curve
from plate_maps import plate_format

WELLS = pl.DataFrame(
    {
        "well": ["B02", "H12"],
        "line": ["L1", "L2"],
        "compound": ["x", ""],
        "control": ["none", "vehicle"],
        "dose_molar": [1e-6, 0.0],
        "status": ["done", "failed"],
        "reason": ["", "blank"],
        "live_density": [120.5, None],
    }
)


def curve(line="L1", dose=(0.0, 1e-8, 1e-6), *, model="hill", ec50=1e-7, low=3e-8, high=None):
    def predict(doses):
        return -np.log10(np.asarray(doses, float))

    result = SimpleNamespace(
        status="ok",
        reason="",
        model=model,
        ec50=ec50,
        ec50_low=low,
        ec50_high=high,
        predict=predict,
        band=lambda xs: (predict(xs) - 1, predict(xs) + 2),
    )
    return Curve(
        line,
        "x",
        "live_density",
        "%",
        ("B02", "B03", "B04"),
        dose,
        (10.0, 20.0, 30.0),
        ("b",) * 3,
        result,
    )


def test_a_well_without_a_number_is_crossed_out_and_says_why():
    spec = plate_heatmap(WELLS, "live_density", plate_format(96))
    first, second = spec["data"]["values"]
    assert (first["row"], first["column"], first["value"], first["nothing"]) == (
        "B",
        2,
        120.5,
        False,
    )
    assert first["condition"] == "L1 · x 1e-06 M"
    assert (second["row"], second["column"], second["nothing"], second["status"]) == (
        "H",
        12,
        True,
        "failed: blank",
    )
    assert spec["encoding"]["x"]["scale"]["domain"] == list(range(1, 13))
    assert spec["encoding"]["y"]["scale"]["domain"] == list("ABCDEFGH")


def test_a_curve_s_points_fit_band_and_interval():
    spec = dose_response([curve()], ["L1"])
    fits, _, points, intervals, _ = (layer["data"]["values"] for layer in spec["layer"])
    vehicle = 1e-8 / 10**0.5
    assert [(p["dose"], p["response"], p["kind"]) for p in points] == [
        (vehicle, 10, "vehicle"),
        (1e-8, 20, "treated"),
        (1e-6, 30, "treated"),
    ]
    assert (fits[0]["dose"], fits[-1]["dose"], len(fits)) == (
        pytest.approx(vehicle),
        pytest.approx(1e-6),
        60,
    )
    assert all(
        (f["response"] - f["low"], f["high"] - f["response"]) == pytest.approx((1, 2)) for f in fits
    )
    assert intervals == [
        {"line": "L1", "ec50": 1e-7, "response": pytest.approx(7), "low": 3e-8, "high": 1e-6}
    ]
    assert spec["layer"][1]["encoding"]["y"]["scale"]["domain"] == pytest.approx(
        [10 - 2.4, 30 + 2.4]
    )


def test_lines_keep_their_colour_and_a_flat_curve_is_dashed():
    spec = dose_response([curve("L2", model="constant", ec50=None)], ["L1", "L2"])
    assert spec["layer"][0]["encoding"]["color"]["scale"] == {
        "domain": ["L1", "L2"],
        "range": PALETTE[:2],
    }
    assert {f["fit"] for f in spec["layer"][1]["data"]["values"]} == {"constant"}
    assert spec["layer"][3]["data"]["values"] == []


def test_without_a_dose_there_is_no_picture():
    assert dose_response([curve(dose=(0.0, 0.0, 0.0))], ["L1"]) == {}


def test_pictures_compile():
    spec = plate_heatmap(WELLS, "live_density", plate_format(96))
    assert png(spec, scale=0.5).startswith(b"\x89PNG")
    assert "<svg" in svg(dose_response([curve()], ["L1"]))
    assert "vegaEmbed" in page_script()
