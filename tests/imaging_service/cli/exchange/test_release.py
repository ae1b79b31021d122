from __future__ import annotations

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import ReleaseRefused
from tests.imaging_service.release.drawn_release import PLATES, filled_form, laboratory
from tests.messages import says, states


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return laboratory(tmp_path_factory.mktemp("okaforlab"))


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_a_release_from_its_form_to_a_screen_of_its_reader(lab, tmp_path):
    runs = [lab / plate for plate in PLATES]
    begun = run("release", "new", tmp_path / "r", *runs, "--screen", lab / "als", "--tier", "open")
    assert begun.exit_code == 0, begun.output
    unfilled = run("release", "check", tmp_path / "r")
    assert isinstance(unfilled.exception, ReleaseRefused)
    folder = filled_form(tmp_path / "filled", lab, pixels=False)
    checked = run("release", "check", folder)
    assert states("release.may_leave", checked.output, lines=12, donors=6, k=6), checked.output
    written = run("release", "write", folder, "--out", tmp_path / "bundle")
    assert written.exit_code == 0, written.output
    verified = run("release", "verify", tmp_path / "bundle", "--release", folder)
    assert states("release.verified", verified.output, k=6), verified.output
    added = run("screen", "add", tmp_path / "screen", tmp_path / "bundle")
    assert added.output.count("added P-") == 3, added.output
    again = run("release", "write", folder, "--out", tmp_path / "other")
    with pytest.raises(ReleaseRefused, match=says("release.in_the_ledger")):
        raise again.exception
