from __future__ import annotations

import csv
import json


def test_every_reference_of_the_crate_leads_somewhere(released):
    graph = json.loads((released.bundle / "forms" / "bia" / "ro-crate-metadata.json").read_text())[
        "@graph"
    ]
    known = {entity["@id"] for entity in graph}

    def references(value):
        if isinstance(value, dict):
            if set(value) == {"@id"}:
                yield value["@id"]
            else:
                for v in value.values():
                    yield from references(v)
        elif isinstance(value, list):
            for v in value:
                yield from references(v)

    targets = {
        t for entity in graph for t in references({k: v for k, v in entity.items() if k != "@id"})
    }
    assert targets - known == {"https://w3id.org/ro/crate/1.1"}
    (acquisition,) = [e for e in graph if e["@type"] == ["bia:ImageAcquisitionProtocol"]]
    assert acquisition["imagingInstrumentDescription"] == "Opera Phenix"
    assert acquisition["fbbiId"] == ["FBbi:00000253"]


def test_the_list_of_files_names_each_image_and_table_once(released):
    rows = list(
        csv.DictReader(
            (released.bundle / "forms" / "bia" / "file_list.tsv")
            .read_text(encoding="utf-8")
            .splitlines(),
            delimiter="\t",
        )
    )
    names = [row["file_path"] for row in rows]
    assert len(names) == len(set(names))
    assert all((released.bundle / name).exists() for name in names)
    kinds = {
        row["type"].removeprefix("http://bia/")
        for row in rows
        if row["file_path"].endswith(".zarr")
    }
    assert kinds == {"Image", "AnnotationData"}
    assert "wells.tsv" in names
