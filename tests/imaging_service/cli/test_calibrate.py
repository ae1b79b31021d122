from __future__ import annotations

from datetime import UTC, datetime

from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.protocol import load_protocol
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict
from tests.messages import states


def run(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(a) for a in arguments])


def test_calibrate_prints_the_figures_and_writes_a_protocol(own_run, tmp_path):
    log = ReviewLog(own_run)
    for well in ("B02", "B03", "C02"):
        log.judge(Verdict(well=well, field=1, accepted=True, author="ann", time=datetime.now(UTC)))
    out = tmp_path / "protocol.toml"
    done = run("calibrate", own_run, "--out", out, "--device", "cpu")
    assert done.exit_code == 0
    assert states("calibrate.what_was_traced", done.output)
    assert states("calibrate.figure_before", done.output)
    protocol = load_protocol(out)
    assert protocol.name == "small"
    assert protocol.accuracy.figures["neurite_f1"] == (1, 1, 1)
    before = out.read_bytes()
    again = run("calibrate", own_run, "--out", out, "--device", "cpu")
    assert again.exit_code != 0
    assert out.read_bytes() == before
