from __future__ import annotations

import json

import polars as pl

from imaging_service.screens.sites import Site, merged_lines, pooled_hazards, refusals_of, sites_of
from phenotypes.columns.dictionary import conform
from plate_maps.registry import Line, write


def hazard(line, ratio, p):
    return {
        "line": line,
        "compound": "x",
        "dose_molar": 1e-6,
        "status": "ok",
        "reason": "",
        "hazard_ratio": ratio,
        "p_value": p,
        "q_value": p,
    }


def site(folder, name, rows):
    place = folder / "sites" / name
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(json.dumps({"site": name}))
    conform(pl.DataFrame(rows), "hazard").write_parquet(place / "hazards.parquet")
    return Site(name, place)


def test_hazards_of_several_sites_are_corrected_together_and_not_averaged(tmp_path):
    sites = [
        site(tmp_path, "a", [hazard("L1", 2.0, 0.01), hazard("both", 3.0, 0.01)]),
        site(tmp_path, "b", [hazard("L2", 1.0, 0.9), hazard("both", 1.5, 0.2)]),
    ]
    table = pooled_hazards(sites)
    assert table.select("line", "status", "hazard_ratio", "q_value").rows() == [
        ("L1", "ok", 2.0, 0.02),
        ("L2", "ok", 1.0, 0.9),
        ("both", "several_sites", None, None),
    ]
    assert [s.name for s in sites_of(tmp_path)] == ["a", "b"]


def test_what_one_site_leaves_empty_about_a_line_another_may_know(tmp_path):
    sites = [
        site(tmp_path, "a", [hazard("L1", 2.0, 0.01)]),
        site(tmp_path, "b", [hazard("L2", 1.0, 0.9)]),
    ]
    lines = (
        [Line("S", "D", gene="SOD1")],
        [Line("S", "D", zygosity="heterozygous"), Line("T", "E")],
    )
    for one, of_site in zip(sites, lines, strict=True):
        (one.folder / "lines.tsv").write_text(write(of_site, Line))
    assert merged_lines(sites) == {
        "S": Line("S", "D", gene="SOD1", zygosity="heterozygous"),
        "T": Line("T", "E"),
    }


def test_a_screen_without_sites_has_none(tmp_path):
    assert sites_of(tmp_path) == []
    assert refusals_of(tmp_path) == []
