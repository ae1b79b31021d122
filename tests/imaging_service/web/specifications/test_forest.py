from __future__ import annotations

from imaging_service.web.charts import svg
from imaging_service.web.specifications.forest import line_forest
from tests.imaging_service.web.specifications.test_matrix import row


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
