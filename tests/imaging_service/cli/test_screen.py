from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from tests.imaging_service.written_runs import REGISTRY, four_runs


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
    assert "note: compound x is not in the compound registry" in again.output
    key.write_text("id,name\nC1,a\nC1,b\n", encoding="utf-8")
    refused = run("add", folder, "--compounds", key)
    assert refused.exit_code != 0
    assert "id C1 was given before" in str(refused.exception or refused.output)


def test_the_commands(runs, tmp_path):
    folder, registry = tmp_path / "s", tmp_path / "lines.tsv"
    registry.write_text(REGISTRY, encoding="utf-8")
    added = run("add", folder, runs[0], runs[1], "--lab", "north", "--lines", registry)
    assert added.exit_code == 0, added.output
    assert "added Plate-1 (run 000000000000)" in added.output
    fitted = run("fit", folder)
    assert fitted.exit_code == 0, fitted.output
    assert "2 plates: 12 rows, 12 of them fitted now" in fitted.output
    shown = run(
        "table", folder, "--line", "S1", "--phenotype", "nc_log2_aggregate", "--format", "csv"
    )
    assert len(shown.output.splitlines()) == 2
    assert (
        json.loads(run("table", folder, "--kind", "windows", "--format", "json").output)[0]["line"]
        == "S1"
    )
    assert "36 rows" not in run("table", folder, "--kind", "doses", "--line", "S1").output
    assert (
        "table responses has no line 'X'; choose one of S1"
        in run("table", folder, "--line", "X").output
    )
    assert run("plot", folder, "--out", tmp_path / "p", "--kind", "forest").exit_code == 0
    assert len(list((tmp_path / "p").glob("forest_*.svg"))) == 2
    assert run("add", folder).exit_code == 2
