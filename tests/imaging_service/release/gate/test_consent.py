from __future__ import annotations

from dataclasses import replace

import pytest

from imaging_service.release.gate.consent import ConsentCode, Tier, decide
from plate_maps.registry import Line

OPEN = Line("A", "D1", consent="GRU", consent_scope="open")


def code_of(line, tier=Tier.OPEN, **more):
    (decision,) = decide([line.line], {line.line: line}, tier, **more)
    assert decision.allowed == (decision.code is ConsentCode.ALLOWED)
    assert bool(decision.reason) != decision.allowed
    return decision.code.value


@pytest.mark.parametrize(
    ("consent", "scope", "tier", "code"),
    [
        ("GRU", "open", "open", "allowed"),
        ("NRES", "open", "open", "allowed"),
        ("GRU", "open", "controlled", "allowed"),
        ("GRU", "controlled", "open", "scope"),
        ("GRU", "controlled", "controlled", "allowed"),
        ("GRU", "none", "controlled", "scope"),
        ("GRU", "", "controlled", "scope"),
        ("HMB", "open", "open", "restricted"),
        ("HMB-IRB", "controlled", "controlled", "allowed"),
        ("GRU-NMDS", "open", "open", "restricted"),
        ("DS (MONDO:0004976)", "controlled", "controlled", "allowed"),
        ("IRB", "controlled", "controlled", "no_permission"),
        ("", "open", "open", "unreadable"),
        ("signed in 2019", "open", "open", "unreadable"),
        ("DUO:0000042, not for companies", "open", "open", "unreadable"),
        ("DUO:0099999 GRU", "open", "open", "unreadable"),
    ],
)
def test_codes_scope_and_tier_decide(consent, scope, tier, code):
    assert code_of(replace(OPEN, consent=consent, consent_scope=scope), Tier(tier)) == code


def test_a_licence_without_commercial_use_carries_its_codes():
    line = replace(OPEN, consent="GRU-NPUNCU")
    assert code_of(line, licence="CC-BY-4.0") == "restricted"
    assert code_of(line, licence="CC-BY-NC-4.0") == "allowed"


def test_a_withdrawal_holds_for_all_lines_of_the_donor():
    lines = {"A": OPEN, "A-iso": replace(OPEN, line="A-iso", withdrawn="yes")}
    assert [d.code.value for d in decide(lines, lines, Tier.OPEN)] == ["withdrawn"] * 2


def test_lines_are_left_out_by_choice_and_unknown_ones_are_not_released():
    assert code_of(OPEN, left_out=["A"]) == "left_out"
    assert [d.code.value for d in decide(["B"], {"A": OPEN}, Tier.OPEN)] == ["not_registered"]
