from __future__ import annotations

import polars as pl

from imaging_service.web.charts import dose_axis, effect_title, page_script, plate_heatmap, png, svg
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


def test_a_well_without_a_number_is_crossed_out_and_says_why():
    spec = plate_heatmap(WELLS, "live_density", plate_format(96))
    first, second = spec["data"]["values"]
    assert (first["row"], first["column"], first["value"], first["nothing"]) == (
        "B",
        2,
        120.5,
        False,
    )
    assert first["condition"] == "L1 · x 1 µM"
    assert (second["row"], second["column"], second["nothing"], second["status"]) == (
        "H",
        12,
        True,
        "failed: blank",
    )
    assert spec["encoding"]["x"]["scale"]["domain"] == list(range(1, 13))
    assert spec["encoding"]["y"]["scale"]["domain"] == list("ABCDEFGH")


def test_pictures_compile():
    spec = plate_heatmap(WELLS, "live_density", plate_format(96))
    assert png(spec, scale=0.5).startswith(b"\x89PNG")
    assert "<svg" in svg(spec)
    assert "vegaEmbed" in page_script()


def test_the_axis_of_doses_names_each_power_of_ten_with_its_unit():
    assert dose_axis(3e-9, 2e-5) == {
        "values": [10.0**p for p in (-8, -7, -6, -5)],
        "labelExpr": '["10 nM", "100 nM", "1 µM", "10 µM"][round(log(datum.value) / LN10) - -8]',
    }


def test_effects_are_named_by_their_scale():
    assert effect_title("live_density") == "effect (log2 ratio to vehicle)"
    assert effect_title("nc_log2_aggregate").startswith("effect (difference to vehicle")


def test_the_scripts_of_a_page_are_put_together_once():
    assert page_script() is page_script()
