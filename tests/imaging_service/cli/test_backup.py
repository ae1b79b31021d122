from __future__ import annotations

import shutil

from typer.testing import CliRunner

from imaging_service.cli.main import app as cli
from imaging_service.errors import BackupError
from imaging_service.review.local import LocalRun
from tests.messages import states


def test_from_a_backup_to_a_restored_service(two_labs, tmp_path, monkeypatch):
    monkeypatch.setattr("imaging_service.settings.settings", lambda: two_labs.settings)
    (two_labs.folder / "store.id").write_text("id")
    done = CliRunner().invoke(cli, ["backup", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert states("backup.size", done.stdout)
    refused = CliRunner().invoke(cli, ["restore", str(tmp_path / "out")])
    assert isinstance(refused.exception, BackupError)
    two_labs.close()
    shutil.rmtree(two_labs.folder)
    done = CliRunner().invoke(cli, ["restore", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert two_labs.ask("viewer", "GET", "/runs").status_code == 200


def test_a_run_is_copied_to_s3_and_back(small_run, bucket, tmp_path):
    address, run = bucket.address("runs/small"), LocalRun(small_run).record["run_id"][:12]
    # A copy holds the folder, which tests in other processes copy as well.
    own = shutil.copytree(small_run, tmp_path / "own")
    done = CliRunner().invoke(cli, ["copy-run", str(own), address])
    assert done.exit_code == 0, done.output
    count = len(bucket.names("runs/small")) - 1
    assert states("copy_run.done", done.stdout, count=count, run=run, where=address)
    back = tmp_path / "back"
    done = CliRunner().invoke(cli, ["copy-run", address, str(back)])
    assert states("copy_run.done", done.stdout, count=count, run=run, where=back), done.output
    assert LocalRun(back).table("wells").equals(LocalRun(small_run).table("wells"))
