from __future__ import annotations

import pytest

from imaging_service.client import Client
from imaging_service.errors import AccessRefused
from imaging_service.key_file import (
    KEY,
    KEY_FILE,
    LOCAL_URL,
    forget_key,
    keep_key,
    key_for,
    may_carry,
    service_url,
)

URL = "https://imaging.example.org"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(KEY_FILE, raising=False)


def test_a_kept_key_is_found_by_its_address_and_no_other_user_can_read_it():
    path = keep_key(URL, "k-1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert key_for(URL) == key_for(f"{URL}:443/") == "k-1"
    assert key_for("https://evil.example") == key_for(f"{URL}:444") == ""
    assert keep_key(URL, "k-2") == path
    assert key_for(URL) == "k-2"
    assert forget_key(URL)
    assert not forget_key(URL)
    assert key_for(URL) == ""


def test_this_machine_s_names_are_one_address():
    keep_key("http://127.0.0.1:8765", "k")
    assert key_for("http://localhost:8765") == key_for("http://[::1]:8765") == "k"
    assert key_for("http://localhost:8766") == ""


def test_the_environment_comes_first(tmp_path, monkeypatch):
    keep_key(URL, "kept")
    (tmp_path / "file").write_text("of the file\n")
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "file"))
    assert key_for(URL) == "of the file"
    monkeypatch.setenv(KEY, " of the environment ")
    assert key_for(URL) == "of the environment"


def test_a_named_file_that_cannot_be_read_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "absent"))
    with pytest.raises(AccessRefused) as refused:
        key_for(URL)
    assert str(tmp_path / "absent") in str(refused.value)


@pytest.mark.parametrize(
    ("url", "may"),
    [
        (URL, True),
        ("http://127.0.0.1:8765", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("http://imaging.example.org", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://10.0.0.5", False),
        ("imaging.example.org", False),
    ],
)
def test_a_key_travels_over_tls_or_not_at_all(url, may):
    assert may_carry(url) is may


@pytest.mark.parametrize(
    "url", ["http://::1:8765", "http://[", "http://host:port", "http://h:99999"]
)
def test_what_is_no_address_is_refused(url):
    for asked in (key_for, may_carry):
        with pytest.raises(AccessRefused):
            asked(url)


def test_the_address_is_that_of_the_environment_or_of_this_machine(monkeypatch):
    monkeypatch.delenv("IMAGING_SERVICE_URL", raising=False)
    assert service_url() == LOCAL_URL
    monkeypatch.setenv("IMAGING_SERVICE_URL", " http://127.0.0.1:8931/ ")
    assert service_url() == "http://127.0.0.1:8931/"
    with Client() as client:
        assert client.url == "http://127.0.0.1:8931"
    with Client(LOCAL_URL) as client:
        assert client.url == LOCAL_URL
