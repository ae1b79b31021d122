"""Growth rates from two runs: of the end, and of the time of dosing."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import StoreError
from imaging_service.jobs.films.growth import write_growth
from imaging_service.store.tables import read_table, write_table
from tests.messages import says, states


@pytest.fixture
def dosing(own_run, tmp_path):
    """A run of the same plate with a quarter of line L1's cells; those of L2 do not divide."""
    folder = shutil.copytree(own_run, tmp_path / "dosing")
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(record | {"run_id": "earlier"}), encoding="utf-8")
    quarter = pl.when(pl.col("line") == "L1").then(0.25).otherwise(1.0)
    wells = read_table(folder / "wells.parquet").with_columns(
        # All wells alike when dosed, whatever happens to them later.
        live_density=quarter
        * pl.col("live_density").filter(pl.col("control") == "vehicle").mean().over("line")
    )
    write_table(wells, folder / "wells")
    return folder


def test_a_line_that_divides_has_growth_rates_and_the_other_a_reason(own_run, dosing):
    shown = CliRunner().invoke(app, ["growth", str(own_run), "--dosing", str(dosing)])
    assert shown.exit_code == 0, shown.output
    table = read_table(own_run / "growth.parquet")
    assert (own_run / "growth.csv").is_file()
    rows = {r["well"]: r for r in table.to_dicts()}
    assert sorted(rows) == ["B04", "B05", "C03", "C04"]
    wells = {w["well"]: w for w in read_table(own_run / "wells.parquet").to_dicts()}
    for name in ("B04", "B05"):
        assert rows[name]["vehicle_growth"] == pytest.approx(4)
        ratio = wells[name]["live_density"] / rows[name]["density_at_dosing"]
        assert rows[name]["gr"] == pytest.approx(ratio**0.5 - 1)
    assert {rows[n]["status"] for n in ("C03", "C04")} == {"vehicle_does_not_grow"}
    assert states("growth.counted", shown.output, wells=2)


def test_the_run_itself_and_counts_of_another_protocol_are_refused(own_run, dosing):
    with pytest.raises(StoreError, match=says("growth.the_run_itself")):
        write_growth(own_run, own_run)
    record = json.loads((dosing / "run.json").read_text(encoding="utf-8"))
    (dosing / "run.json").write_text(
        json.dumps(record | {"protocol_digest": "other"}), encoding="utf-8"
    )
    with pytest.raises(StoreError, match=says("growth.protocols_differ")):
        write_growth(own_run, dosing)
