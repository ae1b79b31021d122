from __future__ import annotations

from types import SimpleNamespace

import pytest

from imaging_service.api import server
from imaging_service.errors import Forbidden
from imaging_service.settings import Settings


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What `serve` would start, in order."""
    calls = []
    monkeypatch.setattr(server, "settings", lambda: Settings(data_dir=tmp_path))
    monkeypatch.setattr(server, "prepare_database", lambda url: calls.append(("database", url)))
    monkeypatch.setattr(server, "prove_store", lambda settings: calls.append("store"))
    monkeypatch.setattr(server, "apart", lambda: SimpleNamespace(warm=lambda: None))
    monkeypatch.setattr(
        server, "supervise", lambda current, stop: (calls.append("worker"), stop.wait())
    )
    monkeypatch.setattr(
        server.uvicorn, "run", lambda app, **more: calls.append(("api", more["host"], more["port"]))
    )
    return calls


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "127.0.0.1.evil.example", "localhost.evil"],
)
def test_any_address_but_loopback_is_refused_before_anything_starts(started, host):
    with pytest.raises(Forbidden):
        server.serve(host, 1, with_worker=True)
    assert started == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_served_once_the_database_is_ready(started, host, tmp_path):
    server.serve(host, 8765, with_worker=False)
    assert started == [("database", Settings(data_dir=tmp_path).url), "store", ("api", host, 8765)]


def test_the_worker_runs_beside_the_api_and_ends_with_it(started):
    server.serve("127.0.0.1", 8765, with_worker=True)
    assert started.count("worker") == 1
