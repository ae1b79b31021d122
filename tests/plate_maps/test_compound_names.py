from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_maps.compound_names import (
    name_key,
    near_duplicates,
    parts_of_combination,
    single_names,
    without_salt,
)

RILUZOLE = [
    "Riluzole",
    "riluzole ",
    "RILUZOLE",
    "rilu\u200bzole",
    "ri\u00adluzole",
    "Riluzole HCl",
    "riluzole\u00a0hydrochloride",
    "Riluzole\u00b7HCl",
    "riluzole x HCl",
    "riluzole-HCl",
    "Riluzole_hydrochloride",
    "riluzole.HCl",
    "riluzole/HCl",
    "riluzole, HCl",
    "Riluzole (hydrochloride)",
    "riluzole hydrochloride hydrate",
    "Riluzole (Sigma)",
    "riluzol",
    "rilzuole",
    "riluzolle",
]


@pytest.mark.parametrize("other", RILUZOLE[1:])
def test_spellings_salts_and_typing_errors_may_be_one_compound(other):
    assert near_duplicates(["Riluzole", other, "edaravone"]) == [tuple(sorted(["Riluzole", other]))]


def test_many_spellings_are_one_group():
    assert near_duplicates([*RILUZOLE, "edaravone"]) == [tuple(sorted(RILUZOLE))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CHIR-99021", "CHIR99021"),
        ("CHIR 99021", "chir_99021"),
        ("\u00e9daravone", "e\u0301daravone"),
        ("valproic acid", "sodium valproate"),
        ("sodium phenylbutyrate", "phenylbutyrate"),
        ("Olaparib (AZD2281)", "AZD-2281"),
        ("Chloroquine diphosphate salt", "chloroquine"),
        ("SNS-314 Mesylate", "SNS-314"),
        ("(+)-JQ1", "(+)-JQ1 hydrochloride"),
    ],
)
def test_pairs_that_may_be_one(one, other):
    assert near_duplicates([one, other]) == [tuple(sorted([one, other]))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CHIR-99021", "CHIR-98014"),
        ("CMPD-0001", "CMPD-0002"),
        ("BX-17", "BX-71"),
        ("compound 1-1", "compound 11"),
        ("(+)-JQ1", "(-)-JQ1"),
        ("(+)-JQ1", "(\u2212)-JQ1"),
        ("(\u00b1)-JQ1", "(+)-JQ1"),
        ("\u03b1-tocopherol", "\u03b2-tocopherol"),
        ("L-DOPA", "D-DOPA"),
        ("compound A", "compound B"),
        ("compound X", "compound K"),
        ("vitamin K", "vitamin E"),
        ("toxic-1", "toxic-2"),
        ("lapatinib", "sapatinib"),
        ("riluzole", "edaravone"),
        ("sodium chloride", "potassium chloride"),
        ("x", "y"),
        ("ref", "ril"),
    ],
)
def test_pairs_that_are_two_compounds(one, other):
    assert near_duplicates([one, other]) == []


@given(st.lists(st.text(max_size=12), max_size=12))
def test_any_text_is_grouped_once_at_most(names):
    groups = near_duplicates(names)
    members = [name for group in groups for name in group]
    assert len(members) == len(set(members))
    assert set(members) <= set(names)
    assert all(len(group) > 1 for group in groups)


@given(st.text(max_size=20))
def test_the_form_of_accents_and_spaces_around_do_not_matter(name):
    composed, decomposed = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    assert name_key(f" {decomposed}\u200b ") == name_key(composed)


def test_a_combination_is_its_compounds():
    name = "edaravone 3 µM + riluzole HCl 300 nM"
    assert parts_of_combination(name) == [("edaravone", "3 µM"), ("riluzole HCl", "300 nM")]
    assert single_names(name) == ["edaravone", "riluzole HCl"]
    assert parts_of_combination("riluzole") == parts_of_combination("A + B") == []
    assert single_names("riluzole") == ["riluzole"]
    assert single_names("") == []


def test_a_name_of_nothing_but_salts_keeps_its_key():
    assert without_salt("sodium chloride") == "sodiumchloride"
    assert without_salt("sodium chloride") != without_salt("potassium chloride")
