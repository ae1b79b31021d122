from __future__ import annotations

from typer.testing import CliRunner

from imaging_service.cli.main import app
from tests.imaging_service.written_runs import planned_runs


def run(*arguments):
    return CliRunner().invoke(app, ["screen", *map(str, arguments)])


def test_power_prints_designs_and_writes_table_and_picture(tmp_path):
    folder = tmp_path / "s"
    assert run("add", folder, *planned_runs(tmp_path / "runs")).exit_code == 0
    assert "was not fitted yet" in str(run("power", folder, "--effect", 0.5).exception)
    assert run("fit", folder).exit_code == 0
    planned = run("power", folder, "--effect", 0.5, "--out", tmp_path / "p")
    assert planned.exit_code == 0, planned.output
    assert "live_density: effect 0.5 (log2 ratio) in 10 % of rows" in planned.output
    assert "per plate of a line with 12 arms of 3 wells" in planned.output
    assert "one line" in planned.output
    assert "mean over donors" in planned.output
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == [
        "power.csv",
        "power_live_density.svg",
    ]
    few = run("power", folder, "--effect", 0.265, "--out", tmp_path / "p", "--working", 0.001)
    assert "one line: no design of the table reaches 80%" in few.output
    assert "mean over donors: no design" not in few.output
    missing = run("power", folder)
    assert missing.exit_code == 2
    assert run("power", folder, "--effect", 0.1).exit_code == 1
