from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace

import polars as pl
import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.bundle import check_release, search_for_secrets, write_release
from imaging_service.release.gate.consent import Tier
from imaging_service.release.gate.ledger import NOTED, read_ledger
from imaging_service.release.material import examine
from imaging_service.screens.folder import add_run, set_registry
from tests.imaging_service.release.drawn_release import (
    AT_HOME,
    CORRECTED,
    OPERATOR,
    PATIENTS,
    PLATES,
    filled_form,
    registry,
    write_registry,
)
from tests.messages import says, states


@pytest.fixture
def next_lab(released, tmp_path):
    """The laboratory after its first release: a copy, with the ledger."""
    lab = shutil.copytree(released.lab, tmp_path / "own")
    shutil.copy(released.folder.parent / "ledger.jsonl", lab / "ledger.jsonl")
    for folder in ("als", *PLATES):
        shutil.copy(released.folder.parent / NOTED, lab / folder / NOTED)
    return lab


def with_registry(lab, lines):
    set_registry(lab / "als", *write_registry(lab, lines))


def test_a_bundle_holds_what_it_says(released):
    report = json.loads((released.bundle / "deidentification.json").read_text())
    assert (report["k"], report["donors"], report["lines"]) == (6, 6, 12)
    assert report["lines_left_out"] == 2
    assert (report["plates"], report["plates_calibrated_with_lines_left_out"]) == (3, 3)
    assert report["steps"][-1] == {"fact": "sex", "left": "removed", "k": 6}
    assert report["search"]["hits"] == 0
    verdicts = json.loads((released.bundle / "validation.json").read_text())
    assert "accepted" in {v["verdict"] for v in verdicts}
    page = (released.bundle / "report.html").read_text()
    assert page.count('class="chart"') > 8
    assert not states("release.rows_withheld", page)
    assert len(list(released.bundle.glob("plates/*/*.zarr"))) == 2
    (entry,) = read_ledger(released.folder.parent / "ledger.jsonl")
    assert (entry.release, entry.k, set(entry.lines)) == ("first", 6, {*PATIENTS, *CORRECTED})
    material = examine(released.folder)
    assert {row.donors for row in entry.rows} == {material.donors}
    assert (entry.facts, entry.levels) == (material.people.facts, material.people.levels)


def test_no_secret_is_in_it_and_a_planted_one_is_found(released, tmp_path):
    material = examine(released.folder)
    assert search_for_secrets(material, released.bundle) == []
    copy = shutil.copytree(released.bundle, tmp_path / "copy")
    cells = next(copy.glob("plates/*/cells.parquet"))
    pl.read_parquet(cells).with_columns(note=pl.lit(PATIENTS[0])).write_parquet(cells)
    with (copy / "report.html").open("a") as page:
        page.write(f"<!-- {OPERATOR.encode().hex()} -->")
    assert {h.kind for h in search_for_secrets(material, copy)} == {"line", "operator"}


def test_one_secret_stops_the_release_and_nothing_is_left(released, tmp_path):
    title = f"Neurites of six patients, by {OPERATOR}"
    folder = filled_form(tmp_path / "r", released.lab, title=title, pixels=False)
    with pytest.raises(
        ReleaseRefused, match=says("release.secret_in_file", kind="operator", text=OPERATOR)
    ):
        write_release(folder, tmp_path / "out")
    assert not (released.lab / "ledger.jsonl").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["r"]
    with pytest.raises(ReleaseRefused, match=says("release.bundle_exists")):
        write_release(folder, released.bundle)


