from __future__ import annotations

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import NotFound, ReviewConflict, ReviewRefused, StoreError
from imaging_service.jobs.review.corrections import apply_review
from imaging_service.review.local import LocalRun
from napari_plugin import edits, places
from napari_plugin.session import ReviewSession
from tests.messages import says, states


def test_stepping_through_fields_and_wells(session):
    first = session.wells[0]
    assert (session.well, session.number) == (first, 1)
    assert not session.previous()
    assert session.next()
    assert (session.well, session.number) == (first, 2)
    assert session.next()
    assert (session.well, session.number) == (session.wells[1], 1)
    assert session.previous()
    assert (session.well, session.number) == (first, 2)
    steps = 0
    while session.next():
        steps += 1
    assert steps == 2 * len(session.wells) - 2


def test_a_caption_says_what_the_well_is(session):
    session.go_to(session.wells[3])
    caption = session.caption()
    row = next(r for r in session.run.wells() if r["well"] == session.wells[3])
    assert row["line"] in caption
    assert "live_density" in caption
    assert "(vehicle " in caption


def test_wells_without_result_say_why(session):
    with pytest.raises(ValueError, match=says("session.field_not_in_run")):
        session.go_to("A01")


def test_a_moved_folder_still_opens_and_a_damaged_one_says_so(analysed, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(analysed, moved)
    run = LocalRun(moved)
    well = ReviewSession(run).wells[0]
    assert np.array_equal(
        run.read_field(well, 1).pixels, LocalRun(analysed).read_field(well, 1).pixels
    )
    other = ReviewSession(run).wells[1]
    next(
        p
        for p in (moved / "plate.zarr" / other[0] / str(int(other[1:])) / "0" / "0" / "c").rglob(
            "*"
        )
        if p.is_file()
    ).unlink()
    with pytest.raises(StoreError, match=says("run.pixels_missing", well=other)):
        run.read_field(other, 1)  # zarr would show it black
    shutil.rmtree(moved / "labels.zarr" / well[0])
    with pytest.raises(StoreError, match=says("run.labels_missing", well=well)):
        run.read_field(well, 1)
    with pytest.raises(StoreError, match=says("session.well_not_analysed")):
        LocalRun(moved).engine_labels(well, 1)
    with pytest.raises(NotFound, match=says("run.no_run_json")):
        LocalRun(tmp_path)


@pytest.fixture
def own(analysed, tmp_path):
    """A session on a copy of the run, so that it may be written to."""
    folder = shutil.copytree(analysed, tmp_path / "own", ignore=shutil.ignore_patterns("*.lock"))
    session = ReviewSession.open(folder)
    session.author = "ann"
    yield session
    session.close()


def cells(image):
    return [int(i) for i in np.unique(image.labels["nuclei"]) if i]


def test_erasing_and_undoing_are_versions(own):
    image = own.image()
    label = cells(image)[0]
    version = own.erase("nuclei", label)
    assert (version.version, version.parent, version.author) == (2, 1, "ann")
    assert (own.shown.label_version, label in cells(own.shown)) == (2, False)
    now = own.image()
    assert (now.label_version, label in cells(now)) == (2, False)
    assert not (now.labels["somas"] == label).any()
    region = next(r for r in version.regions if r.compartment == "nuclei")
    # only the rectangle that changed is kept
    assert region.height * region.width < image.labels["nuclei"].size / 10
    own.undo()
    assert np.array_equal(own.image().labels["nuclei"], image.labels["nuclei"])
    assert own.image().label_version == 3
    assert own.said(own.standing()) == "label version 3"
    assert own.erase("nuclei", 9999) is None


def test_undo_goes_back_step_by_step_and_in_another_session_by_the_record(own):
    before = own.image()
    for label in cells(before)[:3]:
        own.erase("nuclei", label)
    for left in (2, 1, 0):
        own.undo()
        assert len(cells(before)) - len(cells(own.shown)) == left
    assert own.shown.label_version == 7
    own.erase("nuclei", cells(before)[0])
    own.erase("nuclei", cells(before)[1])
    other = ReviewSession.open(own.run.root)
    other.image()
    for left in (1, 0):
        assert other.undo() is not None
        assert len(cells(before)) - len(cells(other.shown)) == left
    assert np.array_equal(other.shown.labels["nuclei"], before.labels["nuclei"])
    for _ in range(2):
        assert other.undo() is None  # and not the undone ones again
        assert np.array_equal(other.image().labels["nuclei"], before.labels["nuclei"])
    reasons = [v.reason for v in other.run.review.history(own.well, 1)]
    assert reasons[3:6] == ["undid version 4", "undid version 3", "undid version 2"]
    assert reasons[-2:] == ["undid version 9", "undid version 8"]
    other.close()


def nearest_pair(image):
    """Two nuclei that lie near each other; those far apart are not one cell's pieces."""
    centres = {n: np.argwhere(image.labels["nuclei"] == n).mean(axis=0) for n in cells(image)}
    return min(
        ((a, b) for a in centres for b in centres if a < b),
        key=lambda p: np.hypot(*(centres[p[0]] - centres[p[1]])),
    )


def test_cells_are_merged_and_split_with_their_somas(own, monkeypatch):
    image = own.image()
    first, second = nearest_pair(image)
    with pytest.raises(ValueError, match=says("edits.cell_to_merge_missing", label=9999)):
        own.merge(first, 9999)
    assert own.run.review.history(own.well, 1) == []  # what is refused is not written
    area = {n: (image.labels["nuclei"] == n).sum() for n in (first, second)}
    monkeypatch.setattr(edits, "_APART_PX", 1000)
    own.merge(first, second)
    assert (own.image().labels["nuclei"] == first).sum() == area[first] + area[second]
    points = [tuple(np.argwhere(image.labels["nuclei"] == n).mean(axis=0)) for n in (first, second)]
    own.split(first, points)
    parts = own.image()
    assert len(cells(parts)) == len(cells(image))
    assert (parts.labels["nuclei"] > 0).sum() == (image.labels["nuclei"] > 0).sum()
    with pytest.raises(ValueError, match=says("session.points_outside_the_nucleus")):
        own.split(first, [(0.0, 0.0), (1.0, 1.0)])


def test_painting_is_saved_and_a_stale_field_is_refused(own):
    shown = own.image()
    painted = {"nuclei": shown.labels["nuclei"].copy()}
    painted["nuclei"][:3, :4] = own.new_label()
    assert own.save({"nuclei": shown.labels["nuclei"]}) is None
    other = ReviewSession.open(own.run.root)
    other.image()
    region = own.save(painted, "missed").regions[0]
    assert (region.y, region.x, region.height, region.width) == (0, 0, 3, 4)
    with pytest.raises(ReviewConflict, match=says("log.version_not_newest")):
        other.erase("nuclei", cells(shown)[0])
    other.close()
    somas = own.shown.labels["somas"].copy()
    somas[:2, :2] = own.new_label()
    with pytest.raises(ReviewRefused, match=says("log.soma_without_nucleus", label=somas[0, 0])):
        own.save({"somas": somas})


def test_the_next_fields_are_read_ahead_and_read_again_once_corrected(own, monkeypatch):
    own.image()
    own.read_ahead()
    ahead = dict(own._ahead.waiting)
    assert list(ahead) == [(own.wells[0], 2, 1), (own.wells[1], 1, 1), (own.wells[1], 2, 1)]
    assert all(isinstance(f.result().levels[0], np.ndarray) for f in ahead.values())
    own.next()
    read = []
    true_read = own.run.read_field
    monkeypatch.setattr(own.run, "read_field", lambda *a: read.append(a[:2]) or true_read(*a))
    assert own.image() is ahead[own.wells[0], 2, 1].result()
    own.read_ahead()
    other = ReviewSession.open(own.run.root)
    other.go_to(own.wells[1])
    other.erase("nuclei", cells(other.image())[0])
    other.close()
    read.clear()
    own.next()
    assert own.image().label_version == 2
    assert read[0] == (own.wells[1], 1)


def test_of_a_very_large_field_a_window_is_loaded_and_no_cell_is_corrected_by_half(
    own, monkeypatch
):
    whole = own.image()
    monkeypatch.setattr(places, "WHOLE_PX", 200)
    monkeypatch.setattr(places, "WINDOW_PX", 160)
    y, x = np.argwhere(whole.labels["nuclei"] > 0)[0]
    own.move_window(y, x)
    part = own.image()
    top, left = part.origin
    assert part.labels["nuclei"].shape == (160, 160)
    inside = slice(top, top + 160), slice(left, left + 160)
    assert np.array_equal(part.labels["nuclei"], whole.labels["nuclei"][inside])
    assert np.array_equal(part.graph[1:-1, 1:-1] > 0, whole.graph[inside][1:-1, 1:-1] > 0)
    edges = np.concatenate(
        [part.labels["somas"][e] for e in ([-1], [0])]
        + [part.labels["somas"][:, [e]].T for e in (-1, 0)],
        axis=1,
    )
    cut = [int(n) for n in np.unique(edges) if n and n in part.labels["nuclei"]]
    kept = [
        n
        for n in cells(part)
        if n not in np.unique(edges)
        and (whole.labels["nuclei"] == n).sum() == (part.labels["nuclei"] == n).sum()
    ]
    own.erase("nuclei", kept[0])
    now = own.run.read_field(own.well, 1)
    assert (now.labels["nuclei"] == kept[0]).sum() == 0
    assert (now.labels["nuclei"] != whole.labels["nuclei"]).sum() == (
        whole.labels["nuclei"] == kept[0]
    ).sum()
    for label in cut[:1]:
        with pytest.raises(ValueError, match=says("edits.cut_by_window", what=f"nuclei {label}")):
            own.erase("nuclei", label)


def test_the_plate_follows_the_verdicts_and_says_less_to_a_blinded_reviewer(own):
    assert {m.state for m in own.plate()} == {"open"}
    first, second = own.wells[:2]
    own.accept()
    own.go_to(second)
    own.reject("bubble", whole=True)
    marks = {m.well: m for m in own.plate()}
    assert [marks[w].state for w in own.wells[:3]] == ["begun", "rejected", "open"]
    line = own.table.rows[first]["line"]
    assert line in marks[first].words
    own.blinded = True
    assert line not in {m.well: m for m in own.plate()}[first].words


def test_the_panel_says_how_far_the_review_is_and_what_the_tables_lack(own):
    assert own.progress(own.standing()) == "0 of 48 fields judged"
    own.image()
    own.accept()
    assert states(
        "session.progress", own.progress(own.standing()), judged=1, fields=48, tables=1, review=2
    )
    own.reject("bubble", whole=True)
    assert states(
        "session.well_rejected", own.said(own.standing()), author="ann", reason="bubble · accepted"
    )
    own.accept(whole=True)  # thought better of
    assert own.said(own.standing()) == "well accepted · accepted"
    apart = own.again("by_ann")
    assert (apart.run.reading, apart.said(apart.standing())) == ("by_ann", "")
    assert states("session.reading", apart.progress(apart.standing()), reading="by_ann")
    apart.close()


def test_an_independent_reader_sees_what_the_engine_gave(own):
    well = own.well
    before = own.table.rows[well]["nuclei_count"]
    own.erase("nuclei", cells(own.image())[0])
    apply_review(own.run.root)
    own.read_tables()
    assert int(own.table.rows[well]["nuclei_count"]) == int(before) - 1
    apart = own.again("by_bob")
    assert apart.table.rows[well]["nuclei_count"] == before
    assert apart.image().label_version == 1
    with pytest.raises(ValueError, match=says("session.no_tables_of_a_reading")):
        apart.follow(print)
    apart.close()


def test_a_well_lies_on_its_curve_and_a_blinded_reviewer_sees_none(own):
    treated = next(w for w in own.wells if own.table.rows[w]["control"] == "none")
    own.go_to(treated)
    curve = own.curve("live_density")
    assert (curve["line"], curve["compound"]) == (
        own.table.rows[treated]["line"],
        own.table.rows[treated]["compound"],
    )
    assert treated in curve["wells"]
    vehicle = next(w for w in own.wells if own.table.rows[w]["control"] == "vehicle")
    own.go_to(vehicle)
    assert vehicle in own.curve("live_density")["wells"]
    own.blinded = True
    assert own.curve("live_density") is None


def test_the_contrast_is_one_for_the_plate(own):
    windows = [own.run.read_pixels(w, 1).contrast for w in own.wells]
    lows, highs = zip(*(w[0] for w in windows), strict=True)
    low, high = own.contrast()[0]
    assert min(lows) <= low <= max(lows)
    assert min(highs) <= high <= max(highs)
    assert own.contrast() == own.contrast()


def test_verdicts_stand_beside_the_field(own):
    own.image()
    own.reject("bubble")
    assert own.said(own.standing()) == "rejected by ann: bubble"
    own.accept()
    assert own.said(own.standing()) == "accepted"
    with pytest.raises(ValueError, match=says("session.rejection_without_reason")):
        own.reject("  ")
    own.reject("contaminated", whole=True)
    own.next()
    assert states(
        "session.well_rejected", own.said(own.standing()), author="ann", reason="contaminated"
    )


def test_the_queue_leads_from_one_urgent_field_to_the_next(own):
    assert own.next_ranked()  # the worker ranks when the run ends; the command does it again
    said = CliRunner().invoke(app, ["review", "queue", str(own.run.root), "--most", "3"])
    assert said.exit_code == 0, said.output
    ranked = [(e.well, e.field) for e in own.run.queue()]
    assert len(ranked) == 48
    seen = []
    for _ in range(3):
        assert own.next_ranked()
        seen.append((own.well, own.number))
        own.accept()
    assert seen == ranked[:3]
    own.blinded = True
    assert own.caption() == f"field {own.number} of 2 (blinded)"


def test_the_tables_follow(own):
    """Rejecting a field and erasing a cell, then `review apply`: what the reviewer did is what the
    next reader reads.
    """
    root, well = own.run.root, own.well
    before = {r["well"]: r for r in own.run.wells()}
    own.erase("nuclei", cells(own.image())[0])
    own.go_to(own.wells[1])
    own.reject("bubble")
    done = CliRunner().invoke(app, ["review", "apply", str(root)])
    assert done.exit_code == 0, done.output
    assert states("review.corrected_fields", done.output, fields=f"{well} field 1")
    after = {r["well"]: r for r in ReviewSession.open(root).run.wells()}
    assert int(after[well]["nuclei_count"]) == int(before[well]["nuclei_count"]) - 1
    assert after[own.well]["n_valid_fields"] == "1"
    said = CliRunner().invoke(app, ["review", "history", str(root)]).output
    assert states("history.corrected", said, author="ann", field=f"{well} field 1", version=2, of=1)
    assert states("history.erased", said, what="nuclei")
    assert states(
        "history.rejected", said, author="ann", field=f"{own.well} field 1", reason="bubble"
    )
