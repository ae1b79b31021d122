from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
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
