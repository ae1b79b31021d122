from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from imaging_service.errors import ScanError, SettingsRefused
from imaging_service.settings import Settings, settings
from tests.messages import says


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in list(os.environ):
        if name.startswith("IMAGING_SERVICE_"):
            monkeypatch.delenv(name)


def test_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Settings()
    assert found.model_dump() | {"data_dir": str(found.data_dir)} == {
        "data_dir": "imaging-service-data",
        "database_url": "",
        "scan_roots": "",
        "workers": 0,
        "worker_name": "",
        "dask_scheduler": "",
        "poll_seconds": 0.2,
        "patience_hours": 12,
        "reading_minutes": 60,
        "public_url": "",
        "tls_certificate": None,
        "tls_key": None,
        "proxy": "",
        "oidc_issuer": "",
        "oidc_client_id": "",
        "oidc_client_secret_file": None,
    }
    assert found.url == f"sqlite:///{tmp_path / 'imaging-service-data' / 'service.db'}"


def test_without_scan_roots_only_the_data_folder_s_own_scans_may_be_submitted(tmp_path):
    assert Settings(data_dir=tmp_path / "d").roots == (tmp_path / "d" / "scans",)


def test_scan_roots_are_separated_and_resolved(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    given = os.pathsep.join([str(tmp_path / "link"), str(tmp_path / "x" / ".." / "b"), ""])
    assert Settings(data_dir=tmp_path, scan_roots=given).roots == (
        tmp_path / "real",
        tmp_path / "b",
        tmp_path / "scans",
    )


def test_scan_roots_may_be_on_s3(tmp_path):
    given = os.pathsep.join(["s3://plates", str(tmp_path / "b"), "s3://other/a b", "/x/s3", "/y"])
    made = Settings(data_dir=tmp_path, scan_roots=given)
    assert [str(root) for root in made.roots] == [
        "s3://plates",
        f"{tmp_path}/b",
        "s3://other/a b",
        "/x/s3",
        "/y",
        f"{tmp_path}/scans",
    ]
    assert [str(root) for root in made.roots_of("als", "smith-lab")] == [
        "s3://plates/smith-lab",
        f"{tmp_path}/b/smith-lab",
        "s3://other/a b/smith-lab",
        "/x/s3/smith-lab",
        "/y/smith-lab",
        f"{tmp_path}/projects/als/scans",
    ]


def test_a_scan_root_with_credentials_is_refused_and_not_repeated(tmp_path):
    with pytest.raises(ScanError, match=says("s3.address")) as refused:
        _ = Settings(data_dir=tmp_path, scan_roots="/scans:s3://id:geheim@plates").roots
    assert "geheim" not in str(refused.value)


def test_the_environment_sets_them(monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGING_SERVICE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("IMAGING_SERVICE_DATABASE_URL", "postgresql://db/x")
    monkeypatch.setenv("IMAGING_SERVICE_WORKERS", "3")
    settings.cache_clear()
    try:
        assert (settings().data_dir, settings().url, settings().workers) == (
            tmp_path,
            "postgresql://db/x",
            3,
        )
        assert settings() is settings()
    finally:
        settings.cache_clear()


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"poll_seconds": 0}])
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("public_url", "imaging", says("settings.public_url")),
        ("workers", "two", says("settings.workers")),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name_with_what_it_takes(
    monkeypatch, name, value, sentence
):
    monkeypatch.setenv(f"IMAGING_SERVICE_{name.upper()}", value)
    settings.cache_clear()
    with pytest.raises(SettingsRefused, match=sentence):
        settings()


def test_a_laboratory_reaches_only_its_own_folder_of_a_scan_root(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", scan_roots=str(tmp_path / "share"))
    of_local = {tmp_path / "share", tmp_path / "data" / "scans"}
    assert set(settings.roots_of("default", "local")) == of_local == set(settings.roots)
    assert set(settings.roots_of("als", "alpha")) == {
        tmp_path / "share" / "alpha",
        tmp_path / "data" / "projects" / "als" / "scans",
    }
    assert settings.project_root("als") != settings.project_root("ftd")


@pytest.mark.parametrize(
    "url", ["http://imaging.example.org", "imaging.example.org", "https://a/b"]
)
def test_a_public_address_is_of_a_host_over_tls(url):
    with pytest.raises(ValidationError):
        Settings(public_url=url)


def test_the_names_of_a_service_are_those_of_its_public_address():
    assert Settings().names == frozenset()
    named = Settings(public_url="https://imaging.example.org:8443")
    assert named.names == {"imaging.example.org"}
