from __future__ import annotations

import pytest

from imaging_service.release.requests.purpose import Purpose, judge
from plate_maps.consent import DUO
from tests.messages import states


def consent(*names):
    return " ".join(DUO[n] for n in names)


@pytest.mark.parametrize(
    ("purpose", "names", "allowed"),
    [
        (Purpose("GRU"), ["GRU"], True),
        (Purpose("GRU"), ["HMB"], False),
        (Purpose("DS", "MONDO:0004976"), ["HMB"], True),
        (Purpose("HMB"), ["DS"], False),
        (Purpose("POA"), ["GRU"], False),
        (Purpose("POA"), ["POA"], True),
        (Purpose("HMB", methods=True), ["GRU", "NMDS"], False),
        (Purpose("HMB"), ["GRU", "NMDS"], True),
        (Purpose("HMB"), ["GRU", "IRB"], False),
        (Purpose("HMB", ethics="METC 2026-1"), ["GRU", "IRB"], True),
        (Purpose("HMB", non_profit=True), ["GRU", "NPUNCU"], False),
        (Purpose("HMB", non_profit=True, non_commercial=True), ["GRU", "NPUNCU"], True),
        (Purpose("HMB", non_commercial=True), ["GRU", "NPU"], False),
        (Purpose("HMB"), ["NCU"], False),
    ],
)
def test_consents_decide_before_any_person(purpose, names, allowed):
    assert (judge(purpose, [consent(*names)]).forbidden == ()) == allowed


def test_one_line_that_forbids_is_enough_and_each_reason_stands_once():
    verdict = judge(Purpose("GRU"), [consent("GRU"), consent("HMB"), consent("HMB")])
    assert [reason.split()[0] for reason in verdict.forbidden] == ["HMB"]


def test_what_a_record_cannot_show_is_a_condition():
    verdict = judge(Purpose("DS", "MONDO:0004976"), [consent("DS", "COL", "GS")])
    assert verdict.forbidden == ()
    assert [c.split(":")[0] for c in verdict.conditions] == ["COL", "GS", "DS"]


def test_the_person_who_decides_is_shown_both_diseases():
    (condition,) = judge(Purpose("DS", "MONDO:0005180"), ["DUO:0000007 MONDO:0004976"]).conditions
    assert states("release.disease", condition, theirs="MONDO:0004976", its="MONDO:0005180")
