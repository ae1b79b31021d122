from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from imaging_service.errors import NotFound, StoreError
from imaging_service.jobs.review import corrections
from imaging_service.jobs.review.corrections import apply_review
from imaging_service.review.crops import Crop
from imaging_service.review.local import LocalRun, review_state
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict
from imaging_service.store.labels import read_labels
from plate_maps import Well
from segmentation import Field
from segmentation.valid_area import ValidArea
from tests.messages import says, states

TABLES = ("wells", "responses", "cells", "checks", "quality")


@pytest.fixture
def run(analysed, tmp_path):
    folder = shutil.copytree(analysed, tmp_path / "run", ignore=shutil.ignore_patterns("*.lock"))
    return folder, ReviewLog(folder)


def table(folder, name):
    return pl.read_parquet(folder / f"{name}.parquet")


def erase(run, log, well, count, author="ann"):
    """Take the first `count` nuclei of field 1 out, with their somas; returns their labels."""
    base = read_labels(run / "labels.zarr", Well.parse(well), 1)
    now = log.labels(base, well, 1)
    gone = [i for i in np.unique(now["nuclei"]) if i][:count]
    crops = [Crop(n, 0, 0, np.where(np.isin(now[n], gone), 0, now[n])) for n in ("nuclei", "somas")]
    log.commit(well, 1, log.head(well, 1), crops, author, "debris")
    return gone


def test_without_a_review_the_corrected_tables_are_the_run_s_own(run):
    folder, _ = run
    found = apply_review(folder)
    assert (found.revision, found.measured, found.lines) == (1, (), ())
    for name in TABLES:
        assert table(found.folder, name).equals(table(folder, name)), name


def test_a_correction_moves_its_well_and_its_line_only(run, monkeypatch):
    folder, log = run
    before = table(folder, "wells")
    well = before.filter((pl.col("control") == "none") & (pl.col("nuclei_count") > 10))["well"][0]
    line = before.filter(pl.col("well") == well)["line"][0]
    gone = erase(folder, log, well, 3)
    measured, fitted = [], []
    true_measure, true_respond = corrections.measure, corrections.respond
    monkeypatch.setattr(corrections, "measure", lambda *a: measured.append(1) or true_measure(*a))
    monkeypatch.setattr(
        corrections, "respond", lambda *a, **k: fitted.append(k["lines"]) or true_respond(*a, **k)
    )
    found = apply_review(folder)
    after = table(found.folder, "wells")
    assert (found.revision, found.measured, found.lines) == (2, ((well, 1, 1),), (line,))
    assert (len(measured), fitted) == (1, [[line]])
    was, now = (t.filter(pl.col("well") == well)["nuclei_count"][0] for t in (before, after))
    assert now == was - 3
    assert (
        not table(found.folder, "cells")
        .filter((pl.col("well") == well) & (pl.col("field") == 1) & pl.col("label").is_in(gone))
        .height
    )
    others = pl.col("line") != line
    assert after.filter(others).drop("qc").equals(before.filter(others).drop("qc"))
    responses = table(found.folder, "responses")
    assert set(responses["label_version"]) == {2}
    assert responses.select("line", "compound", "phenotype").equals(
        table(folder, "responses").select("line", "compound", "phenotype")
    )
    assert table(folder, "wells").equals(before)  # the engine's tables stay
    apply_review(folder)
    assert len(measured) == 1  # what was measured once is kept


def test_objects_that_nobody_touched_keep_what_their_own_pixels_say(run):
    """The field is measured whole, for the neighbours' neurites; a nucleus is what it was, and says
    on which labels it was measured.
    """
    folder, log = run
    well = table(folder, "wells").filter(pl.col("nuclei_count") > 10)["well"][0]
    gone = erase(folder, log, well, 2)
    found = apply_review(folder)
    here = (pl.col("well") == well) & (pl.col("field") == 1)
    before, after = (
        table(f, "cells").filter(here & ~pl.col("label").is_in(gone))
        for f in (folder, found.folder)
    )
    own = [c for c in before.columns if c.startswith("nucleus_") and c != "nucleus_confidence"]
    assert len(own) > 8
    assert after.select("label", *own).equals(before.select("label", *own))
    assert set(after["label_version"]) == {2}
    versions = {
        name: table(found.folder, name).filter(pl.col("well") == well)
        for name in ("fields", "wells")
    }
    assert versions["fields"].sort("field")["label_version"].to_list() == [2, 1]
    assert versions["wells"]["label_version"].to_list() == [2]
    assert set(
        table(found.folder, "wells").filter(pl.col("well") != well)["label_version"].drop_nulls()
    ) == {1}


