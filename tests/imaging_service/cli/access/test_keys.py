from __future__ import annotations

import pytest
from sqlmodel import Session, select
from typer.testing import CliRunner

from imaging_service.access.callers import caller_with_key
from imaging_service.access.roles import Role
from imaging_service.cli.main import app as cli
from imaging_service.database.session import database_engine
from imaging_service.database.tenants import AuditRow
from imaging_service.errors import AccessRefused, NotFound
from imaging_service.settings import Settings
from tests.messages import says, states


@pytest.fixture
def run(tmp_path, monkeypatch):
    """One command on a service that is new."""
    settings = Settings(data_dir=tmp_path / "data")
    monkeypatch.setattr("imaging_service.settings.settings", lambda: settings)

    def command(*words):
        done = CliRunner().invoke(cli, words)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    command.settings = settings
    yield command
    database_engine(settings.url).dispose()


def caller(run, key):
    with Session(database_engine(run.settings.url)) as session:
        return caller_with_key(session, key.strip())


def test_from_the_first_administrator_to_the_last_key(run, tmp_path):
    first = run("keys", "first-administrator", "ann", "--lab", "smith-lab", "--lab-name", "Smith")
    assert caller(run, first).everywhere
    with pytest.raises(AccessRefused):
        run("keys", "first-administrator", "eve")
    run("members", "add", "bob", "--lab", "smith-lab", "--role", "operator")
    run("projects", "add", "als", "--lab", "smith-lab")
    out = tmp_path / "bob.key"
    more = ("--role", "reviewer", "--project", "als", "--days", "30", "--out", str(out))
    run("members", "add", "rita", "--lab", "smith-lab", "--role", "reviewer")
    run("keys", "add", "--member", "rita", "--name", "laptop")
    printed = run("keys", "add", "--member", "bob", "--name", "laptop", *more)
    key = out.read_text().strip()
    assert key not in printed
    assert caller(run, key).roles == {"als": Role.REVIEWER}
    identity = key.split("_")[1]
    listed = run("keys", "list")
    role = "reviewer (limited from operator)"
    assert states("keys.valid", listed, key=identity, role=role)
    assert key.split("_", 2)[2] not in listed
    (ritas,) = (line for line in listed.splitlines() if "smith-lab/rita" in line)
    assert ritas.split("  ")[1:-2][-1] == "reviewer"
    fresh = run("keys", "rotate", identity)
    assert caller(run, key) is not None
    run("keys", "revoke", identity)
    assert caller(run, key) is None
    assert caller(run, fresh).name == "bob"
    assert states("keys.ended", run("keys", "list"), key=identity, how="revoked")
    run("members", "end", "bob")
    assert caller(run, fresh) is None
    assert states("keys.ended", run("keys", "list"), key=fresh.split("_")[1], how="ended")
    with Session(database_engine(run.settings.url)) as session:
        log = [row.action for row in session.exec(select(AuditRow).order_by(AuditRow.id)).all()]
    assert log == [
        "first administrator",
        "member added",
        "project added",
        "member added",
        "key added",
        "key added",
        "key rotated",
        "key revoked",
        "membership ended",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("projects", "share", "als", "--lab", "beta"),
        ("projects", "list"),
        ("members", "list"),
        ("keys", "list"),
        ("labs", "add", "alpha"),
        ("release", "offers"),
    ],
)
def test_no_command_but_the_first_administrator_s_makes_a_database(run, words):
    folder = run.settings.data_dir
    with pytest.raises(NotFound, match=says("opened.no_database", file=folder / "service.db")):
        run(*words)
    assert not folder.exists()


def test_an_unknown_key_is_named(run):
    run("keys", "first-administrator", "ann")
    for verb in ("rotate", "revoke"):
        with pytest.raises(NotFound):
            run("keys", verb, "000000000000")
    with pytest.raises(NotFound):
        run("keys", "add", "--member", "eve", "--name", "x")


def test_no_command_takes_a_key_as_an_argument():
    """Every user of the machine could read it in the list of processes."""
    import typer

    def commands(group):
        for command in group.commands.values():
            yield from commands(command) if hasattr(command, "commands") else [command]

    names = {
        option
        for command in commands(typer.main.get_command(cli))
        for parameter in command.params
        # A file may be named: what is in it is not in the list of processes.
        if parameter.param_type_name == "option"
        and "Path" not in str(parameter.type_descriptor.annotation)
        for option in parameter.opts
    }
    assert "--url" in names
    assert {
        n for n in names if "secret" in n or "token" in n or "password" in n or n == "--key"
    } == set()
