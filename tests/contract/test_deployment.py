"""The files of `deploy/`: what they name is there, and nothing secret is in them."""

from __future__ import annotations

import configparser
import copy
import re
import runpy

import dask
import pytest
import yaml

from imaging_service.settings import Settings

SETTINGS = {f"IMAGING_SERVICE_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def deploy(repository):
    return repository / "deploy"


@pytest.fixture(scope="module")
def compose(deploy):
    return yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))


def test_only_the_proxy_is_reached_from_outside(compose):
    services = compose["services"]
    assert set(services) == {"proxy", "api", "worker", "database"}
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]


def test_the_service_believes_the_proxy_and_no_other(compose):
    proxy = compose["services"]["proxy"]["networks"]["inside"]["ipv4_address"]
    for name in ("api", "worker"):
        environment = compose["services"][name]["environment"]
        assert set(environment) <= SETTINGS
        assert environment["IMAGING_SERVICE_PROXY"] == proxy
        Settings.model_validate(
            {
                "public_url": environment["IMAGING_SERVICE_PUBLIC_URL"].replace(
                    "${IMAGING_HOST:?}", "h"
                )
            }
        )


def test_images_are_of_a_named_version(compose):
    images = [service["image"] for service in compose["services"].values()]
    assert [i for i in images if ":" not in i] == ["imaging-service", "imaging-service"]
    assert not any(i.endswith(":latest") for i in images)


def test_every_password_comes_from_the_environment(deploy):
    for path in deploy.rglob("*"):
        if path.is_file():
            for value in re.findall(r"(?i)password(?:=|: )\"?([^\s\"}]+)", path.read_text()):
                assert value.startswith(("${POSTGRES_PASSWORD", "$(openssl")), (path, value)


def test_every_command_and_setting_of_a_unit_exists(deploy):
    import typer

    from imaging_service.cli.main import app

    known = set(typer.main.get_command(app).commands)
    for path in (deploy / "systemd").glob("*.service"):
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(path)
        command = unit["Service"]["ExecStart"].split()
        assert command[1] in known
        assert unit["Service"]["NoNewPrivileges"] == "true"
        assert unit["Service"]["UMask"] == "0077"
    names = re.findall(r"^(\w+)=", (deploy / "systemd/imaging-service.env").read_text(), re.M)
    assert set(names) <= SETTINGS


def test_the_page_names_every_file_and_setting_of_the_sign_in(repository, deploy):
    page = (repository / "docs" / "administrator.md").read_text(encoding="utf-8")
    for name in SETTINGS:
        if any(part in name for part in ("OIDC", "TLS", "PROXY", "PUBLIC")):
            assert name in page, name
    assert "deploy/compose.yaml" in page
    assert "deploy/systemd" in page


def test_a_cluster_over_ssh_speaks_tls_only_and_has_its_head_first(deploy, monkeypatch, tmp_path):
    script = runpy.run_path(str(deploy / "ssh_cluster.py"))
    given = {}

    def over_ssh(hosts, **more):
        given.update(
            more, hosts=hosts, configured=copy.deepcopy(dask.config.get("distributed.comm"))
        )
        return "started"

    monkeypatch.setitem(script["cluster_of"].__globals__, "SSHCluster", over_ssh)
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    files = [str(tmp_path / name) for name in ("ca", "cert", "key")]
    assert script["cluster_of"](["head", "one", "two"], 8, *files, username="lab") == "started"
    assert given["configured"]["require-encryption"] is True
    tls = given["configured"]["tls"]
    assert tls["ca-file"] == files[0]
    for role in ("scheduler", "worker", "client"):
        assert (tls[role]["cert"], tls[role]["key"]) == tuple(files[1:])
    assert given["hosts"] == ["head", "one", "two"]
    assert given["connect_options"] == {"username": "lab"}
    assert given["security"].require_encryption is True
    for part in ("scheduler_options", "worker_options"):
        assert given[part]["protocol"] == "tls"
    assert given["scheduler_options"]["host"] == "head"
    assert given["worker_options"]["n_workers"] == 8
