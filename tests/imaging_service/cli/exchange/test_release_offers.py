"""From an approved request to the bundle, over a service."""

from __future__ import annotations

import pytest
from sqlmodel import Session, select
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.client import ServiceRefused
from imaging_service.database.session import database_engine
from imaging_service.database.tenants import AuditRow
from imaging_service.release.requests import offers, records
from imaging_service.settings import settings as current
from tests.imaging_service.offered import approved
from tests.imaging_service.release.requests.test_records import bundle_of
from tests.messages import says, states


def run(*arguments):
    return CliRunner().invoke(app, ["release", *map(str, arguments)])


def test_a_bundle_is_offered_downloaded_with_the_key_and_ended(data_folder, tmp_path, monkeypatch):
    from tests.imaging_service.conftest import Served

    for module in (records, offers):
        monkeypatch.setattr(module, "withdrawn_since", lambda folder, digest: 0)
    current.cache_clear()
    folder, bundle = tmp_path / "als-2026", bundle_of(tmp_path / "bundle")
    folder.mkdir()
    _, key = approved(folder, bundle)
    made = run("offer", folder, "--bundle", bundle)
    assert made.exit_code == 0, made.output
    release = made.output.split()[1]
    assert run("offers").output.split()[:2] == [release, "als-2026"]
    served = Served(data_folder, "", tmp_path)
    (tmp_path / "key.txt").write_text(key + "\n")
    shown = {}

    def client(url, key=""):
        shown["key"] = key
        opened = served.client(url)
        opened._http.headers["Authorization"] = f"Bearer {key}"
        return opened

    monkeypatch.setattr("imaging_service.client.Client", client)
    arguments = ("download", "--key-file", tmp_path / "key.txt", "--url", "http://s", "--out")
    got = run(*arguments, tmp_path / "copy")
    assert got.exit_code == 0, (got.output, got.exception)
    assert shown["key"] == key
    assert states("offer.downloaded", got.output)
    assert (tmp_path / "copy" / "lines.tsv").read_bytes() == (bundle / "lines.tsv").read_bytes()
    assert run(*arguments, tmp_path / "copy").exit_code == 2
    assert run("end-offer", release).exit_code == 0
    refused = run(*arguments, tmp_path / "again")
    assert isinstance(refused.exception, ServiceRefused)
    assert refused.exception.status == 401
    with Session(database_engine(data_folder.url)) as session:
        rows = session.exec(select(AuditRow)).all()
    assert [r.action for r in rows] == [
        "release offered",
        "release handed over",
        "release offer ended",
    ]
    current.cache_clear()


def test_a_key_without_a_release_downloads_none(data_folder, tmp_path):
    from tests.imaging_service.conftest import Served

    with (
        Served(data_folder, "", tmp_path).client() as client,
        pytest.raises(ServiceRefused, match=says("offer.no_release_of_key")),
    ):
        client.download_release(tmp_path / "x.zip")
