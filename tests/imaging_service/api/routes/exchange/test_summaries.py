"""Summaries of sites over HTTP."""

from __future__ import annotations

import pytest
from sqlmodel import select

from imaging_service.access.members import find_project, share
from imaging_service.access.roles import Role
from imaging_service.database.tenants import AuditRow
from imaging_service.federation.parcel import pack
from tests.imaging_service.federation.drawn_parcels import summary_folder
from tests.messages import states

PATH = "/projects/als/summaries"


@pytest.fixture
def pool(two_labs):
    """Project `als` of laboratory alpha, shared with beta, whose members may send to it."""
    with two_labs.session() as session:
        share(session, find_project(session, "als"), "beta", Role.OPERATOR)
        session.commit()
    return two_labs


def send(labs, caller, content):
    return labs.ask(
        caller, "POST", PATH, content=content, headers={"Content-Type": "application/zip"}
    )


def test_sites_send_and_who_runs_the_hub_takes(pool, tmp_path):
    north = pack(summary_folder(tmp_path / "north", "north"))
    south = pack(summary_folder(tmp_path / "south", "south"))
    sent = send(pool, "operator", north)
    assert sent.status_code == 201, sent.text
    assert send(pool, "other lab", south).json()["lab"] == "beta"
    listed = pool.ask("other viewer", "GET", PATH).json()
    assert [(s["site"], s["lab"], s["sender"]) for s in listed] == [
        ("north", "alpha", "operator"),
        ("south", "beta", "other lab"),
    ]
    # A site does not read the others' summaries.
    assert pool.ask("other lab", "GET", f"{PATH}/north").status_code == 403
    assert pool.ask("administrator", "GET", f"{PATH}/south").content == south
    stolen = send(pool, "other lab", north)
    assert stolen.status_code == 403
    assert states("inbox.of_another_laboratory", stolen.json()["detail"])
    assert pool.ask("administrator", "DELETE", f"{PATH}/north").status_code == 204
    assert pool.ask("administrator", "GET", f"{PATH}/north").status_code == 404
    with pool.session() as session:
        noted = session.exec(select(AuditRow).where(AuditRow.outcome == "201")).all()
    assert [(r.actor, r.object) for r in noted] == [("operator", "north"), ("other lab", "south")]


def test_a_viewer_sends_none_and_what_is_no_summary_is_refused(pool, tmp_path):
    content = pack(summary_folder(tmp_path / "north"))
    assert send(pool, "viewer", content).status_code == 403
    refused = send(pool, "operator", content[:-40])
    assert refused.status_code == 422
    assert states("parcel.unreadable", refused.json()["detail"])
    assert pool.ask("administrator", "GET", PATH).json() == []
