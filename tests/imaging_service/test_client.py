from __future__ import annotations

import base64
import json

import httpx
import pytest
from pydantic import ValidationError

from imaging_service.client import Client, ServiceRefused
from imaging_service.orders import NewScreen
from tests.messages import says

RUN = {
    "id": "a" * 12,
    "plate_id": "p",
    "plate_name": "P",
    "protocol_name": "x",
    "engine": "classical",
    "state": "queued",
    "progress": {"left": 3},
    "submitted_at": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def client():
    """A client whose requests are kept, and answered by `client.answer`."""
    made = Client("http://service/")
    made.asked = []
    made.answer = lambda request: httpx.Response(200, json=[])

    def respond(request):
        made.asked.append(request)
        return made.answer(request)

    made._http = httpx.Client(transport=httpx.MockTransport(respond), base_url="http://service")
    with made:
        yield made


def test_another_priority_is_put_and_one_that_does_not_exist_is_not_sent(client):
    client.answer = lambda _: httpx.Response(200, json=RUN | {"priority": "low"})
    assert client.prefer("abcdef", "low").priority == "low"
    (asked,) = client.asked
    assert (asked.method, asked.url.path) == ("PUT", "/runs/abcdef/priority")
    assert json.loads(asked.content) == {"priority": "low"}
    with pytest.raises(ValidationError):
        client.prefer("abcdef", "first")
    assert len(client.asked) == 1


def test_a_submission_carries_the_files_contents(client, tmp_path):
    (tmp_path / "map.csv").write_bytes(b"well,line\n\xff")
    (tmp_path / "p.toml").write_text('name = "x"\nchannels = {dna = 1}\n')
    client.answer = lambda _: httpx.Response(202, json=RUN)
    run = client.submit(
        tmp_path / "scan",
        tmp_path / "map.csv",
        tmp_path / "p.toml",
        device="cpu",
        plate="P-7",
        priority="high",
    )
    body = json.loads(client.asked[0].content)
    assert (client.asked[0].method, client.asked[0].url.path) == ("POST", "/runs")
    assert base64.b64decode(body.pop("plate_map_base64")) == b"well,line\n\xff"
    assert body == {
        "scan": str(tmp_path / "scan"),
        "plate_map_name": "map.csv",
        "protocol": {"name": "x", "channels": {"dna": 1}},
        "engine": None,
        "device": "cpu",
        "plate": "P-7",
        "priority": "high",
    }
    assert (run.id, run.progress.left) == ("a" * 12, 3)


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        (
            lambda c: c.wells("r1", line="L1", labels="engine"),
            "/runs/r1/wells?line=L1&labels=engine",
        ),
        (lambda c: c.responses("r1", phenotype="x"), "/runs/r1/responses?phenotype=x"),
        (lambda c: c.hazards("r1", compound="y"), "/runs/r1/hazards?compound=y"),
        (lambda c: c.checks("r1"), "/runs/r1/checks"),
        (lambda c: c.progress("r1"), "/runs/r1/progress"),
        (lambda c: c.runs(), "/runs"),
        (lambda c: c.plates(), "/plates"),
        (lambda c: c.registry("batches"), "/batches?format=tsv"),
        (lambda c: c.table_bytes("r1", "checks", "parquet"), "/runs/r1/checks?format=parquet"),
    ],
)
def test_what_each_method_asks_for(client, call, asked):
    call(client)
    assert [(r.method, r.url.raw_path.decode()) for r in client.asked] == [("GET", asked)]


def test_a_registry_is_put_as_tsv(client):
    client.answer = lambda _: httpx.Response(
        200, json={"added": ["L1"], "changed": [], "unchanged": []}
    )
    assert client.put_registry("lines", "line\tdonor\nµ\tD1\n").added == ["L1"]
    (request,) = client.asked
    assert (request.method, request.url.path) == ("PUT", "/lines")
    assert request.headers["content-type"] == "text/tab-separated-values"
    assert request.content == "line\tdonor\nµ\tD1\n".encode()


def test_a_problem_document_becomes_the_error(client):
    problem = {"type": "urn:imaging-service:not_found", "detail": "there is no run x"}
    client.answer = lambda _: httpx.Response(404, json=problem)
    with pytest.raises(ServiceRefused) as caught:
        client.run("x")
    assert (str(caught.value), caught.value.status, caught.value.problem) == (
        problem["detail"],
        404,
        problem["type"],
    )
    client.answer = lambda _: httpx.Response(502, text="bad gateway")
    with pytest.raises(ServiceRefused) as caught:
        client.run("x")
    assert (str(caught.value), caught.value.status) == ("bad gateway", 502)


def test_a_certificate_that_is_not_known_is_told_from_a_service_that_is_away(client):
    def refuse(_):
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

    client.answer = refuse
    with pytest.raises(ServiceRefused, match=says("client.certificate")):
        client.runs()


def test_no_answer_has_no_status(client):
    def refuse(_):
        raise httpx.ConnectError("refused")

    client.answer = refuse
    with pytest.raises(ServiceRefused) as caught:
        client.runs()
    assert (caught.value.status, caught.value.code) == (None, "service_refused")


def test_files_that_cannot_be_read_are_said_before_anything_is_sent(client, tmp_path):
    with pytest.raises(ServiceRefused):
        client.submit(tmp_path, tmp_path / "none.csv", tmp_path / "none.toml")
    assert client.asked == []


