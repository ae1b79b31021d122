from __future__ import annotations

import polars as pl

from imaging_service.web.charts import page_script, plate_heatmap, png, svg
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
    assert first["condition"] == "L1 · x 1e-06 M"
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
