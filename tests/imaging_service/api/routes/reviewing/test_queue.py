from __future__ import annotations

import sqlalchemy as sa

from imaging_service.database.session import database_engine


def queue(served, **params):
    return served.get("/runs/RUN/queue", params=params).json()


def claim(served, reviewer, count=1, **params):
    answer = served.ask(
        "POST", "/runs/RUN/queue/claims", json={"reviewer": reviewer, "count": count}, params=params
    )
    return [(e["well"], e["field"]) for e in answer.json()]


def judge(served, place, accepted=True):
    said = {
        "well": place[0],
        "field": place[1],
        "accepted": accepted,
        "author": "ann",
        "reason": "x",
        "time": "2026-01-01T00:00:00Z",
    }
    return served.ask("POST", "/runs/RUN/verdicts", json=said).status_code


def test_the_most_urgent_comes_first_and_is_nobody_s(served):
    entries = queue(served)
    assert len(entries) == 12
    assert [e["score"] for e in entries] == sorted((e["score"] for e in entries), reverse=True)
    assert {(e["judged"], e["claimed_by"]) for e in entries} == {(False, "")}


def test_two_reviewers_get_different_fields_and_one_keeps_hers(served):
    order = [(e["well"], e["field"]) for e in queue(served)]
    assert claim(served, "ann", 2) == order[:2]
    assert claim(served, "bob", 2) == order[2:4]
    assert claim(served, "ann", 2) == order[:2]
    assert claim(served, "ann", 3) == [*order[:2], order[4]]
    assert [e["claimed_by"] for e in queue(served)][:5] == ["ann", "ann", "bob", "bob", "ann"]


def test_a_judged_field_is_not_given_again(served):
    first, second = claim(served, "ann", 2)
    assert judge(served, first) == 201
    assert claim(served, "ann") == [second]
    assert judge(served, (second[0], None), accepted=False) == 201  # the whole well
    assert all(well != second[0] for well, _ in claim(served, "ann", 50))


def test_an_old_claim_blocks_nobody(served):
    mine = claim(served, "ann")
    with database_engine(served.settings.url).begin() as connection:
        held = connection.execute(
            sa.text("SELECT until - strftime('%s', 'now') FROM review_claim")
        ).scalar()
        assert 890 < held < 905  # a quarter of an hour
        connection.execute(sa.text("UPDATE review_claim SET until = 1"))
    assert {e["claimed_by"] for e in queue(served)} == {""}
    assert claim(served, "bob") == mine


def test_a_reading_apart_has_claims_of_its_own(served):
    assert claim(served, "ann") == claim(served, "bob", reading="bob")
    assert {e["claimed_by"] for e in queue(served, reading="bob")} == {"", "bob"}


def test_no_more_than_there_are(served):
    assert len(claim(served, "ann", 50)) == 12
    assert claim(served, "bob", 50) == []
