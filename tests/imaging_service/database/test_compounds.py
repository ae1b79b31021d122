from __future__ import annotations

import pytest
from sqlmodel import Session

from imaging_service.database.compounds import load_compounds, merge_compounds
from imaging_service.database.session import database_engine
from imaging_service.errors import RegistryRefused
from plate_maps.compounds import Compound
from tests.messages import says

HEAD = "id\tname\tsynonyms\tblinded_code\tstock\n"
TWO = HEAD + "C1\triluzole\tRiluzole HCl|Rilutek\tB-7\t10 mM\nC2\tedaravone\t\t\t\n"


@pytest.fixture
def session(data_folder):
    with Session(database_engine(data_folder.url)) as opened:
        yield opened


def merge(session, text, lab="local"):
    return merge_compounds(session, text, "compounds.tsv", lab)


def test_compounds_come_back_as_they_were_given(session):
    assert merge(session, TWO).added == ["C1", "C2"]
    assert load_compounds(session, "local", codes=True).records == {
        "C1": Compound(
            "C1", "riluzole", ("Riluzole HCl", "Rilutek"), stock="10 mM", blinded_code="B-7"
        ),
        "C2": Compound("C2", "edaravone"),
    }
    assert not load_compounds(session, "other")


def test_codes_are_given_only_where_asked_for_and_an_empty_one_erases_none(session):
    merge(session, TWO)
    assert load_compounds(session, "local").named("B-7") is None
    change = merge(session, HEAD + "C1\triluzole\tRiluzole HCl|Rilutek\t\t10 mM\n")
    assert (change.changed, change.unchanged) == ([], ["C1"])
    assert load_compounds(session, "local", codes=True).named("B-7").id == "C1"


def test_a_name_of_another_compound_of_the_registry_is_refused_and_nothing_is_changed(session):
    merge(session, TWO)
    with pytest.raises(RegistryRefused, match=says("compounds.name_of_two")):
        merge(session, HEAD + "C3\trilutek\t\t\t\nC4\tnew\t\t\t\n")
    assert set(load_compounds(session, "local").records) == {"C1", "C2"}
