"""What a laboratory may use at once, and its turn among the others."""

from __future__ import annotations

import heapq

import pytest

from imaging_service.access.limits import (
    GOING_ON,
    check_runs,
    check_uploads,
    going_on,
    projects_of_lab,
    turn,
)
from imaging_service.access.members import add_project, find_lab
from imaging_service.database.tables import RunRow
from imaging_service.errors import QuotaReached
from tests.imaging_service.tenants import PLATE
from tests.messages import says


@pytest.fixture
def session(two_labs):
    with two_labs.session() as opened:
        yield opened


def add_runs(session, count, project="als", state="queued", plate=PLATE):
    for number in range(count):
        session.add(
            RunRow(
                id=f"{project}{state}{number}".ljust(20, "0"),
                project_id=project,
                plate_id=plate,
                protocol_name="x",
                engine="classical",
                state=state,
                n_wells=1,
                n_skipped=0,
            )
        )
    session.commit()


def test_runs_that_go_on_in_any_project_of_the_laboratory_are_counted(session):
    add_project(session, "alpha", "tdp")
    assert sorted(projects_of_lab(session, "alpha")) == ["als", "tdp"]
    # One is queued in each laboratory from the beginning.
    for state in ("running", "waiting", "done", "failed", "cancelled"):
        add_runs(session, 2, "tdp", state)
    assert going_on(session, "alpha") == 1 + 2 * len([s for s in GOING_ON if s != "queued"])
    assert (turn(session, "als"), turn(session, "ftd")) == (5, 1)
    assert turn(session, "default") == 1


def test_a_laboratory_at_its_limit_has_to_wait_and_another_has_not(session):
    check_runs(session, "als")
    find_lab(session, "alpha").most_runs = 2
    check_runs(session, "als")
    add_runs(session, 1)
    with pytest.raises(QuotaReached, match=says("quota.runs", lab="alpha", runs=2)):
        check_runs(session, "als")
    check_runs(session, "ftd")
    find_lab(session, "alpha").most_runs = 0
    with pytest.raises(QuotaReached):
        check_runs(session, "als")


def test_uploads_fill_their_limit_and_no_more(session):
    check_uploads(session, "als", 2**60, 2**60)
    find_lab(session, "alpha").most_upload_bytes = 100
    check_uploads(session, "als", 60, 40)
    with pytest.raises(QuotaReached, match=says("quota.uploads", most=100, held=60)):
        check_uploads(session, "als", 60, 41)


def test_a_small_laboratory_s_plate_ends_as_if_the_large_one_had_only_one_run(session):
    """The queue gives the lowest number first; 8 runs of `alpha` against one of `beta`."""
    add_runs(session, 7)
    queue, number = [], 0
    every = turn(session, "als")
    for run in range(8):
        for well in range(1, 97):
            heapq.heappush(queue, (well * every, number := number + 1, "alpha", run))
    every = turn(session, "ftd")
    for well in range(1, 97):
        heapq.heappush(queue, (well * every, number := number + 1, "beta", 0))
    order = [heapq.heappop(queue)[2] for _ in range(9 * 96)]
    done_when = max(i for i, lab in enumerate(order) if lab == "beta") + 1
    # 96 of its own and as many of the other laboratory, not 9 × 96.
    assert done_when <= 2 * 96
