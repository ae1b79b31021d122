from __future__ import annotations

from dataclasses import replace

import pytest
from jsonschema import Draft7Validator

from imaging_service.release.forms.amp_als import SCHEMA, amp_als, no_target_term
from imaging_service.release.gate.consent import Tier
from tests.imaging_service.release.forms.drawn_facts import facts_of


def test_the_schema_is_of_draft_7():
    Draft7Validator.check_schema(SCHEMA)


def test_the_record_says_what_the_bundle_is(released):
    record = amp_als(facts_of(released))
    assert list(Draft7Validator(SCHEMA).iter_errors(record)) == []
    assert (record["participant_count"], record["disease"], record["diseaseSubtype"]) == (
        6,
        ["ALS", "Control"],
        ["SOD1"],
    )
    assert record["dataUseModifiers"] == ["GRU", "open"]
    assert record["curationLevel"] == ["Raw", "Processed", "Analyzed"]


def test_what_has_no_target_term_stands_in_the_table_and_not_in_the_record(released):
    facts = replace(
        facts_of(released, program="PRISM-ALS", repository="Zenodo"), duo=("DUO:0000021",)
    )
    facts = replace(facts, form=facts.form.model_copy(update={"tier": Tier.CONTROLLED}))
    record, table = amp_als(facts), [row["fact"] for row in no_target_term(facts)]
    assert not {"program", "originalRepository"} & set(record)
    assert record["dataUseModifiers"] == ["controlled"]
    assert {"program PRISM-ALS", "repository Zenodo", "data use code IRB (DUO:0000021)"} < set(
        table
    )


@pytest.mark.parametrize(
    "change", [{"participant_count": "12"}, {"disease": ["healthy"]}, {"plate": "P"}, {"title": ""}]
)
def test_a_wrong_record_is_refused(released, change):
    assert list(Draft7Validator(SCHEMA).iter_errors(amp_als(facts_of(released)) | change))