def test_a_key_is_sent_over_tls_or_to_this_machine_only(monkeypatch):
    monkeypatch.setenv("IMAGING_SERVICE_KEY", "mns_secret")
    with pytest.raises(ServiceRefused) as refused:
        Client("http://imaging.example.org")
    assert "mns_secret" not in str(refused.value)
    for url in ("https://imaging.example.org", "http://127.0.0.1:1"):
        with Client(url, project="als") as client:
            assert client.headers == {"Authorization": "Bearer mns_secret"}
            assert "mns_secret" not in repr(client)
            sent = client._http.build_request("GET", "/runs", params={"limit": "1"})
            assert sent.headers["authorization"] == "Bearer mns_secret"
            assert dict(sent.url.params) == {"project": "als", "limit": "1"}


def test_a_client_without_a_key_sends_none():
    with Client("http://127.0.0.1:9", key="") as client:
        assert "authorization" not in client._http.headers


VERSION = {
    "version": 2,
    "source": "map.csv",
    "author": "ann",
    "created_at": "2026-01-01T00:00:00Z",
    "wells": 60,
    "runs": ["r"],
}


def test_a_corrected_map_is_sent_with_its_name(client, tmp_path):
    (tmp_path / "map.csv").write_bytes(b"well,line\n")
    client.answer = lambda _: httpx.Response(202, json=VERSION)
    assert client.correct_map("p", tmp_path / "map.csv", "P-7").runs == ["r"]
    (sent,) = client.asked
    assert (sent.method, sent.url.path) == ("POST", "/plates/p/maps")
    assert json.loads(sent.content) == {
        "plate_map_name": "map.csv",
        "plate_map_base64": base64.b64encode(b"well,line\n").decode(),
        "plate": "P-7",
    }
    client.answer = lambda _: httpx.Response(200, json=[VERSION])
    assert [version.version for version in client.plate_maps("p")] == [2]
    with pytest.raises(ServiceRefused):
        client.correct_map("p", tmp_path / "absent.csv")


def test_events_come_as_they_are_sent_and_end_with_the_connection(client):
    event = {"id": "r", "state": "running", "reason": "", "done": 1, "failed": 0, "revision": 1}
    text = f"retry: 3000\n\nevent: run\ndata: {json.dumps(event)}\n\n: still here\n\n"
    client.answer = lambda _: httpx.Response(200, text=text)
    assert [(e.id, e.done) for e in client.events("r")] == [("r", 1)]
    assert client.asked[-1].url.params["run"] == "r"
    client.answer = lambda _: httpx.Response(401, json={"detail": "no-key"})
    with pytest.raises(ServiceRefused) as refused:
        list(client.events())
    assert (refused.value.status, str(refused.value)) == (401, "no-key")

    def cut(request):
        raise httpx.ReadError("cut")

    client.answer = cut
    with pytest.raises(ServiceRefused) as ended:
        list(client.events())
    assert ended.value.status is None


SCREEN = {
    "id": "5b0e9d2a41b7c3d0",
    "name": "als",
    "project": "als",
    "state": "queued",
    "progress": {"gathered": 0, "plates": 2},
    "author": "Ada",
    "submitted_at": "2026-01-01T00:00:00Z",
}


def whoami(*projects):
    listed = [{"id": p, "name": p, "lab_id": "x", "role": "viewer"} for p in projects]
    return {"name": "Ada", "lab_id": "x", "key": "", "everywhere": False, "projects": listed}


def test_screens_are_those_of_the_only_project_and_it_is_asked_for_once(client):
    client.answer = lambda request: httpx.Response(
        200, json=whoami("als") if request.url.path == "/session" else SCREEN
    )
    wanted = NewScreen(name="als", runs=[{"run": "3f0c9d2a41b7"}])
    assert client.order_screen(wanted).progress.plates == 2
    assert client.screen("5b0e").name == "als"
    client.screen_table_bytes("5b0e", "doses", "csv", where=["line==L1"])
    client.screen_report("5b0e")
    client.delete_screen("5b0e")
    text = f"event: screen\ndata: {json.dumps(SCREEN)}\n\n: still here\n\n"
    client.answer = lambda _: httpx.Response(200, text=text)
    assert [event.id for event in client.screen_events("5b0e")] == [SCREEN["id"]]
    assert [(r.method, r.url.raw_path.decode()) for r in client.asked] == [
        ("GET", "/session"),
        ("POST", "/projects/als/screens"),
        ("GET", "/projects/als/screens/5b0e"),
        ("GET", "/projects/als/screens/5b0e/tables/doses?format=csv&where=line%3D%3DL1"),
        ("GET", "/projects/als/screens/5b0e/report"),
        ("DELETE", "/projects/als/screens/5b0e"),
        ("GET", "/projects/als/screens/5b0e/events"),
    ]
    assert NewScreen.model_validate_json(client.asked[1].content) == wanted


@pytest.mark.parametrize("projects", [(), ("als", "ftd")])
def test_a_screen_of_several_projects_needs_the_name_of_one(client, projects):
    client.answer = lambda _: httpx.Response(200, json=whoami(*projects))
    with pytest.raises(ServiceRefused, match=says("client.name_the_project")) as refused:
        client.screens()
    assert all(project in str(refused.value) for project in projects)
    client.project, client.answer = "als", lambda _: httpx.Response(200, json=[SCREEN])
    assert [screen.id for screen in client.screens()] == [SCREEN["id"]]
