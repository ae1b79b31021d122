from __future__ import annotations

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app as cli
from imaging_service.errors import AccessRefused, NotFound
from tests.messages import states


@pytest.fixture
def run(two_labs, monkeypatch):
    """One command on the service of two laboratories."""
    monkeypatch.setattr("imaging_service.settings.settings", lambda: two_labs.settings)

    def command(*words):
        done = CliRunner().invoke(cli, words)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return command


def test_laboratories_are_added_and_listed(run):
    run("labs", "add", "gamma", "--name", "Third laboratory")
    assert states("labs.listed", run("labs", "list"))
    with pytest.raises(AccessRefused):
        run("labs", "add", "gamma")


def test_members_are_listed_with_those_who_have_left(run, two_labs):
    listed = run("members", "list")
    assert states("members.everywhere", listed, member=two_labs.members["service"])
    assert states("members.left", listed)
    with pytest.raises(NotFound):
        run("members", "add", "ann", "--lab", "xyz")


def test_projects_are_shared_and_listed(run, two_labs):
    run("projects", "share", "als", "--lab", "beta", "--role", "reviewer")
    assert states("projects.shared", run("projects", "list"))
    assert two_labs.ask("other lab", "GET", "/projects").json()[0]["role"] == "reviewer"


def test_a_laboratory_is_limited_and_set_free(run, two_labs):
    limited = run("labs", "limit", "alpha", "--runs", "3", "--upload-gib", "1.5")
    assert states("labs.limited", limited, lab="alpha", runs="3", uploads="1.5 GiB")
    shown = {lab["id"]: lab for lab in two_labs.ask("service", "GET", "/labs").json()}
    assert (shown["alpha"]["most_runs"], shown["alpha"]["most_upload_bytes"]) == (3, 3 * 2**29)
    assert shown["beta"]["most_runs"] is None
    free = run("labs", "limit", "alpha")
    assert states("labs.limited", free, lab="alpha", runs="no limit", uploads="no limit")
