from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging_service.errors import ReleaseRefused
from imaging_service.release.gate.people import (
    LADDER,
    Published,
    age,
    generalise,
    genotype,
    smallest_class,
)
from plate_maps.registry import Line
from tests.messages import says

PATIENT = Line(
    "A", "D", gene="SOD1", hgvs="p.A5V", sex="female", age_at_sampling="50-59", country="NL"
)


def patients(count, **changes):
    return [replace(PATIENT, line=f"L{i}", donor=f"D{i}", **changes) for i in range(count)]


def test_clones_do_not_raise_k():
    clones = [replace(PATIENT, line=f"A-{i}", clone=str(i)) for i in range(5)]
    assert generalise(clones, frozenset()).k == 1
    twelve = [replace(p, line=f"{p.line}-{i}") for p in patients(12) for i in range(5)]
    people = generalise(twelve, frozenset())
    assert (people.k, len(people.facts), people.steps) == (12, 12, ())


def test_the_fewest_steps_are_taken_and_each_is_written_down():
    lines = patients(3) + [
        replace(p, line=f"x{p.line}", donor=f"x{p.donor}", hgvs="p.G94A") for p in patients(3)
    ]
    people = generalise(lines, frozenset())
    assert [(s.fact, s.left, s.k) for s in people.steps] == [("genotype", LADDER["genotype"][1], 6)]
    assert {f["genotype"] for f in people.facts.values()} == {"SOD1 missense"}
    assert {f["age_at_sampling"] for f in people.facts.values()} == {"50-59"}


def test_one_who_is_unlike_all_others_takes_the_fact_from_all():
    people = generalise(
        [*patients(5), replace(PATIENT, line="z", donor="z", country="BR")], frozenset()
    )
    assert {f["country"] for f in people.facts.values()} == {""}
    assert [(s.fact, s.left) for s in people.steps] == [
        ("country", "continent"),
        ("country", "removed"),
    ]


def test_where_the_ladder_ends_k_is_what_it_is():
    people = generalise(patients(3), frozenset())
    assert people.k == 3
    assert all(level == len(LADDER[fact]) - 1 for fact, level in people.levels.items())


def test_health_counts_in_the_classes_and_is_not_generalised():
    healthy = replace(PATIENT, line="H", donor="H", gene="", hgvs="")
    people = generalise([*patients(6), healthy], frozenset({"H"}))
    assert people.k == 1
    assert people.facts["H"]["genotype"] == "healthy"


def test_a_corrected_line_alone_is_still_a_patients():
    corrected = replace(PATIENT, line="A-iso", isogenic_parent="A")
    assert generalise([corrected], frozenset({"A-iso"}), k=1).facts["D"]["genotype"] != "healthy"


def test_lines_of_one_donor_that_contradict_each_other_are_refused():
    other = replace(PATIENT, line="A2", sex="male")
    with pytest.raises(ReleaseRefused, match=says("release.donor_of_two_facts", fact="sex")):
        generalise([PATIENT, other], frozenset())


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        (PATIENT, ["SOD1 p.A5V", "SOD1 missense", "SOD1", "familial"]),
        (
            replace(PATIENT, hgvs="p.Gln23Ter"),
            ["SOD1 p.Gln23Ter", "SOD1 truncating", "SOD1", "familial"],
        ),
        (
            replace(PATIENT, gene="C9orf72", hgvs="", repeat_class="over 100"),
            ["C9orf72 over 100", "C9orf72 repeat expansion", "C9orf72", "familial"],
        ),
        (replace(PATIENT, gene="", sporadic="yes"), ["sporadic"] * 4),
    ],
)
def test_the_ladder_of_genotypes(line, steps):
    assert [genotype(line, level) for level in range(4)] == steps


@pytest.mark.parametrize(
    ("text", "ten", "twenty"),
    [
        ("50-59", "50-59", "40-59"),
        ("45-54", "", "40-59"),
        ("55-64", "", ""),
        ("90+", "90+", "80+"),
        ("", "", ""),
    ],
)
def test_ages_fall_into_classes(text, ten, twenty):
    assert (age(text, 10), age(text, 20)) == (ten, twenty)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["SOD1", "FUS", ""]),
            st.sampled_from(["female", "male"]),
            st.sampled_from(["NL", "DE", "BR"]),
        ),
        min_size=1,
        max_size=14,
    )
)
def test_no_class_is_smaller_than_k_unless_the_ladder_ended(facts):
    lines = [
        replace(PATIENT, line=f"L{i}", donor=f"D{i}", gene=gene, sex=sex, country=country)
        for i, (gene, sex, country) in enumerate(facts)
    ]
    people = generalise(lines, frozenset())
    ended = all(level == len(LADDER[fact]) - 1 for fact, level in people.levels.items())
    assert people.k >= 5 or ended
    assert people.k == smallest_class(people.facts)


def test_rows_of_two_releases_can_be_joined_so_facts_of_both_count_together():
    """Wells have the same numbers in both, whatever they are called."""
    pairs = [("female", "50-59"), ("female", "60-69"), ("male", "50-59"), ("male", "60-69")]
    lines = [
        replace(PATIENT, line=f"L{i}-{j}", donor=f"D{i}-{j}", sex=sex, age_at_sampling=age)
        for i, (sex, age) in enumerate(pairs)
        for j in range(3)
    ]
    sexes = Published(
        {fact: len(steps) - 1 for fact, steps in LADDER.items()} | {"sex": 0},
        {
            line.donor: dict.fromkeys(LADDER, "") | {"genotype": "familial", "sex": line.sex}
            for line in lines
        },
    )
    alone = generalise(lines, frozenset())
    assert (alone.levels["sex"], alone.levels["age_at_sampling"], alone.k) == (1, 0, 6)
    after = generalise(lines, frozenset(), before=[sexes])
    assert (after.levels["age_at_sampling"], after.k) == (2, 6)
    # One of whom nothing was told yet may be any of those of her age and sex.
    new = replace(PATIENT, line="N", donor="N")
    assert generalise([*lines, new], frozenset(), before=[sexes]).k == 6


def test_a_new_donor_unlike_all_that_were_told_of_is_alone():
    before = Published(
        dict.fromkeys(LADDER, 0),
        {f"D{i}": dict(generalise(patients(6), frozenset()).facts["D0"]) for i in range(6)},
    )
    other = replace(PATIENT, line="N", donor="N", gene="FUS")
    assert generalise(patients(6), frozenset(), before=[before]).k == 6
    assert generalise([*patients(6), other], frozenset(), before=[before]).k == 1
    # A fact that was corrected since: what was said of her stays said.
    corrected = [replace(p, country="BE") if p.line == "L0" else p for p in patients(6)]
    assert generalise(corrected, frozenset(), before=[before]).k == 6


def test_what_public_registries_tell_of_a_line_counts_as_a_fact_of_its_donor():
    lines = [replace(p, source_tissue="skin") for p in patients(6)]
    lines[0] = replace(lines[0], source_tissue="urine")
    people = generalise(lines, frozenset())
    assert {f["source_tissue"] for f in people.facts.values()} == {""}
    lines = [replace(p, reprogramming="mRNA") for p in patients(5)]
    twice = replace(lines[0], line="second", reprogramming="episomal")
    assert generalise([*lines, twice], frozenset()).facts["D0"]["reprogramming"] == ""
    assert generalise(lines, frozenset()).facts["D0"]["reprogramming"] == "mRNA"
