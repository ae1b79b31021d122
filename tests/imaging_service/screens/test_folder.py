from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from imaging_service.errors import ScreenError
from imaging_service.jobs.review.corrections import apply_review
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict
from imaging_service.screens import folder as screens_module
from imaging_service.screens.folder import (
    add_run,
    draw,
    fit,
    plates_of,
    read_screen_table,
    remove_run,
    set_registry,
    settings_of,
)
from imaging_service.web.specifications.forest import screen_forest
from phenotypes.columns.dictionary import columns, conform, empty_table
from tests.imaging_service.written_runs import LINES, REGISTRY, four_runs, write_run
from tests.messages import says, states
from tests.phenotypes.drawn_screens import ladder_wells


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return four_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def screen(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("s") / "als"
    for run in runs[:3]:
        add_run(folder, run, "north")
    registry = folder.parent / "lines.tsv"
    registry.write_text(REGISTRY, encoding="utf-8")
    set_registry(folder, registry, None)
    fit(folder)
    return folder


def copy_of(screen, tmp_path):
    return shutil.copytree(screen, tmp_path / "copy")


def test_a_report_that_cannot_be_drawn_costs_no_table(screen, tmp_path, monkeypatch):
    again = copy_of(screen, tmp_path)
    monkeypatch.setattr(screens_module, "content_of", lambda _: {}["chart"])
    fit(again)
    page = (again / "report.html").read_text()
    assert states("undrawn.why", page, why="KeyError: &#39;chart&#39;")
    assert read_screen_table(again, "responses").equals(read_screen_table(screen, "responses"))


def test_a_screen_is_tables_report_and_record(screen):
    responses = read_screen_table(screen, "responses")
    assert responses.columns == list(columns("screen"))
    assert len(responses) == 12
    rescued = responses.filter(
        (pl.col("line") == "S1") & (pl.col("phenotype") == "nc_log2_aggregate")
    ).to_dicts()[0]
    assert (rescued["hit"], rescued["rescue_status"], rescued["donor"], rescued["n_batches"]) == (
        True,
        "ok",
        "D1",
        3,
    )
    assert rescued["run_ids"].split() == [p.run_id for p in plates_of(screen)]
    assert read_screen_table(screen, "compounds").filter(
        (pl.col("group") == "SOD1") & (pl.col("status") == "ok")
    )["n_donors"].to_list() == [3, 3]
    assert read_screen_table(screen, "hazards").equals(empty_table("hazard"))
    page = (screen / "report.html").read_text(encoding="utf-8")
    assert "als" in page
    assert page.count('class="chart"') >= 2 + 2 + 2 + 12  # heatmaps, windows, forests, curves
    assert (screen / "responses.csv").stat().st_size > 1000


def test_adding_a_run_fits_only_what_it_touches_and_stale_tables_are_refused(
    screen, runs, tmp_path
):
    folder = copy_of(screen, tmp_path)
    again = fit(folder)
    assert again.tables.refitted == 0
    add_run(folder, runs[3], "north")
    with pytest.raises(ScreenError, match=says("screen.changed_since_fitted")):
        read_screen_table(folder, "responses")
    assert fit(folder).tables.refitted == 12  # every line stands on the new plate
    remove_run(folder, "0" * 60 + "0004"[:4])
    assert fit(folder).tables.responses.equals(again.tables.responses)


def test_a_damaged_record_of_fits_costs_time_and_no_number(screen, tmp_path):
    folder = copy_of(screen, tmp_path)
    before = read_screen_table(folder, "responses")
    (folder / "fits.parquet").write_bytes(b"cut")
    assert fit(folder).tables.refitted == 12
    assert read_screen_table(folder, "responses").equals(before)


def test_damaged_parts_are_named(screen, tmp_path):
    folder = copy_of(screen, tmp_path)
    part = next(folder.glob("plates/*/conditions.parquet"))
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(ScreenError, match=says("screen.conditions_unreadable")):
        fit(folder)


def test_labs_keep_their_batches_apart(runs, tmp_path):
    folder = tmp_path / "pooled"
    add_run(folder, runs[0], "north")
    other = shutil.copytree(runs[1], tmp_path / "other")
    wells = pl.read_parquet(other / "wells.parquet").with_columns(batch=pl.lit("b0"))
    wells.write_parquet(other / "wells.parquet")
    add_run(folder, other, "south")
    fitted = fit(folder)
    assert set(fitted.tables.responses["n_batches"]) == {2}
    assert any(states("screen.no_registry", f) for f in fitted.findings)


def test_nameless_batches_are_one_and_said(runs, tmp_path):
    folder = tmp_path / "nameless"
    for i, run in enumerate(runs[:2]):
        copy = shutil.copytree(run, tmp_path / f"n{i}")
        pl.read_parquet(copy / "wells.parquet").with_columns(batch=pl.lit("")).write_parquet(
            copy / "wells.parquet"
        )
        add_run(folder, copy)
    fitted = fit(folder)
    assert set(fitted.tables.responses["status"]) == {"one_batch"}
    assert any(states("screen.no_batch", f) for f in fitted.findings)


def test_one_plate_does_not_count_twice(screen, runs, tmp_path):
    folder = copy_of(screen, tmp_path)
    record = json.loads((runs[0] / "run.json").read_text())
    twin = shutil.copytree(runs[0], tmp_path / "twin")
    (twin / "run.json").write_text(
        json.dumps(record | {"run_id": "f" * 64, "protocol_digest": "other"})
    )
    with pytest.raises(ScreenError, match=says("screen.run_counted_twice")):
        add_run(folder, twin)


def test_confounded_lines_are_named(tmp_path):
    wells = ladder_wells(np.random.default_rng(0), LINES[:2], batches=2)
    folder = tmp_path / "apart"
    for i, (line, batch) in enumerate((("S1", "b0"), ("S1-iso", "b1"))):
        add_run(
            folder,
            write_run(
                tmp_path / f"r{i}",
                wells.filter((pl.col("line") == line) & (pl.col("batch") == batch)),
                i + 1,
            ),
        )
    assert any(f.startswith("confounded_with_batch:") for f in fit(folder).findings)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name = 'x'\nhealthy = ['a']", says("screen.key_named")),
        (
            "name = 'x'\neffect_floor = {nonsense = 1.0}",
            says("columns.unknown_phenotype", named="nonsense"),
        ),
        ("name = ", says("screen.not_toml")),
    ],
)
def test_settings_are_checked(screen, tmp_path, content, sentence):
    folder = copy_of(screen, tmp_path)
    (folder / "screen.toml").write_text(content)
    with pytest.raises(ScreenError, match=sentence):
        fit(folder)