def test_a_withdrawn_donor_leaves_everything_and_the_ledger_says_so(next_lab, tmp_path):
    gone = [replace(x, withdrawn="yes") if x.line == PATIENTS[0] else x for x in registry()]
    with_registry(next_lab, gone)
    folder = filled_form(tmp_path / "second", next_lab)
    written = write_release(folder, tmp_path / "bundle")
    # All images of the laboratory are of wells of the donor who went.
    assert not list(written.bundle.rglob("*.zarr"))
    material = examine(folder)
    lost = {material.ids.of("line", n) for n in (PATIENTS[0], CORRECTED[0])}
    lost |= {material.ids.of("donor", "don-188")}
    text = "".join(p.read_text() for p in written.bundle.rglob("*.tsv"))
    assert material.ids.of("line", PATIENTS[1]) in text
    assert not [name for name in lost if name in text]
    for path in written.bundle.rglob("*.parquet"):
        table = pl.read_parquet(path)
        if "line" in table.columns:
            assert lost.isdisjoint(table["line"])
    for plate in written.bundle.glob("plates/*"):
        wells = pl.read_parquet(plate / "wells.parquet")
        assert len(wells) == 200
        assert set(pl.read_parquet(plate / "cells.parquet")["well"]) == set(wells["well"])
    page = (written.bundle / "report.html").read_text()
    assert states("release.rows_withheld", page)
    # Means over the five that are left would give the one who went.
    assert written.tables.tables["compounds"].is_empty()
    assert {r.code.value for r in written.tables.refused} == {"withdrawn"}
    first, second = read_ledger(next_lab / "ledger.jsonl")
    assert "don-188" in first.donors
    assert second.withdrawn == ("don-188", "don-w9")
    assert second.left_out[PATIENTS[0]] == second.left_out[CORRECTED[0]] == "withdrawn"
    assert "don-188" not in second.donors
    report = json.loads((written.bundle / "deidentification.json").read_text())
    assert {r["code"] for r in report["rows_over_donors"]["not_released"]} == {"differencing"}
    texts = [p for p in written.bundle.rglob("*") if p.suffix in (".json", ".tsv", ".html", ".md")]
    told = [p.name for p in texts if "withdr" in p.read_text("utf-8")]
    # The registry's columns, and what they mean.
    assert set(told) <= {"lines.tsv", "columns.tsv"}


def test_a_new_donor_unlike_those_who_were_told_of_is_refused(next_lab, tmp_path):
    """Rows of the six can be joined with the first release, so the seventh is who has no SOD1."""
    joined = [
        replace(x, consent="GRU", gene="FUS", genotype="FUS p.P525L", hgvs="p.P525L")
        if x.line == AT_HOME
        else x
        for x in registry()
    ]
    with_registry(next_lab, joined)
    changes = {"cross_donor_rows": False, "pixels": False}
    with pytest.raises(ReleaseRefused, match=says("release.few_donors", k=1)):
        check_release(filled_form(tmp_path / "second", next_lab, **changes))
    controlled = filled_form(
        tmp_path / "third", next_lab, Tier.CONTROLLED, licence="controlled access", **changes
    )
    assert check_release(controlled)[0].people.k == 1


def test_a_plate_keeps_the_days_of_its_first_release(released, next_lab, tmp_path):
    material = examine(filled_form(tmp_path / "second", next_lab))
    first = examine(released.folder)
    assert material.secret != first.secret
    assert {r.plate: material.shift_days(r) for r in material.runs} == {
        r.plate: first.shift_days(r) for r in first.runs
    }


# Wells are in the order of the plate.
BY_WELL = {"wells.tsv", "plate_map.tsv", "idr_processed.tsv", "file_list.tsv"}


def test_no_file_is_in_the_order_of_the_laboratorys_names(released):
    """Such names are in the order of plates, days or a public registry."""
    seen = set()
    for path in released.bundle.rglob("*"):
        if path.suffix in (".tsv", ".toml", ".json") and path.name not in BY_WELL:
            text = path.read_text("utf-8")
        else:
            continue
        keys = {"donors.tsv": "D", "batches.tsv": "B", "plates.tsv": "P"}
        for kind in keys.get(path.name, "L"):
            # The first of each row of a table: a line's parent stands behind it.
            before = r"^.*?" if path.suffix == ".tsv" else ""
            ids = re.findall(rf"(?m){before}\b({kind}-[0-9a-f]{{10}})\b", text)
            ids = list(dict.fromkeys(ids))
            assert ids == sorted(ids), path
            seen |= {(path.name, kind)} if len(ids) > 1 else set()
    places = {"lines.tsv", "screen.toml", "run.json", "responses.tsv"}
    assert {(name, "L") for name in places} <= seen
    assert {("donors.tsv", "D"), ("batches.tsv", "B"), ("plates.tsv", "P")} <= seen


