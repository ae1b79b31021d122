from __future__ import annotations

import json

from rembi_mifa import rembi
from rembi_mifa.mifa import MifaContainer

from imaging_service.release.forms.rembi import mifa
from tests.imaging_service.release.forms.drawn_facts import facts_of


def test_each_part_is_a_model_of_rembi(released):
    forms = json.loads((released.bundle / "forms" / "rembi.json").read_text())
    assert rembi.Study.model_validate(forms["Study"]).license == "CC-BY-4.0"
    assert (
        rembi.ImageAcquisition.model_validate(forms["ImageAcquisition"]).imaging_instrument
        == "Opera Phenix"
    )
    assert [rembi.Biosample.model_validate(b).organism.ncbi_taxon for b in forms["Biosample"]] == [
        "NCBITAXON:9606"
    ] * 12


def test_labels_are_annotations_of_mifa(released):
    form = MifaContainer.model_validate_json((released.bundle / "forms" / "mifa.json").read_text())
    assert form.license.value == "CC_BY"


def test_what_mifa_has_no_term_for_is_not_written(released):
    facts = facts_of(released)
    assert mifa(facts) is not None
    assert mifa(facts_of(released, licence="CC-BY-NC-4.0")) is None
    assert mifa(facts_of(released, images={})) is None