def test_settings_change_what_is_read(screen, tmp_path):
    folder = copy_of(screen, tmp_path)
    text = (folder / "screen.toml").read_text()
    (folder / "screen.toml").write_text(
        text + "healthy_lines = ['S2', 'nobody']\neffect_dose_molar = {x = 1e-8, y = 1e-6}\n"
    )
    fitted = fit(folder)
    assert set(fitted.tables.responses["effect_dose_molar"]) == {1e-8}
    assert any(states("screen.no_such_healthy_line", f, line="nobody") for f in fitted.findings)
    assert any(states("screen.no_such_compound", f, compound="y") for f in fitted.findings)
    assert settings_of(folder).name == "als"


def test_what_is_no_run_or_no_screen_is_said(tmp_path, runs):
    with pytest.raises(ScreenError, match=says("screen.run_not_finished")):
        add_run(tmp_path / "s", tmp_path)
    with pytest.raises(ScreenError, match=says("screen.not_a_screen")):
        fit(tmp_path)
    add_run(tmp_path / "s", runs[0])
    with pytest.raises(ScreenError, match=says("screen.not_fitted")):
        read_screen_table(tmp_path / "s", "responses")
    (tmp_path / "bad.tsv").write_text("line\tdonor\tbirthday\nL\tD\t1970\n")
    with pytest.raises(ScreenError, match=says("registry.unknown_column", named="birthday")):
        set_registry(tmp_path / "s", tmp_path / "bad.tsv", None)
    with pytest.raises(ScreenError, match=says("screen.run_not_known")):
        remove_run(tmp_path / "s", "abc")


