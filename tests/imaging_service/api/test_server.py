from __future__ import annotations

import os
import signal
import socket
from types import SimpleNamespace

import pytest

from imaging_service.access.secret_files import LOCAL_TOKEN, secret
from imaging_service.api import processes, server
from imaging_service.api.entrance.proxy import OnlyFrom
from imaging_service.api.metrics import SHARED_FOLDER
from imaging_service.database.session import database_engine, upgrade
from imaging_service.errors import Forbidden
from imaging_service.key_file import forget_key, keep_key, key_for
from imaging_service.settings import Settings
from tests.certificates import certificate
from tests.messages import says, states

PUBLIC = {"public_url": "https://imaging.example.org"}


@pytest.fixture
def started(monkeypatch, two_labs):
    """`serve` with some settings; what it would start, in order."""
    calls = []

    def configured(**settings):
        current = Settings(**({"data_dir": two_labs.folder} | settings))
        monkeypatch.setattr(server, "settings", lambda: current)

    def run(app, **more):
        calls.append(("api", more["host"], more["port"]))
        calls.append(more | {"app": app, "key": key_for("http://localhost:8765")})

    configured()
    monkeypatch.setattr(server, "configure", lambda: None)
    monkeypatch.setattr(server, "must_be_free", lambda *address: None)
    monkeypatch.setattr(
        server, "prepare_database", lambda url: (upgrade(url), calls.append(("database", url)))
    )
    monkeypatch.setattr(server, "prove_store", lambda settings: calls.append("store"))
    monkeypatch.setattr(processes, "readers", lambda: SimpleNamespace(warm=lambda: None))
    monkeypatch.setattr(
        server, "supervise", lambda current, stop: (calls.append("worker"), stop.wait())
    )
    monkeypatch.setattr(server.uvicorn, "run", run)
    return SimpleNamespace(calls=calls, configured=configured)


@pytest.fixture
def tls(tmp_path):
    return dict(zip(("tls_certificate", "tls_key"), certificate(tmp_path), strict=True))


@pytest.fixture
def without_members(tmp_path):
    folder = tmp_path / "alone"
    yield {"data_dir": folder}
    database_engine(Settings(data_dir=folder).url).dispose()


OUTSIDE = ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "127.0.0.1.evil.example"]


@pytest.mark.parametrize("host", [*OUTSIDE, "localhost.evil"])
def test_any_address_but_loopback_is_refused_before_anything_starts(started, host):
    with pytest.raises(Forbidden):
        server.serve(host, 1, with_worker=True)
    assert started.calls == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_served_once_the_database_is_ready(started, host, two_labs):
    server.serve(host, 8765, with_worker=False)
    assert started.calls[:3] == [
        ("database", two_labs.settings.url),
        "store",
        ("api", host, 8765),
    ]


def test_the_folder_for_scans_is_there_once_it_is_served(started, without_members):
    started.configured(**without_members)
    for _ in range(2):
        server.serve("127.0.0.1", 8765, with_worker=False)
        assert list((without_members["data_dir"] / "scans").iterdir()) == []


def test_a_link_to_a_share_that_is_away_stays_and_hinders_nothing(
    started, without_members, tmp_path
):
    started.configured(**without_members)
    without_members["data_dir"].mkdir()
    (without_members["data_dir"] / "scans").symlink_to(tmp_path / "share")
    server.serve("127.0.0.1", 8765, with_worker=False)
    assert started.calls[-1]["port"] == 8765
    assert not (tmp_path / "share").exists()


def test_several_processes_build_the_application_themselves_and_count_together(
    started, two_labs, monkeypatch
):
    folders = []
    run = server.uvicorn.run

    def look(app, **more):
        folders.append(os.environ[SHARED_FOLDER])
        assert os.path.isdir(folders[0])
        run(app, **more)

    monkeypatch.setattr(server.uvicorn, "run", look)
    server.serve("127.0.0.1", 8765, with_worker=False, processes=2)
    given = started.calls[-1]
    assert given["app"] == "imaging_service.api.processes:application"
    assert (given["factory"], given["workers"]) == (True, 2)
    assert SHARED_FOLDER not in os.environ
    assert not os.path.exists(folders[0])


def test_the_worker_runs_beside_the_api_and_ends_with_it(started):
    server.serve("127.0.0.1", 8765, with_worker=True)
    assert started.calls.count("worker") == 1


