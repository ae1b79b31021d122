"""What a service writes down of secrets: nothing (A5)."""

from __future__ import annotations

import json

import httpx
import pytest

from imaging_service.access.secret_files import LOCAL_TOKEN, SESSION_KEY, secret
from imaging_service.key_file import KEY
from tests.service import Service


@pytest.fixture
def running(made_labs, tmp_path, monkeypatch):
    """(service, laboratories): a server process whose members have keys."""
    copy = made_labs.copy(tmp_path / "data")
    service = Service(tmp_path, tmp_path / "scans")
    monkeypatch.setenv(KEY, copy.keys["operator"])
    service.start(worker=False).close()
    yield service, copy
    service.stop()
    copy.close()


def test_no_secret_is_in_the_log_or_on_the_screen(running):
    service, labs = running
    key, wrong = labs.keys["administrator"], f"mns_{12 * 'a'}_{43 * 'w'}"
    secrets = {name: text.split("_", 2)[2] for name, text in labs.keys.items()}
    secrets["wrong"] = 43 * "w"
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {key}"}) as http:
        secrets["new"] = http.post("/keys", json={"name": "x"}).json()["key"].split("_", 2)[2]
        rotated = http.post(f"/keys/{key.split('_')[1]}/rotate").json()
        secrets["rotated"] = rotated["key"].split("_", 2)[2]
        for method, path, more in (
            ("GET", "/runs", {}),
            ("GET", f"/runs/{key}", {}),
            ("GET", f"/plates/{key}?project={key}", {}),
            ("GET", "/runs", {"headers": {"Authorization": f"Bearer {wrong}"}}),
            ("GET", "/runs", {"headers": {"Authorization": f"Basic {key}"}}),
            ("POST", "/runs", {"content": key}),
            ("PUT", "/lines", {"content": key}),
            ("POST", "/members", {"json": {"name": key, "key": key}}),
            ("POST", "/session", {"data": {"key": wrong}}),
            ("GET", f"/open?token={key}", {}),
            ("DELETE", f"/keys/{wrong}", {}),
        ):
            assert http.request(method, path, **more).status_code < 500, path
        secrets["cookie"] = http.post("/session", data={"key": key}).cookies.popitem()[1]
    for name in (SESSION_KEY, LOCAL_TOKEN):
        secrets[name] = secret(labs.folder, name)
    service.stop()
    log = (service.folder / "serve.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert sum(line["logger"] == "imaging_service.requests" for line in lines) >= 13
    assert {name for name, text in secrets.items() if text in log} == set()
    # What the audit log keeps is read by others.
    database = b"".join(p.read_bytes() for p in labs.folder.glob("service.db*"))
    assert {name for name, text in secrets.items() if text.encode() in database} == set()