def test_one_more_donor_is_refused_unless_rows_over_donors_are_left_out(next_lab, tmp_path):
    joined = [replace(x, consent="GRU") if x.line == AT_HOME else x for x in registry()]
    with_registry(next_lab, joined)
    with pytest.raises(ReleaseRefused, match=says("release.differencing")):
        check_release(filled_form(tmp_path / "second", next_lab))
    folder = filled_form(tmp_path / "third", next_lab, cross_donor_rows=False)
    material, tables = check_release(folder)
    assert len(material.donors) == 7
    assert tables.tables["compounds"].is_empty()
    assert not (folder / "checked").exists()


def renamed_compound(lab, name):
    """The laboratory's plates in a second screen, under another name of the compound."""
    for plate in PLATES:
        path = lab / plate / "wells.parquet"
        wells = pl.read_parquet(path)
        other = pl.col("compound").replace({"x": name})
        wells.with_columns(other.alias("compound")).write_parquet(path)
        add_run(lab / "second", lab / plate, "okafor-lab")
    return lab / "second"


def test_one_more_donor_is_refused_in_another_screen_with_another_name(next_lab, tmp_path):
    screen = renamed_compound(next_lab, "Rz")
    joined = [replace(x, consent="GRU") if x.line == AT_HOME else x for x in registry()]
    set_registry(screen, *write_registry(next_lab, joined))
    folder = filled_form(tmp_path / "second", next_lab, screen=str(screen))
    with pytest.raises(ReleaseRefused, match=says("release.differencing")):
        check_release(folder)
    (next_lab / "ledger.jsonl").rename(next_lab / "elsewhere.jsonl")
    with pytest.raises(ReleaseRefused, match=says("release.ledger_lacks", count=1)):
        check_release(folder)


def test_one_more_donor_is_refused_under_other_codes_of_the_donors(next_lab, tmp_path):
    joined = [
        replace(x, donor=f"new-{x.donor}", consent="GRU" if x.line == AT_HOME else x.consent)
        for x in registry()
    ]
    with_registry(next_lab, joined)
    with pytest.raises(ReleaseRefused, match=says("release.differencing")):
        check_release(filled_form(tmp_path / "second", next_lab))


def test_a_copied_folder_of_a_release_is_refused(released, next_lab, tmp_path):
    folder = filled_form(tmp_path / "second", next_lab, pixels=False)
    shutil.copy(released.folder / "secret.key", folder / "secret.key")
    told = says("release.old_secret", this="second", other="first")
    with pytest.raises(ReleaseRefused, match=told):
        check_release(folder)
    with pytest.raises(ReleaseRefused, match=told):
        write_release(folder, tmp_path / "bundle")


def test_a_ledger_that_was_deleted_stops_a_release(next_lab, tmp_path):
    folder = filled_form(tmp_path / "second", next_lab, pixels=False)
    assert check_release(folder)[1].kept
    (next_lab / "ledger.jsonl").unlink()
    with pytest.raises(ReleaseRefused, match=says("release.ledger_lacks", count=1)):
        check_release(folder)


@pytest.mark.parametrize("cell", ["plating_day", "protocol_version", "mycoplasma"])
def test_a_date_in_the_registry_stops_a_release(cell, next_lab, tmp_path):
    lines, batches = write_registry(next_lab, registry())
    path = lines if cell == "mycoplasma" else batches
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))
    text = "negative 3.5.2024" if cell == "mycoplasma" else "2024-05-03"
    with path.open("w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {cell: text} for row in rows)
    set_registry(next_lab / "als", lines, batches)
    with pytest.raises(ReleaseRefused, match=says("release.date", cell=cell, text=text)):
        check_release(filled_form(tmp_path / "second", next_lab))