def test_a_server_that_is_told_to_stop_ends_its_worker_and_takes_its_token_back(
    started, without_members, monkeypatch
):
    """Uvicorn closes, and then repeats the signal that it was sent."""
    answers = []
    monkeypatch.setattr(
        server, "supervise", lambda current, stop: answers.append(stop.wait(timeout=120))
    )
    monkeypatch.setattr(
        server.uvicorn, "run", lambda app, **more: signal.raise_signal(signal.SIGTERM)
    )
    started.configured(**without_members)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        server.serve("127.0.0.1", 8765, with_worker=True)
    assert ended.value.code == 0
    assert (answers, key_for("http://127.0.0.1:8765")) == ([True], "")
    assert signal.getsignal(signal.SIGTERM) is before


def test_others_are_served_over_the_service_s_own_tls(started, tls):
    started.configured(**PUBLIC, **tls)
    server.serve("0.0.0.0", 8443, with_worker=False)
    run = started.calls[-1]
    assert (run["host"], run["ssl_certfile"], run["ssl_keyfile"]) == ("0.0.0.0", *tls.values())
    assert run["proxy_headers"] is False
    assert run["app"].state.local_token == ""


def test_others_are_served_through_a_named_proxy_and_through_no_other(started):
    started.configured(**PUBLIC, proxy="10.0.0.5")
    server.serve("0.0.0.0", 8765, with_worker=False)
    assert isinstance(started.calls[-1]["app"], OnlyFrom)


@pytest.mark.parametrize(
    "given",
    [
        {"proxy": "10.0.0.5"},
        {"tls_certificate": "chain.pem", **PUBLIC},
        {"tls_certificate": "absent.pem", "tls_key": "absent.pem", **PUBLIC},
        {"tls_certificate": "chain.pem", "tls_key": "chain.pem", **PUBLIC},
        {"proxy": "any", **PUBLIC},
        PUBLIC,
    ],
)
def test_half_a_configuration_is_refused_before_anything_starts(started, tls, given):
    given = {k: tls["tls_certificate"] if v == "chain.pem" else v for k, v in given.items()}
    started.configured(**given)
    with pytest.raises(Forbidden):
        server.serve("0.0.0.0", 8443, with_worker=True)
    assert started.calls == []


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_service_without_members_is_for_its_user_only(started, tls, without_members, host):
    started.configured(**without_members, **PUBLIC, **tls)
    with pytest.raises(Forbidden):
        server.serve(host, 8443, with_worker=True)
    assert [c for c in started.calls if c[0] == "api" or c == "worker"] == []


def test_a_service_without_members_prints_its_link_and_leaves_its_token_to_its_user(
    started, without_members, capsys
):
    started.configured(**without_members)
    server.serve("127.0.0.1", 8765, with_worker=False)
    token = secret(without_members["data_dir"], LOCAL_TOKEN)
    assert f"http://127.0.0.1:8765/open?token={token}" in capsys.readouterr().out
    run = started.calls[-1]
    assert run["key"] == run["app"].state.local_token == token
    # It goes with the service.
    assert key_for("http://127.0.0.1:8765") == ""


def test_a_port_in_use_is_refused_and_the_service_there_keeps_its_user_s_token(
    started, without_members, monkeypatch
):
    started.configured(**without_members)
    monkeypatch.setattr(server, "must_be_free", processes.must_be_free)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        keep_key(f"http://127.0.0.1:{port}", "the other's")
        with pytest.raises(Forbidden, match=says("server.port_in_use", port=port)):
            server.serve("127.0.0.1", port, with_worker=True)
        assert key_for(f"http://127.0.0.1:{port}") == "the other's"
        forget_key(f"http://127.0.0.1:{port}")
    assert started.calls == []


def test_a_service_with_members_prints_its_address_and_no_token(started, tls, capsys):
    server.serve("127.0.0.1", 8765, with_worker=False)
    assert states("server.open_address", capsys.readouterr().out, url="http://127.0.0.1:8765")
    started.configured(**tls, **PUBLIC)
    server.serve("0.0.0.0", 8765, with_worker=False)
    assert states("server.open_address", capsys.readouterr().out, url=PUBLIC["public_url"])
    assert started.calls[-1]["key"] == ""
