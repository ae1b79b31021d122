from __future__ import annotations

import json

from imaging_service.release.forms.crate import claims_profile


def test_the_crate_lists_every_file_and_says_what_made_the_tables(released):
    crate = json.loads((released.bundle / "ro-crate-metadata.json").read_text())
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    listed = {part["@id"] for part in entities["./"]["hasPart"]}
    files = {
        path.relative_to(released.bundle).as_posix()
        for path in released.bundle.rglob("*")
        if path.is_file() and ".zarr" not in path.as_posix()
    }
    # The manifest holds the digest of the crate, so it comes after it.
    assert files - listed == {"ro-crate-metadata.json", "manifest-sha256.txt"}
    # Of the profile nothing is said unless its validator was there and agreed.
    verdicts = {v.file: v.verdict for v in released.written.validations}
    assert claims_profile(crate) == (verdicts["ro-crate-metadata.json"] == "accepted")
    action = entities["#analysis"]
    assert entities[action["instrument"]["@id"]]["@type"] == "SoftwareApplication"
    assert {"@id": "tables/responses.tsv"} in action["result"]
    assert entities["http://purl.obolibrary.org/obo/DUO_0000042"]["termCode"] == "DUO:0000042"


def test_no_image_date_is_in_it(released):
    text = (released.bundle / "ro-crate-metadata.json").read_text()
    assert "2025-" not in text
