from __future__ import annotations

from datetime import date
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging_service.errors import ReleaseRefused
from imaging_service.release.gate.consent import Tier
from imaging_service.release.gate.ledger import (
    DonorRow,
    Entry,
    append,
    given_away,
    judge_rows,
    ledger_of,
    published,
    read_ledger,
    under_todays_codes,
)
from plate_maps.compounds import read_compounds
from tests.messages import says, states


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


def codes(rows, tier=Tier.OPEN, entries=(), withdrawn=(), compounds=None):
    kept, refused = judge_rows(rows, tier, entries, withdrawn, compounds=compounds)
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


def test_all_donors_less_those_of_each_gene_are_no_single_donor():
    rows = [row("ABCDEFGHIJK"), row("ABCDE", "SOD1"), row("FGHIJ", "FUS")]
    assert codes(rows) == (["disease lines", "SOD1"], [("FUS", "nested")])
    # The same over two releases, and with a row of this one and a row of an earlier one.
    assert codes(rows[2:], entries=[entry(rows[:2])])[1] == [("FUS", "differencing")]
    assert codes(rows[1:], entries=[entry(rows[:1])]) == (["SOD1"], [("FUS", "nested")])
    assert codes(rows[2:], Tier.CONTROLLED, [entry(rows[:2])])[1] == [("FUS", "differencing")]
    apart = [entry(rows[:1], "first"), entry(rows[1:2], "second")]
    assert codes(rows[2:], entries=apart)[1] == [("FUS", "differencing")]
    fifteen = [row("ABCDEFGHIJKLMNO"), *rows[1:]]
    assert codes(fifteen) == (["disease lines", "SOD1", "FUS"], [])


@given(
    st.lists(st.frozensets(st.sampled_from("ABCDEFGH"), min_size=1), max_size=4, unique=True),
    st.frozensets(st.sampled_from("ABCDEFGH"), min_size=3),
)
def test_what_is_given_away_can_be_computed_and_nothing_else(known, new):
    """Against every weighted sum of the rows with small whole weights."""
    rows = [np.array([d in r for d in "ABCDEFGH"], int) for r in [*known, new]]
    weights = np.stack(np.meshgrid(*[np.arange(-3, 4)] * len(rows)), -1).reshape(-1, len(rows))
    sums = weights[weights[:, -1] != 0] @ np.array(rows)
    old = weights[weights[:, -1] == 0] @ np.array(rows)
    told = given_away(frozenset(known), new, 3)

    def over(table, group):
        inside = np.array([d in group for d in "ABCDEFGH"])
        return (table[:, ~inside] == 0).all(axis=1) & (table != 0).any(axis=1)

    spanned = np.linalg.matrix_rank(np.array(rows)) == np.linalg.matrix_rank(np.array(rows[:-1]))
    for n in (1, 2):
        for group in map(frozenset, combinations("ABCDEFGH", n)):
            if any(g <= group for g in told):
                assert over(sums, group).any()
            elif not spanned and not new <= group:
                assert not over(sums, group).any() or over(old, group).any()


def test_a_renamed_compound_is_the_same_compound():
    known = read_compounds("id\tname\tsynonyms\nC1\tRilutek\tx|riluzole\n")
    before = [entry([row("ABCDE", compound="riluzole")])]
    now = [row("ABCDEF", compound="Rilutek")]
    assert codes(now, entries=before)[1] == []
    assert codes(now, entries=before, compounds=known)[1] == [("disease lines", "differencing")]
    assert codes([row("ABCDEF", compound="X ")], entries=[entry([row("ABCDE")])])[1] == [
        ("disease lines", "differencing")
    ]


def test_a_dose_is_the_same_however_it_was_computed():
    before, computed = [entry([row("ABCDE", dose=0.3)])], 0.1 + 0.2
    assert computed != 0.3
    assert codes([row("ABCDEF", dose=computed)], entries=before)[1] != []


def test_a_renamed_donor_is_the_same_donor():
    places = {"line L1": "A", "line L2": "B", "wells 77": "C"}
    written = entry([row("ABCDE")]).model_copy(update={"places": places, "donors": tuple("ABCDE")})
    now = {"line L1": "a1", "line L3": "z", "wells 77": "c1"}
    (read,) = under_todays_codes([written], now)
    assert read.rows[0].donors == read.donors == ("B", "D", "E", "a1", "c1")
    # One donor turned out to be two people: both are meant.
    both = written.model_copy(update={"places": {"line L1": "A", "line L2": "A"}})
    (read,) = under_todays_codes([both], {"line L1": "a1", "line L2": "a2"})
    assert read.donors == ("B", "C", "D", "E", "a1", "a2")


def test_a_ledger_that_lost_a_release_of_the_screen_is_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    screen, other, run = (tmp_path / name for name in ("screen", "other", "run"))
    for folder in (screen, other, run):
        folder.mkdir()
    assert ledger_of(path, [screen]) == []
    for number, name in enumerate(("first", "second")):
        append(path, entry([row("ABCDE")], name), [screen, run], number)
    append(path, entry([row("ABCDE")], "third"), [other], 2)
    assert [e.release for e in ledger_of(path, [screen])] == ["first", "second", "third"]
    lines = path.read_text().splitlines(keepends=True)
    told = says("release.ledger_lacks", count=1)
    path.write_text(lines[0])
    with pytest.raises(ReleaseRefused, match=told):
        ledger_of(path, [screen])
    with pytest.raises(ReleaseRefused, match=says("release.ledger_lacks", count=2)):
        ledger_of(tmp_path / "new.jsonl", [screen])


