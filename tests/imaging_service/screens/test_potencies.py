from __future__ import annotations

import polars as pl
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import ScreenError
from imaging_service.screens.folder import add_run, fit, set_registry
from imaging_service.screens.potencies import potencies
from phenotypes.columns.dictionary import columns
from tests.imaging_service.written_runs import REGISTRY, four_runs
from tests.messages import says


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s") / "als"
    for run in four_runs(tmp_path_factory.mktemp("runs"))[:3]:
        add_run(folder, run, "north")
    fit(folder)
    return folder


def test_without_a_pair_a_line_must_be_named(screen):
    with pytest.raises(ScreenError, match=says("potencies.no_pair")):
        potencies(screen)
    with pytest.raises(ScreenError, match=says("potencies.unknown_line", line="Z")):
        potencies(screen, "Z")


def test_all_lines_are_compared_with_the_one_that_is_named(screen):
    responses = pl.read_parquet(screen / "responses.parquet")
    lines = responses["line"].unique(maintain_order=True).to_list()
    table = potencies(screen, lines[0])
    assert set(table["line"]) == set(lines[1:])
    assert set(table["reference"]) == {lines[0]}
    assert len(table) == len(responses.filter(pl.col("line") != lines[0]))
    assert pl.read_parquet(screen / "potencies.parquet").equals(table)
    assert pl.read_csv(screen / "potencies.csv").columns == list(columns("potency"))


def test_another_fit_leaves_no_table_of_the_last_one(screen):
    responses = pl.read_parquet(screen / "responses.parquet")
    potencies(screen, responses["line"][0])
    fit(screen)
    assert not list(screen.glob("potencies.*"))


def test_potencies_are_unblinded_with_the_other_tables(screen, tmp_path):
    responses = pl.read_parquet(screen / "responses.parquet")
    potencies(screen, responses["line"][0])
    compound = responses["compound"][0]
    key = tmp_path / "key.tsv"
    key.write_text(
        f"id\tname\tsynonyms\tblinded_code\nC1\topened\t\t{compound}\n", encoding="utf-8"
    )
    out = tmp_path / "open"
    answer = CliRunner().invoke(
        app, ["screen", "unblind", str(screen), "--compounds", str(key), "--out", str(out)]
    )
    assert answer.exit_code == 0, answer.output
    opened = pl.read_parquet(out / "potencies.parquet")
    assert "opened" in set(opened["compound_name"])


def test_pairs_of_the_registry_are_compared_by_the_command(screen, tmp_path):
    registry = tmp_path / "lines.tsv"
    registry.write_text(REGISTRY, encoding="utf-8")
    set_registry(screen, registry, None)
    fit(screen)
    answer = CliRunner().invoke(app, ["screen", "potency", str(screen)])
    assert answer.exit_code == 0, answer.output
    responses = pl.read_parquet(screen / "responses.parquet")
    pairs = responses.filter(pl.col("isogenic").is_not_null()).select("line", "isogenic").unique()
    table = pl.read_parquet(screen / "potencies.parquet")
    assert sorted(table.select("line", "reference").unique().rows()) == sorted(pairs.rows())
