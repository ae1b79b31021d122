"""The command `upload`: what it hands on, and what it prints."""

from __future__ import annotations

from typer.testing import CliRunner

from imaging_service import upload as module
from imaging_service.cli.main import app
from imaging_service.errors import UploadRefused
from imaging_service.upload import Sent
from tests.messages import states


def test_the_scan_s_folder_on_the_service_is_printed(tmp_path, monkeypatch):
    given = {}

    def send(source, client, **more):
        given.update(more, scan=source.root, url=client.url)
        more["progress"](1, 2)
        return Sent("/data/scans/plate")

    monkeypatch.setattr(module, "upload", send)
    arguments = ["upload", str(tmp_path), "--url", "http://x", "--name", "p", "--watch", "3"]
    ended = CliRunner().invoke(app, arguments)
    assert (ended.exit_code, ended.stdout) == (0, "/data/scans/plate\n")
    del given["progress"]
    assert given == {
        "scan": tmp_path,
        "url": "http://x",
        "name": "p",
        "parallel": 4,
        "quiet_s": 180.0,
    }


def test_a_scan_that_is_not_there_is_refused(tmp_path):
    ended = CliRunner().invoke(app, ["upload", str(tmp_path / "away")])
    assert isinstance(ended.exception, UploadRefused)
    assert states("upload.not_a_folder", str(ended.exception))
