from __future__ import annotations

import csv
import json
import re
from dataclasses import fields

import polars as pl

from imaging_service.release.contents.dictionaries import bundle_columns, models_dictionary
from plate_maps.registry import Batch, Line


def test_each_plate_has_engine_digests_parameters_and_versions(released):
    models = json.loads((released.bundle / "dictionaries" / "models.json").read_text())["plates"]
    assert len(models) == 3
    for model in models.values():
        assert model["engine"] == {
            "engine": "motornet",
            "checkpoint": {"sha256": "ab" * 32, "licence": "BSD"},
        }
        assert model["thresholds"] == {"soma": 120.5}
        assert model["parameters"]["segmentation"]["nucleus_diameter_um"] == 11.0
        assert model["packages"] == {"numpy": "2.4.6"}
    assert len({model["protocol"] for model in models.values()}) == 1
    assert models_dictionary({}) == '{\n "plates": {}\n}'


def test_every_column_of_every_table_has_a_meaning(released):
    rows = csv.DictReader(
        (released.bundle / "dictionaries" / "columns.tsv").read_text("utf-8").splitlines(),
        delimiter="\t",
    )
    known = {}
    for row in rows:
        assert row["meaning"], row
        for file in row["file"].split(" and "):
            known.setdefault(file, set()).add(row["column"])
    seen = set()
    for path in released.bundle.rglob("*"):
        name = path.relative_to(released.bundle).as_posix()
        if path.suffix == ".parquet":
            columns = pl.read_parquet_schema(path).names()
            file = re.sub("^plates/[^/]+", "plates/PLATE", name).removesuffix(".parquet")
        elif path.suffix == ".tsv" and "/" not in name:
            columns = path.read_text("utf-8").split("\n")[0].split("\t")
            file = "wells.tsv" if name == "plate_map.tsv" else name
        else:
            continue
        seen.add(file)
        assert set(columns) - {"plate"} <= known[file] - {"plate"}, name
    assert len(seen) > 12


def test_a_line_and_a_batch_have_no_other_columns():
    known = {(row.split("\t")[0], row.split("\t")[2]) for row in bundle_columns().splitlines()}
    for name, record in (("lines.tsv", Line), ("batches.tsv", Batch)):
        assert {c for file, c in known if file == name} == {f.name for f in fields(record)}
