from __future__ import annotations

import csv

import polars as pl
import pytest

from imaging_service.release.contents.tables import donor_rows, withheld
from imaging_service.release.gate.ledger import DonorRow, RefusedRow, RowCode
from imaging_service.release.material import examine
from imaging_service.screens.folder import TABLES
from plate_maps.registry import read_batches, read_lines
from tests.imaging_service.release.drawn_release import DATE


def rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))


def test_the_registry_reads_back_with_ids_and_generalised_facts(released):
    lines = read_lines((released.bundle / "lines.tsv").read_text())
    assert len(lines) == 12
    assert len({line.donor for line in lines.values()}) == 6
    assert {line.genotype for line in lines.values()} == {"SOD1 missense", "corrected"}
    assert {line.isogenic_parent for line in lines.values()} - {""} < set(lines)
    removed = ("hgvs", "zygosity", "hpscreg", "rrid", "bank", "karyotype", "age_at_sampling")
    assert {getattr(line, name) for line in lines.values() for name in removed} == {""}
    batches = read_batches((released.bundle / "batches.tsv").read_text())
    assert [(b.plating_day, b.operator, b.cryo_lot) for b in batches.values()] == [
        ("18", "", "")
    ] * 3
    assert {r["lines"] for r in rows(released.bundle / "donors.tsv")} == {"2"}


def test_tables_are_there_in_two_forms_and_hold_no_leave_one_out_value(released):
    for name in TABLES:
        table = pl.read_parquet(released.bundle / "tables" / f"{name}.parquet")
        assert len(rows(released.bundle / "tables" / f"{name}.tsv")) == len(table)
    compounds = pl.read_parquet(released.bundle / "tables" / "compounds.parquet")
    assert compounds["n_donors"].to_list() == [6] * 6
    assert compounds["stable"].null_count() == 6


def test_dates_are_moved_and_wells_counted(released):
    plates = rows(released.bundle / "plates.tsv")
    assert [(p["wells_released"], p["wells_left_out"]) for p in plates] == [("240", "40")] * 3
    assert {p["acquired_shifted"] for p in plates}.isdisjoint(
        DATE.format(i)[:10] for i in (1, 2, 3)
    )


def test_a_line_whose_batches_are_equal_is_in_the_mean_and_so_in_its_row(released):
    material, tables = examine(released.folder), dict(released.written.tables.tables)
    one = material.ids.of("line", material.lines[0])
    equal = pl.when(pl.col("line") == one).then(pl.lit("no_variation")).otherwise("status")
    tables["doses"] = tables["doses"].with_columns(equal.alias("status"))
    assert {len(row.donors) for row in donor_rows(tables, material)} == {6}


def test_donors_of_a_row_are_those_of_its_mean(released):
    tables = released.written.tables
    for row in donor_rows(tables.tables, examine(released.folder)):
        shown = tables.tables["compounds"].filter(
            (pl.col("phenotype") == row.phenotype) & (pl.col("group") == row.group)
        )
        assert shown["n_donors"].to_list() == [len(row.donors)]


@pytest.mark.parametrize(
    ("code", "shown_as"),
    [
        (RowCode.NESTED, RowCode.NESTED),
        (RowCode.DIFFERENCING, RowCode.DIFFERENCING),
        # Nor that somebody withdrew.
        (RowCode.WITHDRAWN, RowCode.DIFFERENCING),
    ],
)
def test_a_bundle_does_not_say_which_release_a_row_was_compared_with(code, shown_as):
    row = DonorRow(compound="x", phenotype="p", dose_molar=1.0, group="g", donors=("A", "B"))
    (shown,) = withheld([RefusedRow(row, code, "of release first")])
    assert (shown["code"], bool(shown["reason"])) == (shown_as, shown_as is RowCode.NESTED)
    assert "donors" not in shown
