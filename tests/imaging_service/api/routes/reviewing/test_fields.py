"""Corrections and verdicts over HTTP, without a server: codes, versions, and what is written."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.access.keys import make_key
from imaging_service.access.members import add_member
from imaging_service.access.roles import Role
from imaging_service.database.session import database_engine
from imaging_service.database.tenants import AuditRow
from imaging_service.review.crops import Crop, pack, unpack
from imaging_service.review.local import LocalRun
from imaging_service.schemas import FieldLabels
from tests.messages import says, states

FIELD = "/runs/RUN/fields/B04/1"
VERDICT = {
    "well": "B04",
    "field": 1,
    "accepted": False,
    "author": "ann",
    "reason": "bubble",
    "time": "2026-01-01T00:00:00Z",
}


def body(labels=((900,),), y=0, x=0, compartment="nuclei", frame=1):
    crop = Crop(compartment, y, x, np.asarray(labels, np.int32), frame)
    return pack([crop.region.model_dump()], [crop])


def patch(served, content=None, version='"1"', path=FIELD, key="", **params):
    headers = {"If-Match": version} if version is not None else {}
    if key:
        headers["Idempotency-Key"] = key
    return served.ask(
        "PATCH",
        f"{path}/labels",
        params={"author": "ann", **params},
        content=body() if content is None else content,
        headers=headers,
    )


def labels(answer):
    meta, crops = unpack(answer.content, lambda meta: FieldLabels.model_validate(meta).regions)
    return meta, {c.compartment: c.labels for c in crops}


def jobs(served):
    with database_engine(served.settings.url).connect() as connection:
        return connection.execute(
            sa.text("SELECT count(*) FROM workflow_status WHERE queue_name='reviews'")
        ).scalar()


def test_labels_come_with_their_version_and_lie_where_they_are_said_to(served):
    answer = served.get(f"{FIELD}/labels")
    meta, found = labels(answer)
    assert (answer.headers["etag"], meta["label_version"]) == ('"1"', 1)
    engine_s = LocalRun(served.folder).engine_labels("B04", 1)
    assert set(found) == {*engine_s, "neurite_graph"}
    assert all(np.array_equal(found[name], engine_s[name]) for name in engine_s)
    window = served.get(f"{FIELD}/labels", params={"y": 10, "x": 20, "height": 30, "width": 40})
    meta, part = labels(window)
    assert np.array_equal(part["nuclei"], engine_s["nuclei"][10:40, 20:60])
    assert {(r["y"], r["x"], r["height"], r["width"]) for r in meta["regions"]} == {
        (10, 20, 30, 40)
    }


def test_a_correction_is_the_next_version_and_the_tables_are_asked_to_follow(served):
    answer = patch(served, body([[900, 901]], y=3, x=5), reason="two more")
    assert (answer.status_code, answer.json()["version"], answer.json()["parent"]) == (200, 2, 1)
    meta, found = labels(served.get(f"{FIELD}/labels"))
    assert meta["label_version"] == 2
    assert found["nuclei"][3, 5:7].tolist() == [900, 901]
    (version,) = served.get(f"{FIELD}/history").json()
    assert (version["author"], version["reason"], version["well"], version["field"]) == (
        "ann",
        "two more",
        "B04",
        1,
    )
    assert served.get("/runs/RUN/fields/B04/2/history").json() == []
    assert jobs(served) == 1


def test_a_correction_of_an_old_version_is_refused_and_writes_nothing(served):
    assert patch(served).status_code == 200
    late = patch(served, body([[7]]))
    assert (late.status_code, late.json()["type"]) == (412, "urn:imaging-service:review_conflict")
    assert len(served.get(f"{FIELD}/history").json()) == 1
    assert patch(served, body([[901]]), version='W/"2"').json()["version"] == 3


def test_a_correction_sent_twice_is_written_once(served):
    answers = [patch(served, key="k-1").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(served.get(f"{FIELD}/history").json()) == 1


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"version": None}, 428, "precondition_required"),
        ({"version": "newest"}, 422, "review_invalid"),
        ({"version": "-1"}, 422, "review_invalid"),
        ({"version": '"7"'}, 412, "review_conflict"),
        ({"content": b"no npz"}, 422, "review_invalid"),
        ({"content": pack([], [])}, 422, "review_invalid"),
        ({"content": body(np.ones((2, 2)), y=159)}, 422, "review_invalid"),
        ({"content": body(np.ones((2, 2)), x=159)}, 422, "review_invalid"),
        ({"content": body([[-1]])}, 422, "review_invalid"),
        ({"content": body([[1_000_001]])}, 422, "review_invalid"),
        ({"content": body([[1]], compartment="cats")}, 422, "review_invalid"),
        ({"content": body([[1]], compartment="granules")}, 422, "review_invalid"),
        ({"content": body([[1]], compartment="neurite_graph")}, 422, "review_invalid"),
        ({"content": body([[999]], compartment="somas")}, 422, "review_invalid"),
        ({"content": body([[1]], frame=2)}, 422, "review_invalid"),
        ({"path": "/runs/RUN/fields/B04/3"}, 404, "not_found"),
        ({"path": "/runs/RUN/fields/B04/0"}, 404, "not_found"),
        ({"path": "/runs/RUN/fields/C04/1"}, 404, "not_found"),
        ({"path": "/runs/RUN/fields/..%2F..%2Fx/1"}, 404, "not_found"),
    ],
)
def test_what_is_no_correction_is_refused(served, more, status, code):
    answer = patch(served, **more)
    assert (answer.status_code, answer.json()["type"]) == (
        status,
        f"urn:imaging-service:{code}",
    ), answer.text
    assert served.get(f"{FIELD}/history").json() == []
    assert jobs(served) == 0


def test_a_negative_label_is_refused_for_what_it_is(served):
    assert re.search(says("review.negative_label"), patch(served, body([[-1]])).text)
    assert re.search(says("review.negative_label"), patch(served, body([[5, -2]])).text)


def test_the_edge_of_the_field_belongs_to_it(served):
    assert patch(served, body(np.full((1, 1), 900), y=159, x=159)).status_code == 200


def test_going_back_is_a_version_that_holds_what_was(served):
    assert patch(served, body(np.full((2, 2), 900))).status_code == 200
    answer = served.ask("POST", f"{FIELD}/revert", json={"to": 1, "author": "bob", "undoes": 2})
    assert (answer.json()["version"], answer.json()["undoes"], answer.json()["author"]) == (
        3,
        2,
        "bob",
    )
    assert np.array_equal(
        labels(served.get(f"{FIELD}/labels"))[1]["nuclei"],
        LocalRun(served.folder).engine_labels("B04", 1)["nuclei"],
    )
    assert served.ask("POST", f"{FIELD}/revert", json={"to": 3, "author": "bob"}).status_code == 422


def test_a_verdict_stands_and_a_rejection_needs_a_reason(served):
    assert (
        served.ask("POST", "/runs/RUN/verdicts", json=VERDICT | {"reason": " "}).status_code == 422
    )
    assert served.ask("POST", "/runs/RUN/verdicts", json=VERDICT | {"field": 9}).status_code == 404
    assert served.ask("POST", "/runs/RUN/verdicts", json=VERDICT).status_code == 201
    # again: written once
    assert served.ask("POST", "/runs/RUN/verdicts", json=VERDICT).status_code == 201
    (said,) = served.get("/runs/RUN/verdicts").json()
    assert (said["well"], said["field"], said["accepted"], said["reason"]) == (
        "B04",
        1,
        False,
        "bubble",
    )
    assert served.get("/runs/RUN/review").json() == {"revision": 2, "applied": 1, "reason": ""}
    follow = served.ask("POST", "/runs/RUN/review")
    assert (follow.status_code, follow.json()["revision"]) == (202, 2)
    assert jobs(served) == 1


def test_a_reading_apart_is_seen_by_nobody_else(served):
    assert patch(served, reading="bob").json()["version"] == 2
    assert labels(served.get(f"{FIELD}/labels"))[0]["label_version"] == 1
    assert labels(served.get(f"{FIELD}/labels", params={"reading": "bob"}))[0]["label_version"] == 2
    assert jobs(served) == 0
    assert served.get("/runs/RUN/review").json()["revision"] == 1
    assert served.get("/runs/RUN/verdicts", params={"reading": "../x"}).status_code == 422
    found = served.get("/runs/RUN/agreement", params={"reading": "bob"}).json()
    assert (found["fields"][0]["n_first"], found["n_judged"]) == (
        found["fields"][0]["n_second"] + 1,
        0,
    )


def test_record_cells_and_curves_are_the_run_s_files(served):
    assert served.get("/runs/RUN/record").json() == json.loads(
        (served.folder / "run.json").read_text()
    )
    assert served.get("/runs/RUN/curves").json() == json.loads(
        (served.folder / "curves.json").read_text()
    )
    cells = served.get("/runs/RUN/cells", params={"well": "B04", "field": 2}).json()
    assert cells == LocalRun(served.folder).cells("B04", 2)
    assert {(c["well"], c["field"]) for c in cells} == {("B04", 2)}
    assert served.get("/runs/RUN/cells", params={"well": "Z9", "field": 1}).status_code == 404


def test_a_run_that_is_not_done_is_not_reviewed(served):
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(sa.text("UPDATE run SET state='running'"))
    assert patch(served).status_code == 409
    assert served.get("/runs/RUN/queue").status_code == 409


def test_a_number_in_use_painted_elsewhere_is_refused_and_writes_nothing(served):
    _, found = labels(served.get(f"{FIELD}/labels"))
    nuclei = found["nuclei"]
    number = int(nuclei[80:, 80:].max())
    refused = patch(served, body(np.full((4, 4), number)))
    assert (refused.status_code, refused.json()["type"]) == (
        422,
        "urn:imaging-service:review_invalid",
    )
    assert states("pieces.of_one_number", refused.json()["detail"], what="nuclei", number=number)
    assert served.get(f"{FIELD}/history").json() == []
    # Past 16 bits, through storing and reading back.
    assert patch(served, body(np.full((4, 4), 65_536))).status_code == 200
    _, found = labels(served.get(f"{FIELD}/labels"))
    assert (found["nuclei"] == 65_536).sum() == 16
    # What is taken back may lie in pieces, as it did.
    whole = nuclei.copy()
    whole[:4, :4] = number
    assert patch(served, body(whole), version='"2"', undoes=2).status_code == 200


def test_agreement_before_any_review_is_not_ready(served):
    answer = served.get("/runs/RUN/agreement")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:imaging-service:not_ready")


def test_agreement_on_labels_that_the_run_has_not_is_not_found(served):
    verdict = {
        "well": "B02",
        "field": 1,
        "accepted": True,
        "author": "a",
        "time": "2026-01-01T00:00:00Z",
    }
    assert served.ask("POST", "/runs/RUN/verdicts", json=verdict).status_code == 201
    answer = served.get("/runs/RUN/agreement?compartment=spines")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:imaging-service:not_found")
    assert served.get("/runs/RUN/agreement").status_code == 200


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("curves.json", "curves"),
        ("cells.parquet", "cells?well=B02&field=1"),
        ("wells.csv", "cells?well=B02&field=1"),
        ("run.json", "record"),
        ("run.json", "queue"),
    ],
)
def test_a_file_that_an_older_version_did_not_write_is_not_found(served, file, path):
    (served.folder / file).unlink()
    answer = served.get(f"/runs/RUN/{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:imaging-service:not_found")


def test_neurites_are_corrected_as_cells_are_and_come_back_as_a_mask(served):
    engine_s = LocalRun(served.folder).engine_labels("B04", 1)
    y, x = np.argwhere((engine_s["somas"] == 0) & (engine_s["neurites"] == 0))[0]
    inside = np.argwhere(engine_s["somas"] > 0)
    answer = patch(served, body([[5]], y=y, x=x, compartment="neurites"), reason="traced")
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert answer.json()["regions"][0]["compartment"] == "neurites"
    _, found = labels(served.get(f"{FIELD}/labels"))
    assert found["neurites"][y, x] == 1
    assert found["neurites"].sum() == engine_s["neurites"].sum() + 1
    # Until the field is measured again, its skeleton is not known.
    assert "neurite_graph" not in found
    assert jobs(served) == 1
    late = patch(served, body([[1]], compartment="neurites"))
    assert (late.status_code, late.json()["type"]) == (412, "urn:imaging-service:review_conflict")
    if len(inside):
        content = body([[1]], *inside[0], compartment="neurites")
        assert patch(served, content, version='"2"').status_code == 200
        assert labels(served.get(f"{FIELD}/labels"))[1]["neurites"][tuple(inside[0])] == 0
    undone = served.ask(
        "POST", f"{FIELD}/revert", json={"to": 1, "author": "ann", "reason": "", "undoes": 2}
    )
    assert undone.status_code == 200
    assert np.array_equal(
        labels(served.get(f"{FIELD}/labels"))[1]["neurites"], engine_s["neurites"]
    )


def test_the_author_is_the_key_s_owner_whatever_the_client_says(served):
    with Session(database_engine(served.settings.url)) as session:
        member = add_member(session, "local", "Ann Smith", Role.REVIEWER)
        key = make_key(session, member, "laptop").secret
        viewer = add_member(session, "local", "Vic", Role.VIEWER)
        weak = make_key(session, viewer, "laptop").secret
        session.commit()

    def ask(method, path, shown=key, **more):
        headers = more.pop("headers", {}) | {"Authorization": f"Bearer {shown}"}
        return served.ask(method, path, headers=headers, **more)

    correction = {"content": body(), "headers": {"If-Match": '"1"'}, "params": {"author": "eve"}}
    assert ask("PATCH", f"{FIELD}/labels", weak, **correction).status_code == 403
    assert ask("PATCH", f"{FIELD}/labels", **correction).json()["author"] == "Ann Smith"
    unsigned = {"content": body(((901,),)), "headers": {"If-Match": '"2"'}}
    assert ask("PATCH", f"{FIELD}/labels", **unsigned).json()["author"] == "Ann Smith"
    back = ask("POST", f"{FIELD}/revert", json={"to": 1, "author": "eve"})
    assert back.json()["author"] == "Ann Smith"
    ask("POST", "/runs/RUN/verdicts", json=VERDICT | {"author": "eve"})
    assert [v["author"] for v in ask("GET", "/runs/RUN/verdicts").json()] == ["Ann Smith"]
    claimed = ask("POST", "/runs/RUN/queue/claims", json={"reviewer": "eve", "count": 1}).json()
    assert {entry["claimed_by"] for entry in claimed} <= {"Ann Smith"}
    written = LocalRun(served.folder).review
    assert [v.author for v in written.history("B04", 1)] == 3 * ["Ann Smith"]
    with Session(database_engine(served.settings.url)) as session:
        log = session.exec(select(AuditRow).where(AuditRow.outcome == "200")).all()
        assert {(row.actor, row.project_id) for row in log} == {("Ann Smith", "default")}
        assert f"{served.run} B04 1" in {row.object for row in log}
