from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import polars as pl
import pytest

from imaging_service.jobs.records import RunFolder, RunRecord, WellOutcome, load, save
from imaging_service.jobs.summary import summarise
from imaging_service.web import charts
from imaging_service.web.findings import ANSWERED, by_evidence
from imaging_service.web.report import _floors
from phenotypes.columns.status_words import status_words
from tests.messages import states


def test_the_report_is_one_file_with_everything_in_it(analysed):
    html = (analysed / "report.html").read_text()
    page = html[: html.index("<script>")]
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    for part in (
        'id="responses"',
        'id="curves"',
        'id="plate"',
        'id="images"',
        'id="quality"',
        'id="without-ec50"',
        'id="record"',
    ):
        assert part in html
    assert html.count("data:image/jpeg;base64,") >= 6
    table = pl.read_parquet(analysed / "responses.parquet")
    for row in table.iter_rows(named=True):
        assert row["compound"] in html
    assert table["run_id"][0] in html


def test_every_picture_compiles(analysed):
    html = (analysed / "report.html").read_text()
    specs = json.loads(re.search(r"const specs = (\{.*\});", html).group(1))
    assert len(specs["heatmap"]) >= 3
    assert len(specs["curve"]) >= 6
    for spec in (specs["heatmap"][0], specs["curve"][0]):
        assert charts.png(spec, scale=0.5).startswith(b"\x89PNG")
        assert "<svg" in charts.svg(spec)


def test_names_from_a_plate_map_cannot_become_markup(analysed, tmp_path):
    folder = RunFolder(shutil.copytree(analysed, tmp_path / "out"))
    record = load(RunRecord, folder.record)
    records = [
        dict(r, compound=r["compound"].replace("toxic-1", "</script><b>x"))
        for r in record.inputs.plate_map_records
    ]
    save(replace(record, inputs=replace(record.inputs, plate_map_records=records)), folder.record)
    outcomes = {n: load(WellOutcome, folder.outcome(n)) for n in record.wells}
    summarise(folder.root, outcomes)
    html = (folder.root / "report.html").read_text()
    assert "</script><b>x" not in html
    assert "&lt;/script&gt;&lt;b&gt;x" in html


def test_other_contrast_floors_are_summed_over_a_lines_wells():
    """Per line, its vehicle wells first; one ratio per floor, weighted by the wells' length."""
    wells = pl.DataFrame(
        {
            "status": ["done", "done", "done", "failed"],
            "line": ["A", "A", "A", "A"],
            "control": ["", "vehicle", "vehicle", "vehicle"],
            "neurite_length_total": [100.0, 100.0, 300.0, 500.0],
            "length_ratio_floor_0": [1.5, 1.0, 1.2, 9.0],
            "length_ratio_floor_30": [1.0, 1.0, 1.0, 9.0],
            "length_ratio_floor_70": [0.2, 0.6, 0.8, 9.0],
        }
    )
    vehicle, other = _floors(wells)
    assert (vehicle["arm"], vehicle["wells"], other["arm"], other["wells"]) == (
        "vehicle",
        2,
        "other",
        1,
    )
    assert vehicle["length_ratio_floor_0"] == pytest.approx(1.15)
    assert vehicle["length_ratio_floor_70"] == pytest.approx(0.75)
    assert other["length_ratio_floor_0"] == pytest.approx(1.5)


def test_the_report_says_how_far_the_length_depends_on_the_contrast_floor(analysed):
    html = (analysed / "report.html").read_text(encoding="utf-8")
    measured = pl.read_parquet(analysed / "wells.parquet")
    rows = _floors(measured)
    assert len(rows) >= 2
    section = html[html.index("Neurites: the contrast floor") :]
    for row in rows:
        assert f"<td>{row['line']}</td><td>{row['arm']}</td>" in section


def test_the_first_screen_says_what_was_found_and_draws_the_plate(analysed):
    html = (analysed / "report.html").read_text(encoding="utf-8")
    first = html[html.index('id="found"') : html.index('id="responses"')]
    table = pl.read_parquet(analysed / "responses.parquet")
    wells = pl.read_parquet(analysed / "wells.parquet")
    assert int(re.search(r'"headline">[^\d]*(\d+)', first)[1]) == len(table)
    assert '<p class="notice bad">' in first
    for status in set(table["status"]) - {s.value for s in ANSWERED}:
        refused = int((table["status"] == status).sum())
        assert (
            f"<li>{refused} response{'' if refused == 1 else 's'}: {status_words(status)}," in first
        )
    assert first.count('<g class="line line-') == len(wells)
    assert all(f"</span>{line}</li>" in first for line in wells["line"].unique())


def test_rows_without_an_ec50_are_listed_under_words_that_are_true_of_them(analysed):
    html = (analysed / "report.html").read_text(encoding="utf-8")
    table = pl.read_parquet(analysed / "responses.parquet")
    section = html[html.index('<section id="without-ec50">') : html.index('<section id="record">')]
    told = re.findall(r'<td class="word"><span class="tag (\w+)"[^>]*>[^/]+</span></td>', section)
    assert sorted(told) == sorted(s for s in table["status"] if s not in ("ok", "flat"))
    menu = dict(re.findall(r'<a href="#([\w-]+)">([^<]+)</a>', html[: html.index("</nav>")]))
    assert menu["without-ec50"] == "Without an EC50"
    assert states("report.without_ec50", re.search("<h2>([^<]+)</h2>", section)[1])
    assert "refused" not in menu


def test_curves_stand_by_evidence(analysed):
    html = (analysed / "report.html").read_text(encoding="utf-8")
    specs = json.loads(re.search(r"const specs = (\{.*\});", html).group(1))
    drawn = [(s["title"]["text"], s["title"]["subtitle"]) for s in specs["curve"]]
    ranked = [
        (r["phenotype"], r["compound"])
        for r in by_evidence(pl.read_parquet(analysed / "responses.parquet").to_dicts())
    ]
    assert drawn == [key for key in dict.fromkeys(ranked) if key in drawn]
    assert len(set(drawn)) == len(drawn)
