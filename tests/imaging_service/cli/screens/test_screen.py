from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.screens.folder import planned_compounds, plates_of
from tests.imaging_service.written_runs import REGISTRY, four_runs
from tests.messages import states


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return four_runs(tmp_path_factory.mktemp("runs"))


def run(*arguments):
    return CliRunner().invoke(app, ["screen", *map(str, arguments)])


def test_names_of_one_compound_are_noted_joined_and_unblinded(runs, tmp_path):
    folder, key = tmp_path / "s", tmp_path / "key.csv"
    key.write_text("id,name,blinded_code\nC1,riluzole,x\n", encoding="utf-8")
    added = run("add", folder, runs[0], runs[1], "--compounds", key)
    assert added.exit_code == 0, added.output
    assert "note:" not in added.output
    assert run("fit", folder).exit_code == 0
    opened = run("unblind", folder, "--compounds", key, "--out", tmp_path / "open")
    assert opened.exit_code == 0, opened.output
    assert "responses.csv" in opened.output
    head, first = (tmp_path / "open" / "responses.csv").read_text("utf-8-sig").splitlines()[:2]
    row = dict(zip(head.split(","), first.split(","), strict=False))
    assert (row["compound"], row["compound_id"], row["compound_name"]) == ("x", "C1", "riluzole")
    key.write_text("id,name\nC1,riluzole\n", encoding="utf-8")
    again = run("add", folder, "--compounds", key)
    assert states("compounds.not_registered", again.output, compound="x")
    key.write_text("id,name\nC1,a\nC1,b\n", encoding="utf-8")
    refused = run("add", folder, "--compounds", key)
    assert refused.exit_code != 0
    assert states("compounds.given_before", str(refused.exception or refused.output), id="C1")


def renamed(source, target, **names):
    """Copy a run whose compounds have other names."""
    shutil.copytree(source, target)
    wells = pl.read_parquet(target / "wells.parquet")
    wells = wells.with_columns(pl.col("compound").replace(names))
    wells.write_parquet(target / "wells.parquet")
    return target


def notes(added):
    assert "note:" not in added.stdout
    return [line for line in added.stderr.splitlines() if line.startswith("note:")]


def test_names_of_two_plates_that_may_be_one_compound_are_noted(runs, tmp_path):
    """The plate map of each is without fault: only the screen sees both names."""
    folder, registry = tmp_path / "s", tmp_path / "compounds.tsv"
    first = renamed(runs[0], tmp_path / "r1", x="riluzole")
    second = renamed(runs[1], tmp_path / "r2", x="Riluzole HCl")
    alone = run("add", folder, first)
    assert (alone.exit_code, notes(alone)) == (0, [])
    added = run("add", folder, second)
    assert added.exit_code == 0, added.output
    (note,) = notes(added)
    assert states(
        "compounds.may_be_one_there",
        note,
        first="'Riluzole HCl' at Plate-2",
        second="'riluzole' at Plate-1",
    )
    # A note changes nothing: both plates are in, each with its own name.
    assert [p.plate_name for p in plates_of(folder)] == ["Plate-1", "Plate-2"]
    assert planned_compounds(folder) == {"Riluzole HCl": ["Plate-2"], "riluzole": ["Plate-1"]}
    for rows in ("C1\triluzole\tRiluzole HCl\n", "C1\triluzole\t\nC2\tRiluzole HCl\t\n"):
        registry.write_text(f"id\tname\tsynonyms\n{rows}", encoding="utf-8")
        told = run("add", folder, "--compounds", registry)
        assert (told.exit_code, notes(told)) == (0, [])


def test_names_of_unlike_compounds_are_not_noted(runs, tmp_path):
    folder = tmp_path / "s"
    first = renamed(runs[0], tmp_path / "r1", x="riluzole")
    second = renamed(runs[1], tmp_path / "r2", x="edaravone")
    added = run("add", folder, first, second)
    assert (added.exit_code, notes(added)) == (0, [])
    assert planned_compounds(folder) == {"edaravone": ["Plate-2"], "riluzole": ["Plate-1"]}


def test_the_commands(runs, tmp_path):
    folder, registry = tmp_path / "s", tmp_path / "lines.tsv"
    registry.write_text(REGISTRY, encoding="utf-8")
    added = run("add", folder, runs[0], runs[1], "--lab", "north", "--lines", registry)
    assert added.exit_code == 0, added.output
    assert states("screen.run_added", added.output, plate="Plate-1", run="000000000000")
    fitted = run("fit", folder)
    assert fitted.exit_code == 0, fitted.output
    assert states("screen.fitted", fitted.output, plates=2, rows=12, refitted=12)
    shown = run(
        "table", folder, "--line", "S1", "--phenotype", "nc_log2_aggregate", "--format", "csv"
    )
    assert len(shown.output.splitlines()) == 2
    assert (
        json.loads(run("table", folder, "--kind", "windows", "--format", "json").output)[0]["line"]
        == "S1"
    )
    assert "S1-iso" not in run("table", folder, "--kind", "doses", "--line", "S1").output
    unknown = run("table", folder, "--line", "X")
    assert states("screen.no_such_line", unknown.output, table="responses", line="X", lines="S1")
    assert run("plot", folder, "--out", tmp_path / "p", "--kind", "forest").exit_code == 0
    assert len(list((tmp_path / "p").glob("forest_*.svg"))) == 2
    assert run("add", folder).exit_code == 2
