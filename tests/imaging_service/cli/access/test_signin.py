from __future__ import annotations

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app as cli
from imaging_service.client import Client, ServiceRefused
from imaging_service.errors import AccessRefused
from imaging_service.key_file import key_for
from tests.imaging_service.tenants import ask
from tests.messages import says, states

URL = "https://imaging.example.org"


@pytest.fixture
def run(two_labs, monkeypatch, tmp_path):
    """One command of a client whose requests go to the application."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def answered(client, method, path, **more):
        answer = ask(two_labs.app, method, path, client.headers, **more)
        if answer.is_error:
            raise ServiceRefused(answer.json()["detail"], answer.status_code)
        return answer

    monkeypatch.setattr(Client, "ask", answered)

    def command(*words, stdin=""):
        done = CliRunner().invoke(cli, [*words, "--url", URL], input=stdin)
        if done.exception is not None:
            raise done.exception
        return done.output

    return command


def test_without_a_key_the_service_is_not_asked(run):
    with pytest.raises(AccessRefused, match=says("signin.no_key")):
        run("login", stdin="\n")


def test_a_key_is_pasted_with_spaces_around_it(run, two_labs):
    key = two_labs.keys["reviewer"]
    run("login", stdin=f"  {key} \n")
    assert key_for(URL) == key


def test_a_key_is_kept_once_the_service_has_known_it(run, two_labs):
    with pytest.raises(ServiceRefused):
        run("login", stdin="mns_wrong\n")
    assert key_for(URL) == ""
    key = two_labs.keys["reviewer"]
    said = run("login", stdin=f"{key}\n")
    assert key_for(URL) == key
    assert key not in said
    assert states("signin.known_as", said)
    assert states("signin.role_in_project", run("whoami"))
    run("logout")
    assert key_for(URL) == ""
    with pytest.raises(ServiceRefused):
        run("whoami")


def test_the_audit_log_is_printed(run, two_labs):
    two_labs.ask("administrator", "POST", "/projects", json={"id": "p-2"})
    run("login", stdin=two_labs.keys["administrator"])
    assert len(run("audit").splitlines()) == 2
    assert run("audit", "--format", "csv").startswith("id,time,actor")