def test_pictures_of_every_kind_are_drawn(screen, tmp_path):
    for kind in ("curve", "forest", "heatmap", "window", "plate"):
        (svg,) = draw(screen, tmp_path, kind=kind, most=1)
        assert svg.read_text(encoding="utf-8").startswith("<svg")
    (png,) = draw(
        screen,
        tmp_path,
        kind="curve",
        line="S1",
        compound="x",
        phenotype="nc_log2_aggregate",
        fmt="png",
    )
    assert png.name == "curve_nc-log2-aggregate_x_S1.png"
    assert png.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ScreenError, match=says("screen.no_picture")):
        draw(screen, tmp_path, line="nobody")


def test_a_run_through_pixels_joins_a_screen(analysed, tmp_path):
    plate = add_run(tmp_path / "s", analysed)
    fitted = fit(tmp_path / "s")
    assert set(fitted.tables.responses["phenotype"]) <= set(plate.phenotypes)
    assert set(fitted.tables.responses["status"]) <= {
        "one_batch",
        "not_measured",
        "no_common_dose",
        "too_few_vehicles",
    }
    assert (tmp_path / "s" / "report.html").is_file()


def test_of_a_reviewed_run_the_tables_that_follow_the_review_join(analysed, tmp_path):
    run = shutil.copytree(analysed, tmp_path / "run", ignore=shutil.ignore_patterns("*.lock"))
    well = pl.read_parquet(run / "wells.parquet").filter(pl.col("status") == "done")["well"][0]
    ReviewLog(run).judge(
        Verdict(well=well, accepted=False, author="ann", reason="bubble", time=datetime.now(UTC))
    )
    with pytest.raises(
        ScreenError,
        match=says("screen.review_newer_than_tables"),
    ):
        add_run(tmp_path / "s", run)
    apply_review(run)
    plate = add_run(tmp_path / "s", run)
    assert plate.label_version == 2
    joined = pl.read_parquet(tmp_path / "s" / "plates" / plate.run_id / "wells.parquet")
    assert joined.filter(pl.col("well") == well)["status"].to_list() == ["excluded"]


def test_tables_of_other_settings_or_another_registry_are_stale(screen, tmp_path):
    folder = copy_of(screen, tmp_path)
    with (folder / "screen.toml").open("a") as stream:
        stream.write("effect_floor = {live_density = 3.0}\n")
    with pytest.raises(ScreenError, match=says("screen.settings_changed")):
        read_screen_table(folder, "responses")
    assert set(
        fit(folder).tables.responses.filter(pl.col("phenotype") == "live_density")["effect_floor"]
    ) == {3.0}
    assert read_screen_table(folder, "responses").height == 12


def test_two_clones_and_batches_with_and_without_a_lab_are_remarked(runs, tmp_path):
    folder, registry = tmp_path / "s", tmp_path / "lines.tsv"
    add_run(folder, runs[0], "north")
    other = shutil.copytree(runs[1], tmp_path / "other")
    pl.read_parquet(other / "wells.parquet").with_columns(batch=pl.lit("b0")).write_parquet(
        other / "wells.parquet"
    )
    add_run(folder, other)
    registry.write_text(REGISTRY + "S1-b\tD1\t\tS1\n", encoding="utf-8")
    set_registry(folder, registry, None)
    findings = fit(
        folder,
    ).findings
    assert any(states("screen.batch_of_two_labs", f, batch="b0") for f in findings)


