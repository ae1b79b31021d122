from __future__ import annotations

import csv
import re

import pytest

from plate_maps.consent import DUO, duo_codes, forbids_methods, holds_other_text


@pytest.mark.parametrize(
    ("consent", "codes"),
    [
        ("DUO:0000042", ("DUO:0000042",)),
        ("duo_0000042; DUO:0000015", ("DUO:0000042", "DUO:0000015")),
        ("HMB-NMDS", ("DUO:0000006", "DUO:0000015")),
        ("GRU, IRB", ("DUO:0000042", "DUO:0000021")),
        ("DS (MONDO:0004976), US", ("DUO:0000007", "DUO:0000026")),
        ("DUO:0000042 NMDS", ("DUO:0000042", "DUO:0000015")),
        ("DUO:0000042 (form of 2019), NPU", ("DUO:0000042",)),
        # words of a sentence are not shorthands
        ("consent IS with the bank, in the US", ()),
        ("broad", ()),
        ("", ()),
    ],
)
def test_codes_are_read_only_where_they_cannot_be_mistaken(consent, codes):
    assert duo_codes(consent) == codes


@pytest.mark.parametrize(
    ("consent", "forbidden"),
    [
        ("DUO:0000015", True),
        ("HMB-NMDS", True),
        ("general use, but nmds (see form 3)", True),
        ("DUO:0000042", False),
        ("broad", False),
        ("", False),
    ],
)
def test_methods_research_is_forbidden_wherever_the_consent_names_it(consent, forbidden):
    assert forbids_methods(consent) == forbidden


def test_every_code_is_its_own_id():
    assert len(set(DUO.values())) == len(DUO)
    assert all(re.fullmatch(r"DUO:0000[0-9]{3}", code) for code in DUO.values())


def test_the_codes_are_those_of_the_ontology(reference):
    rows = csv.DictReader((reference / "exchange" / "duo.csv").read_text().splitlines())
    assert {r["shorthand"]: r["id"] for r in rows if r["shorthand"]} == DUO


@pytest.mark.parametrize(
    ("consent", "other"),
    [
        ("HMB-NMDS", False),
        ("DUO:0000042 DUO:0000021", False),
        ("DS (MONDO:0004976)", False),
        ("", False),
        ("DUO:0000042, not for companies", True),
        ("DUO:0099999", True),
        ("signed", True),
    ],
)
def test_words_that_no_code_says_are_seen(consent, other):
    assert holds_other_text(consent) == other