def test_a_second_screen_of_the_same_runs_needs_the_same_ledger(tmp_path):
    first, second, run = (tmp_path / name for name in ("first", "second", "run"))
    for folder in (first, second, run):
        folder.mkdir()
    append(tmp_path / "ledger.jsonl", entry([row("ABCDE")]), [first, run], 0)
    own = tmp_path / "own.jsonl"
    assert ledger_of(own, [second]) == []
    with pytest.raises(ReleaseRefused, match=says("release.ledger_lacks", count=1)):
        ledger_of(own, [second, run])


def test_a_folder_that_cannot_be_noted_in_stops_the_release(tmp_path):
    with pytest.raises(ReleaseRefused, match=says("release.not_noted")):
        append(tmp_path / "ledger.jsonl", entry([]), [tmp_path / "away"], 0)
    assert read_ledger(tmp_path / "ledger.jsonl") == []


def given_to(compound, dose, wells, plate="plate 1"):
    return {plate: {compound: {dose: wells}}}


@pytest.mark.parametrize(
    ("treated", "code"),
    [
        (given_to("RZL", "1 µM", "B02 B03"), "differencing"),
        # One well in common is enough.
        (given_to("RZL", "1 µM", "B03 C03"), "differencing"),
        (given_to("RZL", "1.07 µM", "B02"), None),
        (given_to("RZL", "1 µM", "C03"), None),
        (given_to("RZL", "1 µM", "B02 B03", "plate 2"), None),
    ],
)
def test_what_the_same_wells_were_given_is_the_same_compound(treated, code):
    first = entry([row("ABCDE", compound="riluzole")])
    before = first.model_copy(update={"treated": given_to("riluzole", "1 µM", "B02 B03")})
    _, refused = judge_rows(
        [row("ABCDEF", compound="RZL")], Tier.OPEN, [before], (), treated=treated
    )
    assert [r.code.value for r in refused] == ([code] if code else [])


def test_a_dose_that_was_corrected_is_of_the_same_wells():
    first = entry([row("ABCDE")])
    before = first.model_copy(update={"treated": given_to("x", "1 µM", "B02")})
    treated = given_to("x", "1.07 µM", "B02")
    _, refused = judge_rows([row("ABCDEF", dose=1.07e-6)], Tier.OPEN, [before], (), treated=treated)
    assert [r.code.value for r in refused] == ["differencing"]


def test_names_join_over_several_releases():
    wells = [("a", "B02 B03"), ("b", "B03 B04"), ("c", "B04")]
    before = [
        entry([row("ABCDE", compound=name)], name).model_copy(
            update={"treated": given_to(name, "1 µM", text)}
        )
        for name, text in wells
    ]
    now = [row("ABCDEF", compound="c")]
    assert judge_rows(now, Tier.OPEN, before[:1], ())[1] == []
    _, (refused,) = judge_rows(now, Tier.OPEN, before, ())
    assert states("release.differs_from", refused.reason, releases="a, b, c")


def test_a_structure_is_the_same_compound_in_another_screens_registry():
    key = "FTALBRSUTCGOEG-UHFFFAOYSA-N"
    other = read_compounds(f"id\tname\tinchikey\nC7\tRZL\t{key}\n")
    first = entry([row("ABCDE", compound="riluzole")])
    now = [row("ABCDEF", compound="RZL")]
    assert codes(now, entries=[first], compounds=other)[1] == []
    before = first.model_copy(update={"structures": {"riluzole": key}})
    assert codes(now, entries=[before], compounds=other)[1] != []


def test_what_was_said_of_a_renamed_donor_stays_said():
    told = {"A": {"sex": "female"}}
    written = entry([]).model_copy(
        update={"places": {"line L1": "A"}, "donors": ("A",), "facts": told, "levels": {"sex": 0}}
    )
    (read,) = under_todays_codes([written], {"line L1": "a1"})
    assert read.facts == {"a1": {"sex": "female"}}
    assert [p.facts for p in published([read], Tier.OPEN)] == [read.facts]
    controlled = read.model_copy(update={"tier": Tier.CONTROLLED})
    assert published([controlled], Tier.OPEN) == []
    assert len(published([controlled], Tier.CONTROLLED)) == 1


def test_two_releases_at_once_are_compared_with_each_other(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, entry([row("ABCDE")], "first"), [tmp_path], 0)
    with pytest.raises(ReleaseRefused, match=says("release.written_meanwhile")):
        append(path, entry([row("ABCDEF")], "second"), [tmp_path], 0)
    assert [e.release for e in read_ledger(path)] == ["first"]


def test_a_ledger_is_read_back_and_a_change_in_it_shows(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert read_ledger(path) == []
    for number, name in enumerate(("first", "second", "third")):
        append(path, entry([row("ABCDE")], name), [tmp_path], number)
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
