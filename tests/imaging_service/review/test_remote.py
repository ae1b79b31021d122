"""Reviewing over HTTP, against a real server process with its worker."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from imaging_service.client import ServiceRefused
from imaging_service.errors import ReviewConflict, StoreError
from imaging_service.jobs.review.corrections import apply_review
from imaging_service.review.crops import Crop, pack
from imaging_service.review.remote import RemoteRun
from napari_plugin.session import ReviewSession
from tests.messages import says, states


@pytest.fixture(scope="module")
def wells(plate_service, done):
    """A well for each test: what one corrects, the next does not see."""
    return iter(
        [
            row["well"]
            for row in plate_service[1].wells(done.id)
            if row["status"] == "done" and row["nuclei_count"] > 8
        ]
    )


@pytest.fixture
def reviewer(plate_service, done, tmp_path):
    running, _ = plate_service
    opened = []

    def open_session(name, well=None, **more):
        session = ReviewSession.connect(running.url, done.id, journal=tmp_path / name, **more)
        session.author = name
        opened.append(session)
        if well is not None:
            session.go_to(well)
            session.image()
        return session

    yield open_session
    for session in opened:
        session.close()


@pytest.fixture
def folder(plate_service, done):
    session = ReviewSession.open(plate_service[0].folder / "data" / "runs" / done.id)
    yield session
    session.close()


def cells(image):
    return [int(i) for i in np.unique(image.labels["nuclei"]) if i]


def until(happens, seconds=60.0):
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happens():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not in {seconds} s")


def test_a_run_is_reviewed_over_http_as_from_its_folder(reviewer, folder, wells):
    """Erase, undo, judge; and of two reviewers on one version the second is told, and looks again."""
    well = next(wells)
    ann, bob = reviewer("ann", well), reviewer("bob", well)
    folder.go_to(well)
    assert (ann.wells, ann.caption(), ann.table.phenotypes) == (
        folder.wells,
        folder.caption(),
        folder.table.phenotypes,
    )
    assert ann.curve("live_density") == folder.curve("live_density")
    assert ann.contrast() == folder.contrast()
    mine, local = ann.image(), folder.image()
    assert np.array_equal(mine.pixels, local.pixels)
    assert [level.shape for level in mine.levels] == [level.shape for level in local.levels]
    assert (mine.roles, mine.channels, mine.pixel_size_um) == (
        local.roles,
        local.channels,
        local.pixel_size_um,
    )
    assert np.array_equal(mine.graph, local.graph)
    assert mine.graph.any()
    first, second = cells(mine)[:2]
    assert ann.erase("nuclei", first).version == 2
    with pytest.raises(ReviewConflict, match=says("log.version_not_newest")):
        bob.erase("nuclei", second)
    again = bob.image()
    assert again.label_version == 2
    assert first not in again.labels["nuclei"]
    assert bob.erase("nuclei", second).parent == 2
    bob.undo()
    assert second in ann.image().labels["nuclei"]
    ann.reject("bubble")
    assert bob.said(bob.standing()) == "rejected by ann: bubble · label version 4"
    folder.image()
    # written into the run's own folder
    assert folder.said(folder.standing()) == bob.said(bob.standing())
    bob.blinded = True
    # what others said would no longer be a second opinion
    assert bob.said(bob.standing()) == "label version 4"


def body(labels, y=0, x=0, compartment="nuclei"):
    crop = Crop(compartment, y, x, np.asarray(labels, np.int32))
    return pack([crop.region.model_dump()], [crop])


def test_of_eight_corrections_of_one_version_one_is_written(plate_service, done, wells):
    running, _ = plate_service
    url = f"{running.url}/runs/{done.id}/fields/{next(wells)}/1/labels"

    def patch(i):
        content = body(np.full((2, 2), 900))
        return running.http.patch(
            url, params={"author": f"r{i}"}, content=content, headers={"If-Match": '"1"'}
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(patch, range(8))) == [200] + [412] * 7


def test_a_correction_whose_answer_was_lost_is_written_once(plate_service, done, wells):
    running, _ = plate_service
    url = f"{running.url}/runs/{done.id}/fields/{next(wells)}/1"
    headers = {"If-Match": '"1"', "Idempotency-Key": "k-1"}
    answers = [
        running.http.patch(
            f"{url}/labels", params={"author": "ann"}, content=body([[900]]), headers=headers
        ).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert len(running.http.get(f"{url}/history").json()) == 1


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "sentence"),
    [
        ("{well}/1", b"x", {}, 428, "needs the header If-Match"),
        ("{well}/1", b"no npz", {"If-Match": '"1"'}, 422, "is not an .npz"),
        (
            "{well}/1",
            body(np.ones((2, 2)), y=319),
            {"If-Match": '"1"'},
            422,
            "reaches over the field's edge",
        ),
        ("{well}/1", body([[-1]]), {"If-Match": '"1"'}, 422, "has a negative label"),
        (
            "{well}/1",
            body([[1]], compartment="cats"),
            {"If-Match": '"1"'},
            422,
            "no labels of 'cats'",
        ),
        (
            "{well}/1",
            body([[1]], compartment="neurite_graph"),
            {"If-Match": '"1"'},
            422,
            "no labels of 'neurite_graph'",
        ),
        (
            "{well}/1",
            body([[999]], compartment="somas"),
            {"If-Match": '"1"'},
            422,
            "soma 999 has no nucleus",
        ),
        ("{well}/1", body([[1]]), {"If-Match": "newest"}, 422, "is not a version"),
        ("{well}/1", body([[1]]), {"If-Match": '"²"'.encode("latin-1")}, 422, "is not a version"),
        ("{well}/1", body([[1]]), {"If-Match": '"' + "9" * 5000 + '"'}, 422, "is not a version"),
        ("{well}/1", pack([], []), {"If-Match": '"1"'}, 422, "has no labels"),
        ("{well}/9", body([[1]]), {"If-Match": '"1"'}, 404, "field 9: no such field"),
        ("..%2F..%2Fx/1", body([[1]]), {"If-Match": '"1"'}, 404, ""),
    ],
)
def test_corrections_that_are_none_are_refused(
    plate_service, done, path, content, headers, status, sentence
):
    running, client = plate_service
    well = [row["well"] for row in client.wells(done.id) if row["status"] == "done"][-1]
    url = f"{running.url}/runs/{done.id}/fields/{path.format(well=well)}/labels"
    answer = running.http.patch(url, params={"author": "ann"}, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["detail"]
    assert running.http.get(f"{running.url}/runs/{done.id}/fields/{well}/1/history").json() == []


def test_a_rejection_without_a_reason_is_refused(plate_service, done):
    running, client = plate_service
    said = {
        "well": client.wells(done.id)[0]["well"],
        "field": 1,
        "accepted": False,
        "author": "ann",
        "time": "2026-01-01T00:00:00Z",
    }
    assert running.http.post(f"{running.url}/runs/{done.id}/verdicts", json=said).status_code == 422


def test_the_tables_follow_by_themselves(plate_service, done, reviewer, wells):
    """One correction ► its rows carry the version, the engine's stay to be had, other wells do not
    move.
    """
    running, client = plate_service
    well = next(wells)
    ann = reviewer("ann", well)
    until(lambda: (s := ann.run.state()).applied == s.revision)
    before = {r["well"]: r for r in client.wells(done.id)}
    gone = cells(ann.image())[:3]
    for label in gone:
        ann.erase("nuclei", label)
    state = until(lambda: (s := ann.run.state()).applied == s.revision and s)
    assert state.reason == ""
    after = {r["well"]: r for r in client.wells(done.id)}
    assert after[well]["nuclei_count"] == before[well]["nuclei_count"] - 3
    assert (before[well]["label_version"], after[well]["label_version"]) == (1, 4)
    assert {r["label_version"] for r in client.responses(done.id)} == {state.revision}
    engine = running.http.get(
        f"{running.url}/runs/{done.id}/wells", params={"labels": "engine"}
    ).json()
    assert (
        next(r for r in engine if r["well"] == well)["nuclei_count"] == before[well]["nuclei_count"]
    )
    others = [w for w, row in before.items() if row["line"] != before[well]["line"]]
    assert all(after[w]["live_density"] == before[w]["live_density"] for w in others)
    ann.read_tables()
    assert str(after[well]["nuclei_count"]) == ann.table.rows[well]["nuclei_count"]
    assert ann.image().graph is not None  # the skeleton, as it was measured again
    rows = running.http.get(
        f"{running.url}/runs/{done.id}/cells", params={"well": well, "field": 1}
    ).json()
    assert {r["label"] for r in rows} == set(cells(ann.image()))
    assert {r["label_version"] for r in rows} == {4}


def test_tables_that_cannot_follow_say_why_and_follow_once_it_is_mended(
    plate_service, done, reviewer, wells
):
    running, _ = plate_service
    work = running.folder / "data" / "runs" / done.id / "work"
    ann = reviewer("ann", next(wells))
    until(lambda: (s := ann.run.state()).applied == s.revision)
    work.rename(work.with_name("away"))
    try:
        ann.erase("nuclei", cells(ann.image())[0])
        assert states("plate_store.deleted", until(lambda: ann.run.state().reason))
        with pytest.raises(ServiceRefused, match=says("plate_store.deleted")):
            ann.run.apply()
    finally:
        work.with_name("away").rename(work)
    ann.run.apply()
    state = ann.run.state()
    assert (state.applied, state.reason) == (state.revision, "")


@pytest.mark.slow
def test_the_tables_follow_although_the_worker_is_killed(plate_service, done, reviewer, wells):
    """Killed as soon as it began: the next worker takes the job up, and the tables are those that
    `review apply` makes.
    """
    running, client = plate_service
    well = next(wells)
    ann = reviewer("ann", well)
    until(lambda: (s := ann.run.state()).applied == s.revision)
    ann.erase("nuclei", cells(ann.shown)[0])
    folder = running.folder / "data" / "runs" / done.id
    until(
        lambda: (
            list((folder / "review" / "measured" / well).glob("*"))
            or ann.run.state().applied == ann.run.state().revision
        )
    )
    running.worker().kill()
    state = until(lambda: (s := ann.run.state()).applied == s.revision and s)
    copy = shutil.copytree(
        folder,
        running.folder / "copy",
        ignore=shutil.ignore_patterns("*.lock", "corrected", "measured"),
    )
    apply_review(copy)
    for name in ("wells", "responses", "cells", "checks"):
        own, other = (pl.read_parquet(f / "corrected" / f"{name}.parquet") for f in (folder, copy))
        assert own.equals(other), name
    assert {r["label_version"] for r in client.responses(done.id)} == {state.revision}


def test_the_queue_gives_two_reviewers_different_fields(plate_service, done, reviewer):
    running, _ = plate_service
    ann, bob = reviewer("ann"), reviewer("bob")
    queue = ann.run.queue()
    assert len(queue) == 48
    assert [e.score for e in queue] == sorted((e.score for e in queue), reverse=True)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda i: tuple(reviewer(f"r{i}").run.claim(f"r{i}", 3)), range(4)))
    places = [p for c in claims for p in c]
    assert len(places) == len(set(places)) == 12
    assert ann.next_ranked()
    assert bob.next_ranked()
    assert (ann.well, ann.number) != (bob.well, bob.number)
    held = {(e.well, e.field): e.claimed_by for e in ann.run.queue()}
    assert held[ann.well, ann.number] == "ann"
    first = (ann.well, ann.number)
    ann.next_ranked()
    assert (ann.well, ann.number) == first  # not judged: it stays mine
    ann.image()
    ann.accept()
    assert ann.next_ranked()
    assert (ann.well, ann.number) != first
    assert next(e for e in ann.run.queue() if (e.well, e.field) == first).judged
    # Who went home blocks nothing.
    database = sa.create_engine(f"sqlite:///{running.folder / 'data' / 'service.db'}")
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE review_claim SET until = 1"))
    assert {e.claimed_by for e in ann.run.queue()} == {""}
    assert bob.run.claim("bob", 1)


def test_edits_outlive_the_death_of_server_and_reviewer(plate_service, done, reviewer, wells):
    """The server is killed between two edits, the reviewer's session after them: a new session
    sends them, and they are written once.
    """
    running, client = plate_service
    well = next(wells)
    ann = reviewer("ann", well)
    first, second = cells(ann.shown)[:2]
    ann.erase("nuclei", first)
    running.kill()
    assert ann.erase("nuclei", second).version == 3
    ann.reject("bubble")
    assert states("remote.edits_wait", ann.run.waiting(), edits=2)
    assert (ann.said(ann.standing()), second in ann.shown.labels["nuclei"]) == (
        "rejected by ann: bubble · label version 3",
        False,
    )
    ann.undo()
    assert ann.said(ann.standing()) == "rejected by ann: bubble · label version 4"
    with pytest.raises(ServiceRefused, match=says("remote.no_answer")):
        ann.go_to(ann.wells[-1])
        ann.image()
    running.start().close()
    assert (
        running.http.get(f"{running.url}/runs/{done.id}/fields/{well}/1/history").json()[-1][
            "version"
        ]
        == 2
    )
    again = reviewer("ann", well)
    assert again.run.waiting() == ""
    assert again.shown.label_version == 4
    assert np.array_equal(
        again.shown.labels["nuclei"] == second,
        ann.run.read_field(well, 1).labels["nuclei"] == second,
    )
    history = running.http.get(f"{running.url}/runs/{done.id}/fields/{well}/1/history").json()
    assert [(v["version"], v["parent"], v["author"]) for v in history] == [
        (2, 1, "ann"),
        (3, 2, "ann"),
        (4, 3, "ann"),
    ]
    assert client.run(done.id).state == "done"


def test_an_edit_made_while_away_upon_what_somebody_changed_is_kept_and_said(
    plate_service, done, reviewer, wells
):
    running, _ = plate_service
    well = next(wells)
    ann, bob = reviewer("ann", well), reviewer("bob", well)
    mine, theirs = cells(ann.shown)[:2]
    running.kill()
    ann.erase("nuclei", mine)
    ann.erase("nuclei", cells(ann.shown)[-1])
    running.start().close()
    bob.erase("nuclei", theirs)
    ann.run.sync()
    said = ann.run.waiting()
    assert said.count("refused: ") == 2
    assert states("log.version_not_newest", said)
    assert states("journal.built_on_refused", said, field=1)
    assert len(list((ann.run.journal.folder / "refused").glob("*.npz"))) == 2
    # what stands is bob's version, without a stroke of ann's laid over it unseen
    assert mine in ann.image().labels["nuclei"]
    history = running.http.get(f"{running.url}/runs/{done.id}/fields/{well}/1/history").json()
    assert [v["author"] for v in history] == ["bob"]


def test_the_plate_is_read_in_ranges_and_nothing_beside_it(plate_service, done):
    running, client = plate_service
    base = f"{running.url}/runs/{done.id}"
    well = client.wells(done.id)[0]["well"]
    chunk = f"{base}/plate.zarr/{well[0]}/{int(well[1:])}/0/0/c/0/0/0"
    whole = running.http.get(chunk)
    assert whole.status_code == 200
    part = running.http.get(chunk, headers={"Range": "bytes=-20"})
    assert (part.status_code, part.content) == (206, whole.content[-20:])
    assert running.http.head(chunk).headers["content-length"] == str(len(whole.content))
    for path in ("../run.json", "%2e%2e/run.json", "..%2Frun.json", "nothing/here", ""):
        assert running.http.get(f"{base}/plate.zarr/{path}").status_code == 404, path
    with pytest.raises(StoreError, match=says("remote.well_not_there")):
        RemoteRun(client, done.id).read_pixels("Z9", 1)


def test_a_reading_apart_moves_no_table_and_hides_nothing(
    plate_service, done, reviewer, folder, wells
):
    running, client = plate_service
    well = next(wells)
    until(lambda: (s := folder.run.state()).applied == s.revision)
    before = client.run(done.id), folder.run.state()
    bob = reviewer("bob", well, reading="bob")
    bob.erase("nuclei", cells(bob.shown)[0])
    bob.accept()
    assert folder.run.state() == before[1]
    folder.go_to(well)
    assert folder.image().label_version == 1
    assert reviewer("eve", well, reading="bob").shown.label_version == 2
    for params in ({"reading": "../x"}, {"reading": "bob", "second": "../x"}):
        assert (
            running.http.get(f"{running.url}/runs/{done.id}/agreement", params=params).status_code
            == 422
        )
    eve = reviewer("eve", well, reading="eve")
    eve.accept()
    found = running.http.get(
        f"{running.url}/runs/{done.id}/agreement", params={"reading": "bob", "second": "eve"}
    ).json()
    assert (found["n_judged"], found["kappa"]) == (1, None)
    assert found["fields"][0]["n_second"] == found["fields"][0]["n_first"] + 1


def test_neurites_are_traced_over_http_also_while_the_service_is_away(
    plate_service, done, reviewer, wells
):
    running, client = plate_service
    well = next(wells)
    ann, bob = reviewer("ann", well), reviewer("bob", well)
    engine_s = ann.shown.labels["neurites"].copy()
    side = engine_s.shape[1] - 1
    # A path along the brightest ridge needs pixels, which come over HTTP.
    assert len(ann.way((5.0, 5.0), (5.0, 60.0))) >= 50
    assert ann.trace([(2, 2), (2, side)]).version == 2
    with pytest.raises(ReviewConflict, match=says("log.version_not_newest")):
        bob.trace([(6, 2), (6, side)])
    assert bob.image().labels["neurites"][2].sum() > engine_s[2].sum()
    bob.trace([(6, 2), (6, side)])
    ann.image()
    running.kill()
    ann.trace([(10, 2), (10, side)])
    ann.erase_neurite(tuple(np.argwhere(ann.shown.labels["neurites"][9:12] > 0)[0] + (9, 0)))
    assert len(ann.run.unsent_labels(well, 1)) == 2
    assert ann.shown.label_version == 5
    running.start().close()
    ann.run.sync()
    assert ann.run.waiting() == ""
    history = client.ask("GET", f"/runs/{done.id}/fields/{well}/1/history").json()
    assert [(v["author"], v["reason"]) for v in history] == [
        ("ann", "traced a neurite"),
        ("bob", "traced a neurite"),
        ("ann", "traced a neurite"),
        ("ann", "erased a neurite"),
    ]
    assert np.array_equal(bob.image().labels["neurites"], ann.shown.labels["neurites"])
