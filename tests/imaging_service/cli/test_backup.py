from __future__ import annotations

import shutil

from typer.testing import CliRunner

from imaging_service.cli.main import app as cli
from imaging_service.errors import BackupError
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
