from __future__ import annotations

from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.release.requests import records
from tests.imaging_service.release.requests.test_records import bundle_of


def run(*arguments):
    done = CliRunner().invoke(app, ["release", "request", *map(str, arguments)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_from_a_request_to_the_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "withdrawn_since", lambda folder, digest: 0)
    (tmp_path / "r").mkdir()
    bundle = bundle_of(tmp_path / "bundle")
    who = ("--who", "Ada Lee", "--institution", "A university", "--email", "ada@example.org")
    asked = run(
        "new",
        tmp_path / "r",
        "--bundle",
        bundle,
        *who,
        "--purpose",
        "HMB",
        "--use",
        "neurites",
        "--ethics",
        "METC 1",
        "--days",
        30,
    )
    assert asked.splitlines()[0].startswith("condition: COL")
    identity = asked.split()[-1]
    decided = run(
        "decide",
        tmp_path / "r",
        identity,
        "--bundle",
        bundle,
        "--by",
        "Jan Smit",
        "--reason",
        "fits",
        "--approve",
    )
    (tmp_path / "key.txt").write_text(decided.split()[1])
    run(
        "hand-over",
        tmp_path / "r",
        "--bundle",
        bundle,
        "--key-file",
        tmp_path / "key.txt",
        "--out",
        tmp_path / "copy",
    )
    assert (tmp_path / "copy" / "lines.tsv").is_file()
    run("revoke", tmp_path / "r", identity, "--by", "Jan Smit", "--reason", "ended")
    shown = run("list", tmp_path / "r").splitlines()
    assert shown[0].split()[:2] == [identity, "revoked"]
    assert len(shown) == 5