def test_tables_of_a_fit_that_was_cut_short_are_not_read(screen, runs, tmp_path, monkeypatch):
    """A fit with a fourth plate dies between two tables; the plate is taken out again: old record,
    new tables, and nobody would know.
    """
    folder = copy_of(screen, tmp_path)
    added = add_run(folder, runs[3], "north")
    true, written = screens_module.write_table, []

    def dies(table, stem, **more):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(stem)
        true(table, stem, **more)

    monkeypatch.setattr(screens_module, "write_table", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(folder)
    monkeypatch.setattr(screens_module, "write_table", true)
    remove_run(folder, added.run_id)
    with pytest.raises(ScreenError, match=says("screen.fit_interrupted")):
        read_screen_table(folder, "responses")
    assert fit(folder).tables.responses.equals(read_screen_table(screen, "responses"))


def test_a_line_whose_gene_is_not_given_is_not_drawn_as_healthy(screen):
    """Lines of no genotype count as disease lines; the picture must not say otherwise. One batch
    says whose interval it is.
    """
    responses = (
        read_screen_table(screen, "responses")
        .filter(pl.col("phenotype") == "live_density")
        .with_columns(status=pl.lit("one_batch"))
    )
    pooled = read_screen_table(screen, "compounds").clear()
    spec = screen_forest(responses, pooled, "x", "live_density", {"S1": "", "S2": "SOD1"})
    drawn = {r["label"]: r["group"] for r in spec["layer"][2]["data"]["values"]}
    assert (drawn["S1 *"], drawn["S2 *"], drawn["S1-iso *"]) == (
        "gene not given",
        "SOD1",
        "healthy or corrected",
    )
    assert states("forest.one_batch", spec["title"]["subtitle"])


def written_tracks(rng, batch, hazard, *, treated):
    """The track table of a run: vehicle wells A01 to A04 and treated wells A05 to A08."""
    rows = []
    for n in range(8 if treated else 4):
        for i in range(40):
            death = rng.exponential(1 / hazard)
            rows.append(
                {
                    "well": f"A{n + 1:02d}",
                    "field": 1,
                    "track": i + 1,
                    "line": LINES[0],
                    "genotype": "SOD1",
                    "compound": "x" if n > 3 else "DMSO",
                    "dose_molar": 1e-6 if n > 3 else 0.0,
                    "control": "none" if n > 3 else "vehicle",
                    "batch": batch,
                    "entry_h": 0.0,
                    "exit_h": min(death, 96.0),
                    "event": death <= 96,
                    "reason": "" if death <= 96 else "end_of_study",
                    "included": True,
                    "study_end_h": 96.0,
                }
            )
    return conform(pl.DataFrame(rows), "track")


def test_survival_is_compared_within_plates(tmp_path):
    """Three batches; in the first a second plate, whose neurons die ten times as fast and which
    has vehicle wells only.
    """
    rng = np.random.default_rng(0)
    wells = ladder_wells(np.random.default_rng(0), LINES[:1], batches=4)
    for number, (batch, hazard) in enumerate([("b0", 0.1), ("b0", 0.01), ("b1", 0.01)]):
        run = write_run(
            tmp_path / f"r{number}", wells.filter(pl.col("batch") == f"b{number}"), number + 1
        )
        written_tracks(rng, batch, hazard, treated=number > 0).write_parquet(run / "tracks.parquet")
        add_run(tmp_path / "s", run)
    fit(tmp_path / "s")
    row = read_screen_table(tmp_path / "s", "hazards").to_dicts()[0]
    assert (row["n_wells_vehicle"], row["n_wells_treated"], row["n_batches"]) == (8, 8, 2)
    assert row["status"] == "ok"
    assert 0.6 < row["hazard_ratio"] < 1.7
    assert abs(row["rmst_difference_h"]) < 12
    assert row["p_value"] > 0.05
