from __future__ import annotations

from mihcsme_py import parse_excel_to_model

from imaging_service.release.forms.mihcsme import mihcsme
from tests.imaging_service.release.forms.drawn_facts import facts_of


def test_the_workbook_is_read_by_its_own_parser(released):
    book = parse_excel_to_model((released.bundle / "forms" / "mihcsme.xlsx").read_bytes())
    assert len(book.assay_conditions) == 720
    first = book.assay_conditions[0]
    assert (first.well, first.conditions["DoseUnit"], first.conditions["Passage"]) == (
        "A01",
        "mol/L",
        "23",
    )
    assert book.study_information.biosample.biosample_taxon == "NCBITAXON:9606"
    assert book.assay_information.image_acquisition.microscope_id == "Opera Phenix"
    assert [c.entity for c in book.assay_information.specimen.channels] == ["TUBB3", "TUBB3"]
    assert book.assay_information.image_data.image_sites_per_well == "2"


def test_a_plate_with_more_rows_than_it_can_name_has_no_workbook(released):
    facts = facts_of(released)
    wide = {"P": {**facts.records["P"], "plate_format": {"rows": 32, "columns": 48}}}
    assert mihcsme(facts_of(released, records=wide)) is None
