from __future__ import annotations

import pytest

from plate_maps.genotypes import Health
from plate_maps.health import asked, genotypes_of, healths
from plate_maps.registry import Line
from tests.messages import states


def one(record=None, genotypes=(), named=None, others=()):
    registry = {r.line: r for r in (record, *others) if r is not None}
    return healths({"L": list(genotypes)}, registry, named)["L"]


@pytest.mark.parametrize(
    ("facts", "health"),
    [
        ({"zygosity": "wild type"}, Health.HEALTHY),
        ({"zygosity": "heterozygous"}, Health.DISEASE),
        ({"zygosity": "hemizygous", "gene": "SOD1"}, Health.DISEASE),
        ({"zygosity": "wild type", "isogenic_parent": "P", "gene": "SOD1"}, Health.HEALTHY),
        # A corrected line keeps the donor's disease in its record.
        (
            {"zygosity": "wild type", "isogenic_parent": "P", "disease": "MONDO:0004976"},
            Health.HEALTHY,
        ),
        ({"isogenic_parent": "P", "edit": "corrected"}, Health.HEALTHY),
        ({"isogenic_parent": "P", "edit": "SOD1 A4V knock-in"}, Health.DISEASE),
        # No variant was found in a patient.
        ({"zygosity": "wild type", "sporadic": "yes"}, Health.DISEASE),
        ({"zygosity": "wild type", "disease": "MONDO:0004976"}, Health.DISEASE),
        ({"gene": "SOD1"}, Health.DISEASE),
        ({"hgvs": "NM_000454.5:c.14C>T"}, Health.DISEASE),
        ({"gene": "none"}, Health.UNKNOWN),
        ({"isogenic_parent": "P", "edit": "CRISPR HDR"}, Health.UNKNOWN),
        ({"gene": "SOD1", "isogenic_parent": "P"}, Health.UNKNOWN),
        ({"sex": "female"}, Health.UNKNOWN),
        # A registry that contradicts itself is asked about.
        ({"zygosity": "heterozygous", "genotype": "SOD1 corrected"}, Health.UNKNOWN),
        (
            {"zygosity": "heterozygous", "isogenic_parent": "P", "edit": "corrected"},
            Health.UNKNOWN,
        ),
        ({"gene": "SOD1", "genotype": "WT"}, Health.UNKNOWN),
    ],
)
def test_the_registry_says_who_is_healthy(facts, health):
    judged = one(Line("L", "D1", **facts))
    assert judged.health is health


def test_the_registry_comes_before_the_words_and_the_difference_is_named():
    judged = one(Line("L", "D1", zygosity="heterozygous"), ["healthy"])
    assert (judged.health, judged.contradicted) == (Health.DISEASE, "genotype 'healthy'")
    assert str(judged) == ("L (registry: zygosity heterozygous, although of genotype 'healthy')")
    agreed = one(Line("L", "D1", zygosity="heterozygous"), ["SOD1 A4V"])
    assert (agreed.health, agreed.contradicted) == (Health.DISEASE, "")


def test_named_lines_come_before_everything_and_the_others_are_disease():
    record = Line("L", "D1", zygosity="heterozygous")
    assert one(record, ["SOD1"], ["L"]).health is Health.HEALTHY
    assert one(record, ["SOD1"], ["l\u200b "]).health is Health.HEALTHY
    assert one(record, ["SOD1"], ["L"]).contradicted == "genotype 'SOD1'"
    assert one(None, ["healthy carrier"], ["M"]).health is Health.DISEASE
    assert one(None, ["healthy carrier"], []).health is Health.DISEASE


@pytest.mark.parametrize(
    ("genotypes", "health"),
    [
        (["WT"], Health.HEALTHY),
        (["WT", "wild type"], Health.HEALTHY),
        (["SOD1"], Health.DISEASE),
        # Two plates that differ.
        (["WT", "SOD1"], Health.UNKNOWN),
        (["WT", "healthy carrier"], Health.UNKNOWN),
        (["healthy carrier of SOD1 A4V"], Health.UNKNOWN),
        ([], Health.UNKNOWN),
    ],
)
def test_words_decide_where_nothing_else_does(genotypes, health):
    assert one(None, genotypes).health is health


def test_the_name_of_a_line_says_nothing():
    judged = healths({"healthy": [], "WT-1": [], "HC-01": []})
    assert {h.health for h in judged.values()} == {Health.UNKNOWN}


def test_those_not_known_are_asked_for_by_name_in_one_sentence():
    judged = healths({"B": ["healthy carrier"], "A": ["WT"], "C": []})
    question = asked(judged.values())
    assert states("health.line", question, line="B", why="genotype 'healthy carrier'")
    assert states("health.line", question, line="C", why="no genotype")
    assert "healthy_lines" in question
    assert "A (" not in question
    assert asked([judged["A"]]) == ""


def test_genotypes_are_gathered_over_plates():
    pairs = [("A", "WT"), ("A", None), ("A", "SOD1"), ("B", "")]
    assert genotypes_of(pairs) == {"A": {"WT", "SOD1"}, "B": set()}
