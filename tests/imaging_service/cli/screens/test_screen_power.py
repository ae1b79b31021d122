from __future__ import annotations

from typer.testing import CliRunner

from imaging_service.cli.main import app
from tests.imaging_service.written_runs import planned_runs
from tests.messages import states


def run(*arguments):
    return CliRunner().invoke(app, ["screen", *map(str, arguments)])


def test_power_prints_designs_and_writes_table_and_picture(tmp_path):
    folder = tmp_path / "s"
    assert run("add", folder, *planned_runs(tmp_path / "runs")).exit_code == 0
    refused = str(run("power", folder, "--effect", 0.5).exception)
    assert states("screen.not_fitted", refused)
    assert run("fit", folder).exit_code == 0
    planned = run("power", folder, "--effect", 0.5, "--out", tmp_path / "p")
    assert planned.exit_code == 0, planned.output
    assert states(
        "power.question", planned.output, phenotype="live_density", effect=0.5, share="10 %"
    )
    assert states("power.vehicles", planned.output, arms=12, wells=3)
    assert states("power.of_a_line", planned.output)
    assert states("power.of_donors", planned.output)
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == [
        "power.csv",
        "power_live_density.svg",
    ]
    few = run("power", folder, "--effect", 0.265, "--out", tmp_path / "p", "--working", 0.001)
    assert states("power.no_design", few.output, of="one line")
    assert not states("power.no_design", few.output, of="mean over donors")
    missing = run("power", folder)
    assert missing.exit_code == 2
    assert run("power", folder, "--effect", 0.1).exit_code == 1
