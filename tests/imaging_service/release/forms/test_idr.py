from __future__ import annotations

import csv


def test_wells_have_the_columns_of_the_template(released):
    rows = list(
        csv.DictReader(
            (released.bundle / "forms" / "idr_processed.tsv")
            .read_text(encoding="utf-8")
            .splitlines(),
            delimiter="\t",
        )
    )
    assert len(rows) == 720
    assert {r["Control Type"] for r in rows} == {"vehicle control", ""}
    failed = [r for r in rows if r["Well"] == "A05"]
    assert [r["Quality Control"].split(":")[0] for r in failed] == ["failed"] * 3
    assert float(rows[0]["live_density"]) > 0


def test_the_study_file_names_method_and_licence(released):
    lines = (released.bundle / "forms" / "idr_study.tsv").read_text().splitlines()
    study = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
    method, licence = "Screen Imaging Method Term Accession", "Study License URL"
    assert study[method] == ["FBbi:00000253"]
    assert study[licence] == ["https://creativecommons.org/licenses/by/4.0/"]