def test_going_back_brings_the_numbers_back(run):
    folder, log = run
    well = table(folder, "wells").filter(pl.col("control") == "vehicle")["well"][0]
    erase(folder, log, well, 2)
    apply_review(folder)
    log.revert(
        lambda frame: read_labels(folder / "labels.zarr", Well.parse(well), 1, frame),
        well,
        1,
        1,
        "ann",
        "was right",
    )
    found = apply_review(folder)
    drop = ["label_version"]
    assert table(found.folder, "wells").drop(drop).equals(table(folder, "wells").drop(drop))
    assert table(found.folder, "responses").drop(drop).equals(table(folder, "responses").drop(drop))


def verdict(well, field=None, accepted=False, reason="bubble"):
    return Verdict(
        well=well,
        field=field,
        accepted=accepted,
        author="ann",
        reason=reason,
        time=datetime.now(UTC),
    )


def test_rejected_fields_and_wells_leave_the_tables_with_their_reason(run):
    folder, log = run
    wells = table(folder, "wells").filter(pl.col("status") == "done")["well"].to_list()
    log.judge(verdict(wells[0], 1))
    log.judge(verdict(wells[1]))
    log.judge(verdict(wells[2], 1))
    log.judge(verdict(wells[2], 2))
    log.judge(verdict(wells[3], 1))
    log.judge(verdict(wells[3], 1, accepted=True, reason=""))  # thought better of
    found = apply_review(folder)
    after = {r["well"]: r for r in table(found.folder, "wells").iter_rows(named=True)}
    assert (after[wells[0]]["status"], after[wells[0]]["n_valid_fields"]) == ("done", 1)
    rejected = table(found.folder, "fields").filter(~pl.col("valid"))["qc"][0]
    assert states("review.rejected_by", rejected, author="ann", reason="bubble")
    assert (after[wells[1]]["status"], after[wells[1]]["reason"]) == (
        "excluded",
        "rejected by ann: bubble",
    )
    assert after[wells[2]]["status"] == "excluded"
    assert states("review.all_fields_rejected", after[wells[2]]["reason"])
    assert after[wells[3]]["n_valid_fields"] == 2


def test_a_rejected_field_moves_no_digit_of_another_well(run):
    folder, log = run
    before = table(folder, "wells")
    well, line = before.filter(pl.col("control") == "none").select("well", "line").rows()[0]
    log.judge(verdict(well, 1))
    found = apply_review(folder)
    assert found.lines == (line,)
    after = table(found.folder, "wells")
    others = pl.col("well") != well
    assert after.filter(others).equals(before.filter(others))


def test_what_cannot_be_corrected_is_said(run, tmp_path):
    with pytest.raises(NotFound, match=says("run.no_run_json")):
        apply_review(tmp_path)
    folder, _ = run
    shutil.rmtree(folder / "work")
    with pytest.raises(StoreError, match=says("plate_store.deleted")):
        apply_review(folder)


def test_the_summary_is_the_commit_point(run):
    folder, log = run
    erase(folder, log, table(folder, "wells").filter(pl.col("status") == "done")["well"][0], 1)
    found = apply_review(folder)
    assert json.loads((found.folder / "corrected.json").read_text())["revision"] == 2


def test_a_reader_meanwhile_or_after_a_kill_gets_the_tables_of_before(own_run, monkeypatch):
    """The engine's tables would be shown as those of the review."""
    log = ReviewLog(own_run)
    log.judge(verdict("B04", 1))
    assert apply_review(own_run).revision == 2
    log.judge(verdict("B05", 1))
    seen = []
    write = corrections.write_table

    def write_and_read(*args, **more):
        write(*args, **more)
        rows = LocalRun(own_run).table("fields").filter(~pl.col("valid"))
        seen.append((review_state(own_run).applied, rows.select("well", "field").rows()))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(corrections, "write_table", write_and_read)
    with monkeypatch.context() as patch:
        patch.setattr(corrections, "write_curves", killed)
        with pytest.raises(KeyboardInterrupt):
            apply_review(own_run)
    assert seen == [(2, [("B04", 1)])] * 8
    assert review_state(own_run).applied == 2
    assert apply_review(own_run).revision == 3
    assert LocalRun(own_run).table("wells").equals(table(own_run / "corrected", "wells"))


