from __future__ import annotations

import polars as pl

from imaging_service.web.charts import svg
from imaging_service.web.specifications.forest import line_forest, plates_forest, screen_forest
from tests.imaging_service.web.specifications.test_matrix import row
from tests.imaging_service.web.test_screen_charts import RESPONSES


def test_lines_stand_by_name_with_genotype_and_interval():
    rows = [
        row("L2", genotype="SOD1"),
        row("L1", genotype="SOD1"),
        row("L3", genotype="healthy"),
        row("L4", genotype="", effect=None),
        row("L5", "y", genotype=""),
    ]
    spec = line_forest(rows, "x", "p")
    points = spec["layer"][2]
    assert points["encoding"]["y"]["sort"] == [
        "L1 (SOD1)",
        "L2 (SOD1)",
        "L3 (healthy)",
    ]
    assert points["encoding"]["color"]["scale"]["domain"] == ["L1", "L2", "L3", "L4", "L5"]
    assert [(r["low"], r["high"]) for r in points["data"]["values"]] == 3 * [(-40.0, -20.0)]
    assert points["encoding"]["x"]["title"] == "effect (%)"
    assert "<svg" in svg(spec)


def test_without_an_effect_there_is_no_forest():
    assert line_forest([row(genotype="", effect=None)], "x", "p") == {}
    assert line_forest([], "x", "p") == {}


def test_a_forest_over_plates_has_a_row_per_plate_in_the_colour_of_its_compound():
    rows = [row("L1", "x") | {"label": "x · A"}, row("L1", "y") | {"label": "y · A"}]
    spec = plates_forest(rows, "L1 · p", "compound")
    points = spec["layer"][2]
    assert points["encoding"]["y"]["sort"] == ["x · A", "y · A"]
    assert points["encoding"]["color"]["scale"]["domain"] == ["x", "y"]
    assert [(r["low"], r["high"]) for r in points["data"]["values"]] == 2 * [(-40.0, -20.0)]
    assert "<svg" in svg(spec)
    assert plates_forest([], "L1 · p", "compound") == {}


POOLED = pl.DataFrame(
    {
        "group": ["SOD1", "all"],
        "n_donors": [3, 4],
        "effect": [0.8, None],
        "effect_low": [0.6, None],
        "effect_high": [1.0, None],
        "predicted_low": [0.1, None],
        "predicted_high": [1.5, None],
    }
)


def test_a_forest_has_a_row_per_line_by_gene_and_one_per_mean():
    spec = screen_forest(RESPONSES, POOLED, "x", "live_density", {"S1": "", "S2": "SOD1"})
    lines, means = spec["layer"][2]["data"]["values"], spec["layer"][4]["data"]["values"]
    assert [
        (r["label"], r["group"], r["effect"], r["low"], r["high"], r["hit"]) for r in lines
    ] == [
        ("S2", "SOD1", 1.0, 0.5, 1.5, True),
        ("S1 *", "gene not given", -0.5, -1.5, 0.5, False),
    ]
    assert [(m["label"], m["effect"], m["predicted_low"]) for m in means] == [
        ("mean of SOD1 (3 donors)", 0.8, 0.1)
    ]
    assert [z["at"] for z in spec["layer"][0]["data"]["values"]] == [0.0, 0.26, -0.26]
    assert (
        screen_forest(RESPONSES.filter(pl.col("line") == "H1"), POOLED, "x", "live_density", {})
        == {}
    )
