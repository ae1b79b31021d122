from __future__ import annotations

import pytest

from plate_maps.genotypes import Health, health_of, is_gene, normal_form

LINES = ("SOD1-07", "HC-01")
HEALTHY = (
    "healthy",
    "Healthy.",
    "Healthy donor 3",
    "healthy, donor 3",
    "HC",
    "HC3",
    "HC-01",
    "CTRL",
    "ctrl_2",
    "Control",
    "WT",
    "\uff37\uff34",
    "W\u200bT",
    "wt ",
    "wild-type",
    "Wild type",
    "Wildtype",
    "wild\u2011type",
    "unaffected",
    "+/+",
    "corrected",
    "SOD1 corrected",
    "SOD1 A4V corrected",
    "SOD1-A4V-corrected",
    "corrected SOD1 p.(Ala5Val)",
    "C9orf72 repeat expansion corrected",
    "isogenic control",
    "isogenic control of SOD1-07",
    "isogenic control of SOD1 A4V",
)
DISEASE = (
    "SOD1",
    "SOD1 A4V",
    "SOD1 p.A5V",
    "SOD1 p.(Ala5Val)",
    "SOD1:c.14C>T",
    "SOD1 A4V/WT",
    "SOD1 +/A4V",
    "SOD1 D90A homozygous",
    "TDP-43 M337V",
    "C9orf72",
    "C9orf72+",
    "C9ORF72 (G4C2)n",
    "C9orf72 expansion",
    "C9-ALS",
    "sALS 12",
    "sporadic ALS",
    "ALS patient 3",
    "FUS p.P525L, clone 2",
    "SOD1 A4V knock-in",
)
ASKED = (
    "",
    "not corrected",
    "C9orf72, not corrected",
    "C9orf72 (no isogenic available)",
    "no isogenic available",
    "non-isogenic",
    "SOD1 A4V uncorrected",
    "SOD1 A4V un-corrected",
    "partially corrected",
    "to be corrected",
    "SOD1 A4V corrected?",
    "FUS corrected, SOD1 A4V",
    "corrected/A4V",
    "healthy carrier of SOD1 A4V",
    "healthy carrier",
    "unaffected sibling",
    "isogenic",
    "isogenic SOD1 A4V",
    "isogenic control of X-99",
    "disease control",
    "ALS control",
    "negative control",
    "control?",
    "no WT",
    "not healthy",
    "SOD1 WT",
    "SOD1 +/+",
    "SOD1 KO",
    "SOD1 A4A",
    "SOD1 p.A5=",
    "C9orf72-negative",
    "C9orf72-",
    "WT1",
    "A4V",
    "témoin",
    "gesund",
    "Kontrolle",
    "sano",
    "健常",
    "NA",
    "?",
)


@pytest.mark.parametrize("text", HEALTHY)
def test_whole_words_of_a_closed_list_are_healthy(text):
    assert health_of(text, LINES) is Health.HEALTHY


@pytest.mark.parametrize("text", DISEASE)
def test_genes_with_their_variants_and_names_of_diseases_are_disease(text):
    assert health_of(text, LINES) is Health.DISEASE


@pytest.mark.parametrize("text", ASKED)
def test_what_holds_any_other_word_is_asked_for(text):
    assert health_of(text, LINES) is Health.UNKNOWN


@pytest.mark.parametrize("text", [*HEALTHY, *DISEASE])
@pytest.mark.parametrize("word", ["not {}", "{} (doubtful)", "no {}", "kein {}", "{}?"])
def test_a_strange_word_beside_a_known_text_makes_it_unknown(text, word):
    assert health_of(word.format(text), LINES) is Health.UNKNOWN


@pytest.mark.parametrize("text", [*HEALTHY, *DISEASE])
def test_case_and_space_do_not_matter(text):
    expected = health_of(text, LINES)
    assert health_of(text.upper(), LINES) is expected
    assert health_of(f"  {text.lower()}\u00a0", LINES) is expected
    assert health_of(text.replace(" ", "\u2009 "), LINES) is expected


def test_a_variant_alone_is_one_only_where_it_is_written_out():
    assert health_of("p.A5V") is Health.DISEASE
    assert health_of("c.14C>T") is Health.DISEASE
    assert health_of("D1A") is Health.UNKNOWN


def test_genes_are_known_by_name():
    assert is_gene("TDP-43")
    assert is_gene("c9orf72")
    assert not is_gene("WT")
    assert not is_gene("none")


def test_the_normal_form_keeps_alleles():
    assert normal_form("SOD1_A4V/WT; (clone 3)") == "sod1 a4v/wt clone 3"