def trace(run, log, well, field=1, author="ann"):
    """Draw a straight neurite of 3 pixels' width where there is none; returns its length in µm."""
    base = read_labels(run / "labels.zarr", Well.parse(well), field)
    now = log.labels(base, well, field)
    taken = (now["neurites"] > 0) | (now["somas"] > 0)
    height, _width = taken.shape
    # Rows at a distance from whatever is there, as long a stretch as there is.
    best = (0, 0, 0)
    for y in range(12, height - 12):
        clear = ~taken[y - 8 : y + 9].any(axis=0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], clear[8:-8].astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2):
            best = max(best, (stop - start, y, start + 8))
    length, y, x = best
    assert length > 30, "the field is too crowded for this test"
    line = np.ones((3, length), np.int32)
    log.commit(well, field, log.head(well, field), [Crop("neurites", y - 1, x, line)], author, "")
    return length * json.loads((run / "run.json").read_text())["pixel_size_um"]


def test_a_traced_neurite_is_measured_with_its_field_and_its_line_only(run):
    folder, log = run
    before, fields = table(folder, "wells"), table(folder, "fields")
    well = before.filter((pl.col("control") == "none") & (pl.col("nuclei_count") > 10))["well"][0]
    line = before.filter(pl.col("well") == well)["line"][0]
    drawn_um = trace(folder, log, well)
    done = apply_review(folder)
    assert (done.revision, done.measured, done.lines) == (2, ((well, 1, 1),), (line,))
    now = table(done.folder, "fields")
    mine = (pl.col("well") == well) & (pl.col("field") == 1)
    old_row, row = fields.filter(mine).row(0, named=True), now.filter(mine).row(0, named=True)
    added = row["neurite_length_um"] - old_row["neurite_length_um"]
    assert added == pytest.approx(drawn_um, rel=0.1)
    # It touches no soma.
    assert row["neurite_unattributed_um"] - old_row["neurite_unattributed_um"] == pytest.approx(
        added, abs=1e-6
    )
    assert (row["nuclei_count"], row["label_version"]) == (old_row["nuclei_count"], 2)
    assert now.filter(~mine).equals(fields.filter(~mine))
    assert LocalRun(folder).graph(well, 1) is not None
    wells = table(done.folder, "wells")
    moved = wells.filter(pl.col("well") == well).row(0, named=True)
    assert moved["label_version"] == 2
    log.revert(
        lambda frame: read_labels(folder / "labels.zarr", Well.parse(well), 1, frame),
        well,
        1,
        1,
        "ann",
        "",
    )
    back = table(apply_review(folder).folder, "fields").filter(mine).row(0, named=True)
    assert back["neurite_length_um"] == pytest.approx(old_row["neurite_length_um"], rel=1e-9)


def test_length_under_a_painted_soma_is_no_length(run):
    folder, log = run
    well = table(folder, "wells").filter(pl.col("nuclei_count") > 10)["well"][0]
    base = read_labels(folder / "labels.zarr", Well.parse(well), 1)
    nuclei, somas = base["nuclei"].copy(), base["somas"].copy()
    lone = next(int(n) for n in np.unique(nuclei[nuclei > 0]) if not (somas == n).any())
    # The soma of a cell that had none, over everything that is free of other somas.
    somas[(somas == 0) & (nuclei == 0)] = lone
    somas[nuclei == lone] = lone
    log.commit(well, 1, 1, [Crop("somas", 0, 0, somas)], "ann", "")
    fields = table(apply_review(folder).folder, "fields")
    row = fields.filter((pl.col("well") == well) & (pl.col("field") == 1)).row(0, named=True)
    assert row["neurite_length_um"] == 0.0


def test_neurites_beyond_the_culture_are_left_out_and_named():
    inside = np.ones((40, 60), bool)
    inside[:, 40:] = False
    field = Field(
        np.ones((1, 40, 60), np.float32), ("neurite",), 0.5, known_area=ValidArea(inside, 1 / 3)
    )
    neurites = np.zeros((40, 60), np.int32)
    neurites[10:13, 20:60] = 1
    kept = corrections._on_culture({"neurites": neurites}, field)
    assert kept.labels["neurites"].sum() == 3 * 20
    assert states("corrections.beyond_culture", kept.warnings[0], area=15)
    whole = corrections._on_culture({"neurites": neurites * inside}, field)
    assert (whole.warnings, whole.labels["neurites"].sum()) == ((), 60)
    assert "neurites" not in corrections._on_culture({"nuclei": neurites}, field).labels
