from __future__ import annotations

from datetime import date

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.gate.consent import Tier
from imaging_service.release.gate.ledger import DonorRow, Entry, append, judge_rows, read_ledger
from tests.messages import says


def row(donors, group="disease lines", compound="x", dose=1e-6):
    return DonorRow(
        compound=compound,
        phenotype="live_density",
        dose_molar=dose,
        group=group,
        donors=tuple(donors),
    )


def entry(rows, name="first", tier=Tier.OPEN):
    return Entry(
        release=name,
        made_on=date(2026, 1, 1),
        tier=tier,
        k=5,
        lines=(),
        donors=(),
        left_out={},
        withdrawn=(),
        rows=tuple(rows),
        withheld=(),
        manifest_sha256="0" * 64,
    )


def codes(rows, tier=Tier.OPEN, entries=(), withdrawn=()):
    kept, refused = judge_rows(rows, tier, entries, withdrawn)
    return [r.group for r in kept], [(r.row.group, r.code.value) for r in refused]


def test_under_five_donors_no_mean_is_open():
    assert codes([row("ABCD")]) == ([], [("disease lines", "too_few_donors")])
    assert codes([row("ABCDE")]) == (["disease lines"], [])
    assert codes([row("AB")], Tier.CONTROLLED) == (["disease lines"], [])


def test_two_means_over_nearly_the_same_donors_are_not_both_open():
    rows = [row("ABCDEF"), row("ABCDE", "SOD1"), row("GHIJK", "FUS"), row("ABCDEF", "familial")]
    assert codes(rows) == (["disease lines", "FUS", "familial"], [("SOD1", "nested")])


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ("ABCDEF", "differencing"),
        ("ABCDEFGHI", "differencing"),
        ("ABCDX", "differencing"),
        ("ABCDEFGHIJ", None),
        ("ABCDE", None),
        ("VWXYZ", None),
    ],
)
@pytest.mark.parametrize("tier", list(Tier))
def test_the_difference_to_an_earlier_release_is_at_least_five_donors(now, code, tier):
    expected = [("SOD1 missense", code)] if code else []
    assert codes([row(now, "SOD1 missense")], tier, [entry([row("ABCDE")])])[1] == expected


def test_other_compounds_and_doses_are_other_rows():
    before = [entry([row("ABCDE"), row("ABCDE", dose=1e-5)])]
    assert codes([row("ABCDEF", compound="y"), row("ABCDEF", dose=3e-6)], entries=before)[1] == []


def test_a_row_that_differs_by_withdrawn_donors_only_is_withheld():
    before = [entry([row("ABCDEF")])]
    assert codes([row("ABCDE")], entries=before, withdrawn=["F"])[1] == [
        ("disease lines", "withdrawn")
    ]
    assert codes([row("ABCDEG")], entries=before, withdrawn=["F"])[1] == [
        ("disease lines", "differencing")
    ]


def test_a_ledger_is_read_back_and_a_change_in_it_shows(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert read_ledger(path) == []
    for name in ("first", "second", "third"):
        append(path, entry([row("ABCDE")], name))
    assert [e.release for e in read_ledger(path)] == ["first", "second", "third"]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[2]]))
    with pytest.raises(ReleaseRefused, match=says("release.ledger_changed", number=2)):
        read_ledger(path)
    path.write_text("".join([lines[0].replace('"k":5', '"k":9'), *lines[1:]]))
    with pytest.raises(ReleaseRefused, match=says("release.ledger_changed", number=2)):
        read_ledger(path)
    path.write_text("{}\n")
    with pytest.raises(ReleaseRefused, match=says("release.ledger_damaged", number=1)):
        read_ledger(path)
