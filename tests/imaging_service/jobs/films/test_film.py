"""A time-lapse plate from TIFF files to hazard ratios, against the deaths that were drawn."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile

from imaging_service.errors import ImageError, StoreError
from imaging_service.jobs.films import film as film_jobs
from imaging_service.jobs.films.film import follow_well
from imaging_service.jobs.plan import read_inputs
from imaging_service.jobs.records import RunFolder, RunRecord, WellOutcome, load, save
from imaging_service.jobs.review import corrections
from imaging_service.jobs.summary import summarise
from imaging_service.protocol import parse_protocol
from imaging_service.review.local import LocalRun
from imaging_service.web import charts
from imaging_service.web.pages.films import no_survival, survival_sentences
from imaging_service.web.specifications.survival import (
    arms_of,
    pairs_by_evidence,
    survival_chart,
)
from napari_plugin.layers import field_layers
from napari_plugin.session import ReviewSession
from phenotypes.columns.dictionary import conform
from phenotypes.columns.status_words import remark_words
from segmentation.phantoms.films import Film, film_truth, render_film
from segmentation.phantoms.render import Optics
from tests.imaging_service.conftest import analyse_here
from tests.imaging_service.drawn_tasks import SURVIVAL, plane, stack_task
from tests.messages import says, states

OPTICS = Optics(shape=(560, 560), pixel_size_um=0.9)
FRAMES, INTERVAL = 7, 12.0
HAZARD = 0.006
# well ► hazard; vehicle, treated (four times the hazard), killed
WELLS = {f"B{n:02d}": h for n, h in enumerate([HAZARD] * 4 + [4 * HAZARD] * 4 + [1e6], start=2)}


def film(well, definition):
    blurred = (4,) if well == "B03" else ()
    return Film(
        frames=FRAMES,
        interval_h=INTERVAL,
        neurons_per_mm2=170,
        hazard_per_h=WELLS[well] if definition == "gedi" or WELLS[well] < 1 else 1e-9,
        vanish=definition == "reporter_loss",
        blurred=blurred,
        debris_per_frame=0.5,
    )


def seed(well):
    return int(well[1:])


@pytest.fixture(scope="module", params=["gedi", "reporter_loss"])
def analysed_film(request, tmp_path_factory):
    definition = request.param
    root = tmp_path_factory.mktemp(definition)
    for well in WELLS:
        for t, field in enumerate(render_film(film(well, definition), OPTICS, seed(well)), start=1):
            folder = root / "Film" / f"TimePoint_{t}"
            folder.mkdir(parents=True, exist_ok=True)
            for c in range(2):
                tifffile.imwrite(
                    folder / f"Film_{well}_s1_w{c + 1}.tif", field.pixels[c], compression="zlib"
                )
    rows = ["well,line,genotype,compound,dose,unit,control"]
    for well in WELLS:
        n = int(well[1:])
        rows.append(
            f"{well},SOD1-07,SOD1,{'DMSO,0,uM,vehicle' if n < 6 else 'x,1,uM,' if n < 10 else 'azide,10,mM,positive'}"
        )
    (root / "map.csv").write_text("\n".join(rows) + "\n")
    protocol = parse_protocol(
        {
            "name": "live",
            "channels": {"neurite": "1", "death": "2"},
            "segmentation": {"engine": "classical"},
            "acquisition": {"pixel_size_um": 0.9, "frame_interval_h": INTERVAL},
            "survival": {"definition": definition},
            "response": {"phenotypes": ["rmst_h"]},
        },
        "p",
    )
    analyse_here(read_inputs(root / "Film", root / "map.csv", protocol, None, "auto"), root / "out")
    return definition, root / "out"


def table(out, name):
    return pl.read_parquet(out / f"{name}.parquet")


def matched(out, definition):
    """Included tracks beside the hour of death of the neuron that was drawn where they began."""
    rows = []
    for track in table(out, "tracks").filter("included").iter_rows(named=True):
        truth = film_truth(film(track["well"], definition), OPTICS, seed(track["well"]))
        away = np.hypot(*(truth.start_um - (track["y_um"], track["x_um"])).T)
        if away.min() < 6:
            rows.append({**track, "death_h": float(truth.death_h[np.argmin(away)])})
    return pl.DataFrame(rows)


def test_neurons_are_found_and_followed(analysed_film):
    definition, out = analysed_film
    tracks = table(out, "tracks")
    assert conform(tracks, "track").equals(tracks)
    lives = WELLS if definition == "reporter_loss" else {w: h for w, h in WELLS.items() if h < 1}
    drawn = sum(len(film_truth(film(w, definition), OPTICS, seed(w)).start_um) for w in lives)
    found = tracks.filter(pl.col("included") & pl.col("well").is_in(list(lives)))
    assert 0.85 * drawn <= len(found) <= 1.1 * drawn


def test_deaths_are_timed_to_the_frame_and_the_living_are_never_dead(analysed_film):
    definition, out = analysed_film
    pairs = matched(out, definition).filter(pl.col("control") != "positive")
    events = pairs.filter("event")
    last = (FRAMES - 1) * INTERVAL
    # Reporter loss needs two absent frames: who dies in the last interval cannot be confirmed.
    seen = last if definition == "gedi" else last - INTERVAL
    due = pairs.filter(pl.col("death_h") <= seen)
    assert len(events) >= 20
    assert events.filter(pl.col("death_h") > pl.col("exit_h")).is_empty(), (
        "someone was called dead while alive"
    )
    late = events.with_columns((pl.col("exit_h") - pl.col("death_h")).alias("late"))["late"]
    # A frame out of focus makes one death a frame later.
    assert (late < INTERVAL).mean() > 0.95
    assert len(due.filter("event")) >= 0.8 * len(due)


def test_the_blurred_frame_is_left_out_and_the_drift_is_known(analysed_film):
    definition, out = analysed_film
    fields = table(out, "fields")
    unusable = fields.filter(~pl.col("usable")).select("well", "frame").rows()
    assert ("B03", 4) in unusable
    assert len(unusable) <= 4
    for well in ("B02", "B03", "B07"):
        truth = film_truth(film(well, definition), OPTICS, seed(well)).drift_um
        own = fields.filter((pl.col("well") == well) & pl.col("usable")).sort("frame")
        measured = own.select("drift_y_um", "drift_x_um").to_numpy()
        assert np.abs(measured - truth[own["frame"].to_numpy() - 1]).max() < 8


def test_the_hazard_ratio_is_in_its_interval(analysed_film):
    _, out = analysed_film
    row = table(out, "hazards").filter(pl.col("compound") == "x").to_dicts()[0]
    # One plate is one batch: an interval between its wells, and no p.
    assert row["status"] in {"one_batch", "informative_censoring"}, row["reason"]
    assert row["p_value"] is None
    assert row["hr_low"] <= 4.0 <= row["hr_high"]
    assert row["hr_low"] > 1
    assert row["rmst_difference_h"] < 0
    assert row["n_wells_vehicle"] == row["n_wells_treated"] == 4


def test_the_well_table_and_the_report_speak_of_survival(analysed_film):
    definition, out = analysed_film
    wells = table(out, "wells")
    vehicle, treated = (
        wells.filter(pl.col("compound") == c)["rmst_h"].mean() for c in ("DMSO", "x")
    )
    assert vehicle > treated
    assert states("report.survival", (out / "report.html").read_text())
    assert (
        json.loads((out / "run.json").read_text())["inputs"]["protocol"]["survival"]["definition"]
        == definition
    )
    checks = table(out, "checks").filter(pl.col("check") == "death").to_dicts()[0]
    assert checks["status"] == "ok"
    assert (checks["value"] is not None) == (definition == "gedi")


def test_the_report_draws_survival_with_its_medians_and_neurons_at_risk(analysed_film):
    out = analysed_film[1]
    html = (out / "report.html").read_text()
    drawn = json.loads(re.search(r"const specs = (\{.*\});", html)[1])["survival"]
    hazards = table(out, "hazards").to_dicts()
    tracks = table(out, "tracks")
    for spec, (line, compound) in zip(drawn, pairs_by_evidence(hazards), strict=True):
        assert spec == survival_chart(arms_of(tracks, line, compound), line, compound)
        assert charts.png(spec, scale=0.5).startswith(b"\x89PNG")
    section = html[html.index('<section id="survival">') : html.index('<section id="plate">')]
    arms = [a for h in pairs_by_evidence(hazards) for a in arms_of(tracks, *h)]
    medians = [a.median[0] for a in arms]
    assert section.count("not reached") == medians.count(None)
    for arm in arms:
        assert "".join(f'<td class="n">{n}</td>' for n in arm.at_risk) in section
    first = html[html.index('id="found"') : html.index('id="responses"')]
    assert all(f"<li>{sentence}</li>" in first for sentence in survival_sentences(hazards))


def test_the_report_of_a_film_without_compounds_says_why_it_has_no_curve(analysed_film, tmp_path):
    folder = RunFolder(shutil.copytree(analysed_film[1], tmp_path / "out"))
    record = load(RunRecord, folder.record)
    vehicle = [
        dict(r, compound="DMSO", dose_molar=None, control="vehicle")
        for r in record.inputs.plate_map_records
    ]
    save(replace(record, inputs=replace(record.inputs, plate_map_records=vehicle)), folder.record)
    summarise(folder.root, {n: load(WellOutcome, folder.outcome(n)) for n in record.wells})
    html = (folder.root / "report.html").read_text()
    assert '"survival":[]' in html
    checks = table(folder.root, "checks").to_dicts()
    why = no_survival(table(folder.root, "tracks"), 0, checks)
    assert f'<h2>Survival over time</h2>\n<p class="notice">{why}</p>' in html
    # Without a positive control GEDI has no threshold; a reporter needs none, and no arm is there.
    (death,) = (c["reason"] for c in checks if c["check"] == "death")
    assert (remark_words(death) in why) is (analysed_film[0] == "gedi")


# A plate that was taken out and put back before the fourth frame; and time point 3 is missing.
PUT_BACK = {
    "B02": ((0.0, 0.0), 2.5, 0.0),
    "B03": ((80.0, 0.0), 0.0, 0.0),
    "B04": ((-50.0, 60.0), -3.0, 0.0),
    "B05": ((0.0, 0.0), 2.5, 0.008),
    "B06": ((80.0, 0.0), 0.0, 0.008),
    "B07": ((0.0, 0.0), 0.0, 0.008),
}
NUMBERS = (1, 2, 4, 5, 6, 7)


def put_back(well):
    shift, turn, hazard = PUT_BACK[well]
    return Film(
        frames=len(NUMBERS),
        neurons_per_mm2=170,
        hazard_per_h=hazard,
        debris_per_frame=0.5,
        reseated=4,
        reseat_um=shift,
        reseat_deg=turn,
    )


@pytest.fixture(scope="module")
def reseated(tmp_path_factory):
    root = tmp_path_factory.mktemp("reseated")
    for well in PUT_BACK:
        for t, field in zip(NUMBERS, render_film(put_back(well), OPTICS, seed(well)), strict=True):
            folder = root / "Film" / f"TimePoint_{t}"
            folder.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / f"Film_{well}_s1_w1.tif", field.pixels[0])
    rows = [f"{well},L,,DMSO,0,uM,vehicle" for well in PUT_BACK]
    header = "well,line,genotype,compound,dose,unit,control"
    (root / "map.csv").write_text("\n".join([header, *rows]) + "\n")
    protocol = parse_protocol(
        {
            "name": "live",
            "channels": {"neurite": "1"},
            "segmentation": {"engine": "classical"},
            "acquisition": {"pixel_size_um": 0.9, "frame_interval_h": INTERVAL},
            "survival": {"definition": "reporter_loss"},
            "response": {"phenotypes": ["rmst_h"]},
        },
        "p",
    )
    analyse_here(read_inputs(root / "Film", root / "map.csv", protocol, None, "auto"), root / "out")
    return root / "out"


def drawn_and_tracked(out, well):
    """Included tracks of drawn neurons, with their drawn death and whether always in view."""
    film_of_well, side = put_back(well), np.array(OPTICS.shape) * OPTICS.pixel_size_um
    truth = film_truth(film_of_well, OPTICS, seed(well))
    views = [truth.seen_um(truth.start_um, f) for f in range(film_of_well.frames)]
    seen = np.all([((v > 20) & (v < side - 20)).all(axis=1) for v in views], axis=0)
    rows = []
    for track in table(out, "tracks").filter("included", well=well).iter_rows(named=True):
        away = np.hypot(*(truth.start_um - (track["y_um"], track["x_um"])).T)
        if away.min() < 6:
            i = int(np.argmin(away))
            rows.append(track | {"death_h": float(truth.death_h[i]), "always_seen": bool(seen[i])})
    return pl.DataFrame(rows)


@pytest.mark.parametrize("well", ["B02", "B03", "B04"])
def test_a_plate_put_back_otherwise_kills_no_neuron(reseated, well):
    tracked = drawn_and_tracked(reseated, well)
    assert len(tracked) > 35
    assert tracked.filter("event").is_empty()
    seen = tracked.filter("always_seen")
    assert (seen["reason"] == "end_of_study").mean() > 0.9
    left = tracked.filter(pl.col("reason") == "left_field")
    assert left.filter("always_seen").is_empty()
    assert len(left) >= (4 if well != "B02" else 0)


@pytest.mark.parametrize("well", ["B05", "B06", "B07"])
def test_a_plate_put_back_otherwise_hides_no_death(reseated, well):
    seen = drawn_and_tracked(reseated, well).filter("always_seen")
    # Film hours are drawn at 0, 12, 24 …; by their numbers they are 0, 12, 36, 48, 60, 72.
    due = seen.filter(pl.col("death_h") <= 48)
    assert len(due) >= 8
    found = due.filter("event")
    assert 0.9 * len(due) <= len(found)
    assert len(seen.filter("event")) <= 1.1 * len(due)
    assert set(found["exit_h"]) <= {12.0, 36.0, 48.0, 60.0}


def test_the_place_of_each_frame_is_published(reseated):
    fields = table(reseated, "fields")
    for well, (shift, turn, _) in PUT_BACK.items():
        frames = fields.filter(pl.col("well") == well).sort("frame")
        truth = film_truth(put_back(well), OPTICS, seed(well))
        assert frames["turn_deg"].to_numpy() == pytest.approx(truth.turn_deg, abs=0.25)
        drift = frames.select("drift_y_um", "drift_x_um").to_numpy()
        assert drift == pytest.approx(truth.drift_um, abs=3)
        assert frames["usable"].all()
        assert frames["registration_quality"][0] is None
        assert frames["registration_quality"][1:].min() > 0.6
        assert frames["turn_deg"].abs().max() > 1 or turn == 0, (well, shift)


def test_a_missing_time_point_leaves_its_gap(reseated):
    hours = [0.0, 12.0, 36.0, 48.0, 60.0, 72.0]
    for _, frames in table(reseated, "fields").group_by("well"):
        assert frames.sort("frame")["time_h"].to_list() == hours
    assert table(reseated, "tracks")["study_end_h"].unique().to_list() == [60.0]
    run = json.loads((reseated / "run.json").read_text())
    assert any(states("hours.time_point_missing", note, missing=3) for note in run["notes"])
    assert run["hours"]["B02"] == hours
    image = LocalRun(reseated).read_pixels("B02", 1)
    assert image.hours == tuple(hours)


@pytest.fixture
def reviewed(analysed_film, tmp_path):
    """A session on a copy of the film's run, at a vehicle well, with a neuron that lives to the
    end: (session, track, its labels by frame).
    """
    _, out = analysed_film
    session = ReviewSession.open(
        shutil.copytree(out, tmp_path / "run", ignore=shutil.ignore_patterns("*.lock"))
    )
    session.author = "ann"
    session.go_to("B02")
    cells = table(out, "cells").filter((pl.col("well") == "B02") & pl.col("track").is_not_null())
    track = next(
        t
        for t, n in cells.group_by("track", maintain_order=True).agg(pl.len()).rows()
        if n == FRAMES
    )
    yield (
        session,
        int(track),
        dict(cells.filter(pl.col("track") == track).select("frame", "label").rows()),
    )
    session.close()


def tracks_of(folder):
    return pl.read_parquet(folder / "tracks.parquet").filter(pl.col("well") == "B02")


def test_a_time_point_is_corrected_its_field_linked_anew_and_no_other_measured(
    reviewed, monkeypatch
):
    session, _, labels = reviewed
    out = session.run.root
    for frame in range(4, FRAMES + 1):
        session.go_to_frame(frame)
        assert session.image().frame == frame
        session.erase("somas", labels[frame])
    measured = []
    true_measure = corrections.measure
    monkeypatch.setattr(corrections, "measure", lambda *a: measured.append(1) or true_measure(*a))
    found = corrections.apply_review(out)
    assert found.measured == tuple(("B02", 1, f) for f in range(4, FRAMES + 1))
    assert len(measured) == FRAMES - 3
    before, after = (
        pl.read_parquet(p / "cells.parquet").filter(pl.col("well") == "B02")
        for p in (out, found.folder)
    )
    untouched = pl.col("frame") < 4
    measures = [c for c in before.columns if c not in ("track", "conflict")]
    assert (
        after.filter(untouched).select(measures).equals(before.filter(untouched).select(measures))
    )
    assert dict(after.group_by("frame").agg(pl.col("label_version").first()).rows()) == {
        1: 1,
        2: 1,
        3: 1,
        4: 2,
        5: 3,
        6: 4,
        7: 5,
    }
    # The neuron's cells of the first time points are still one track, which now ends there.
    now = after.filter((pl.col("frame") == 1) & (pl.col("label") == labels[1]))["track"][0]
    assert sorted(after.filter(pl.col("track") == now)["frame"]) == [1, 2, 3]
    placed = ("drift_y_um", "turn_deg", "registration_quality", "usable", "time_h", "exposed_h")
    for name in placed:
        assert table(found.folder, "fields")[name].equals(table(out, "fields")[name]), name
    others = pl.col("well") != "B02"
    assert table(found.folder, "tracks").filter(others).equals(table(out, "tracks").filter(others))
    session.run.revert("B02", 1, 1, "ann", "was right")
    back = corrections.apply_review(out)
    assert table(back.folder, "tracks").equals(table(out, "tracks"))
    assert table(back.folder, "hazards").equals(table(out, "hazards"))


def test_a_rejected_track_stays_the_neuron_that_was_pointed_at(reviewed):
    """Its number may change when the field is linked anew; the cell that was pointed at says which
    it is.
    """
    session, track, labels = reviewed
    out = session.run.root
    session.go_to_frame(5)
    session.image()
    assert session.reject_track(labels[5], "two cells") == track
    found = corrections.apply_review(out)
    own = {r["track"]: r for r in tracks_of(found.folder).iter_rows(named=True)}
    assert not own[track]["included"]
    assert own[track]["excluded_reason"] == "rejected by ann: two cells"
    # The cells of another neuron that comes before it go: numbers move up.
    cells = pl.read_parquet(out / "cells.parquet").filter(
        (pl.col("well") == "B02") & pl.col("track").is_not_null()
    )
    first = int(cells["track"].min())
    for frame, label in cells.filter(pl.col("track") == first).select("frame", "label").rows():
        if first != track:
            session.go_to_frame(frame)
            session.image()
            session.erase("somas", label)
    found = corrections.apply_review(out)
    now = pl.read_parquet(found.folder / "cells.parquet").filter(
        (pl.col("well") == "B02") & (pl.col("frame") == 5) & (pl.col("label") == labels[5])
    )
    rejected = tracks_of(found.folder).filter(
        pl.col("excluded_reason").str.contains("rejected by ann")
    )
    assert rejected["track"].to_list() == now["track"].to_list()
    session.go_to_frame(5)
    session.image()
    session.erase("somas", labels[5])
    with pytest.raises(StoreError, match=says("film.rejected_cell_removed")):
        corrections.apply_review(out)
    with pytest.raises(ValueError, match=says("film.cell_of_no_track")):
        session.reject_track(10_000, "nobody")


# napari's own colour maps.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_reviewer_sees_the_film_with_its_tracks(reviewed):
    session, _, labels = reviewed
    session.go_to_frame(3)
    image = session.image()
    assert (image.frames, image.frame, len(image.levels[0].shape)) == (FRAMES, 3, 4)
    assert labels[3] in image.labels["somas"]
    layers = {
        s["name"]: (data, s, kind)
        for data, s, kind in field_layers(image, session.contrast(), session.tracks())
    }
    assert layers["neurite (1)"][0][0].shape == (FRAMES, 560, 560)
    tracks, settings, kind = layers["tracks"]
    assert (kind, settings["scale"]) == ("tracks", (1.0, 1.0, 1.0))
    cells = pl.read_parquet(session.run.root / "cells.parquet").filter(
        (pl.col("well") == "B02") & pl.col("track").is_not_null()
    )
    assert len(tracks) == len(cells)
    assert tracks[:, 1].max() == FRAMES - 1


def drawn_task(tmp_path, monkeypatch, frames, **changed):
    """(task, cells, fields) of one field whose stored frames are these images."""
    planes = {(1, t, c, 1): plane(1) for t in range(1, len(frames) + 1) for c in "12"}
    times = tuple(range(1, len(frames) + 1))
    task = replace(stack_task(tmp_path, planes, more=SURVIVAL, times=times), **changed)
    stored = [np.stack([f, f]) for f in frames]
    monkeypatch.setattr(
        film_jobs.plates, "read_field", lambda *place: (stored[place[3] - 1], task.roles, 0.5)
    )
    places = [(y, x) for y in range(40, 240, 40) for x in range(40, 240, 40)]
    cells = [
        {"well": "B02", "field": 1, "frame": t, "label": i, "y_um": float(y), "x_um": float(x)}
        for t in times
        for i, (y, x) in enumerate(places, start=1)
    ]
    fields = [
        {"well": "B02", "field": 1, "frame": t, "height_um": 256.0, "width_um": 256.0}
        for t in times
    ]
    return task, conform(pl.DataFrame(cells), "cell"), conform(pl.DataFrame(fields), "field")


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [rng.normal(100, 5, (512, 512)).astype(np.float32) for _ in range(4)]


def test_a_copy_of_a_frame_takes_no_part(tmp_path, monkeypatch, pictures):
    task, cells, fields = drawn_task(
        tmp_path, monkeypatch, [*pictures[:2], pictures[1], *pictures[2:]]
    )
    tracked, described = follow_well(task, cells, fields, set())
    assert described["usable"].to_list() == [True, True, False, True, True]
    assert described["warnings"].is_not_null().to_list() == [False, False, True, False, False]
    assert states("film.frame_copied", described["warnings"][2])
    assert tracked.filter(pl.col("frame") == 3)["track"].null_count() == 25
    assert tracked.filter(pl.col("frame") != 3)["track"].null_count() == 0
    assert described["time_h"].to_list() == [0.0, 6.0, 12.0, 18.0, 24.0]


def test_a_frame_with_the_date_of_the_one_before_takes_no_part(tmp_path, monkeypatch, pictures):
    hours = (0.0, 6.0, 6.0, 12.0)
    task, cells, fields = drawn_task(tmp_path, monkeypatch, pictures, hours=hours)
    _, described = follow_well(task, cells, fields, set())
    assert described["usable"].to_list() == [True, True, False, True]
    assert described["time_h"].to_list() == list(hours)


def test_a_film_whose_times_go_back_is_refused(tmp_path, monkeypatch, pictures):
    hours = (0.0, 6.0, 4.5, 12.0)
    task, cells, fields = drawn_task(tmp_path, monkeypatch, pictures, hours=hours)
    with pytest.raises(ImageError, match=says("film.times_out_of_order")):
        follow_well(task, cells, fields, set())
