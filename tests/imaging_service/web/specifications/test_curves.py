from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from imaging_service.web.charts import svg
from imaging_service.web.specifications.curves import curve_row, dose_response
from phenotypes.plates.responses import Curve
from plate_maps.colours import PALETTE, colours_of


def curve(line="L1", dose=(0.0, 1e-8, 1e-6), *, model="hill", ec50=1e-7, low=3e-8, high=None):
    def predict(doses):
        log = -np.log10(np.asarray(doses, float))
        return 0 * log if model == "constant" else log

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
    whole = Curve(
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
    return curve_row(whole)


def test_a_curve_s_points_fit_band_and_interval():
    spec = dose_response([curve()], ["L1"], {"L1": (3e-8, None)})
    fits, _, points, intervals, _ = (layer["data"]["values"] for layer in spec["layer"])
    vehicle = 1e-8 / 10**0.5
    assert [(p["dose"], p["response"], p["kind"]) for p in points] == [
        (vehicle, 10, "vehicle"),
        (1e-8, 20, "treated"),
        (1e-6, 30, "treated"),
    ]
    assert "page" not in points[0]
    assert (fits[0]["dose"], fits[-1]["dose"], len(fits)) == (
        pytest.approx(1e-8),
        pytest.approx(1e-6),
        60,
    )
    assert all(
        (f["response"] - f["low"], f["high"] - f["response"]) == pytest.approx((1, 2)) for f in fits
    )
    assert intervals == [
        {
            "line": "L1",
            "ec50": 1e-7,
            "shown": "100 nM (30 nM … open)",
            "response": pytest.approx(7),
            "low": 3e-8,
            "high": 1e-6,
        }
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


def test_more_lines_than_the_palette_has_are_all_drawn_each_in_its_colour():
    lines = [f"L{i:02d}" for i in range(12)]
    spec = dose_response([curve(line) for line in lines], lines)
    colours = colours_of(lines)
    assert len(set(colours)) == 12
    drawn = svg(spec)
    assert [drawn.count(f'stroke="{c}" stroke-width="2"') for c in colours] == [1] * 12


def test_points_lead_to_their_wells_where_there_are_pages():
    spec = dose_response([curve()], ["L1"], {}, "/wells/{}".format)
    points = spec["layer"][2]
    assert points["data"]["values"][1]["page"] == "/wells/B03"
    assert points["encoding"]["href"] == {"field": "page", "type": "nominal"}


def test_the_legend_names_the_lines_that_are_drawn():
    spec = dose_response([curve("L2")], ["L1", "L2", "L3"])
    assert spec["layer"][0]["encoding"]["color"]["legend"]["values"] == ["L2"]


def test_a_ring_is_drawn_around_the_well_that_the_page_is_of():
    spec = dose_response([curve()], ["L1"], here="B03")
    assert [p["well"] for p in spec["layer"][-1]["data"]["values"]] == ["B03"]
    assert len(spec["layer"]) - len(dose_response([curve()], ["L1"], here="D09")["layer"]) == 1


def test_a_curve_without_a_band_is_a_line():
    row = curve() | {"fit_low": [], "fit_high": []}
    fits = dose_response([row], ["L1"])["layer"][0]["data"]["values"]
    assert all(f["low"] == f["response"] == f["high"] for f in fits)


def test_without_a_dose_there_is_no_picture():
    assert dose_response([curve(dose=(0.0, 0.0, 0.0))], ["L1"]) == {}


def test_it_compiles():
    assert "<svg" in svg(dose_response([curve()], ["L1"]))
