"""The files of `deploy/`: what they name is there, and nothing secret is in them."""

from __future__ import annotations

import configparser
import contextlib
import copy
import http.server
import ipaddress
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import threading
import time
import tomllib

import dask
import httpx
import pytest
import sqlalchemy as sa
import yaml
from sqlmodel import Session

from imaging_service.access.members import add_lab, add_member
from imaging_service.access.roles import Role
from imaging_service.database.session import database_engine
from imaging_service.errors import Unavailable
from imaging_service.incoming.s3 import place, store_of
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.settings import Settings
from tests.commands import parsed
from tests.faults.conftest import end
from tests.messages import says
from tests.postgres import Postgres
from tests.s3 import PARTS as PARTS_OF_S3
from tests.s3 import remove_sockets, weed
from tests.service import free_port

SETTINGS = {f"IMAGING_SERVICE_{name.upper()}" for name in Settings.model_fields}
# What `deploy/compose.yaml` takes from the shell, as its first lines give it.
GIVEN = {"IMAGING_HOST": "imaging.example.org", "SCANS": "/mnt/scans", "POSTGRES_PASSWORD": "5ec"}
# What `deploy/compose.s3.yaml` takes beside these.
KEY_OF_S3 = {"AWS_ACCESS_KEY_ID": "imaging", "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-storage"}


@pytest.fixture(scope="module")
def deploy(repository):
    return repository / "deploy"


@pytest.fixture(scope="module")
def compose(deploy):
    return yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def on_s3(deploy):
    """What is laid over `compose`."""
    return yaml.safe_load((deploy / "compose.s3.yaml").read_text(encoding="utf-8"))


def filled(text):
    """A text of the file with the shell's variables in it."""
    return re.sub(r"\$\{(\w+):\?\}", lambda name: (GIVEN | KEY_OF_S3)[name[1]], text)


def test_only_the_proxy_is_reached_from_outside(compose):
    services = compose["services"]
    assert set(services) == {"proxy", "api", "worker", "database"}
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]


def test_the_service_believes_the_proxy_and_its_own_health_check(compose):
    proxy = compose["services"]["proxy"]["networks"]["inside"]["ipv4_address"]
    for name in ("api", "worker"):
        environment = compose["services"][name]["environment"]
        assert set(environment) <= SETTINGS
        assert environment["IMAGING_SERVICE_PROXY"] == f"{proxy},127.0.0.1"
        Settings.model_validate({"public_url": filled(environment["IMAGING_SERVICE_PUBLIC_URL"])})


def test_no_container_that_starts_first_takes_the_address_of_the_proxy(compose):
    proxy = ipaddress.ip_address(compose["services"]["proxy"]["networks"]["inside"]["ipv4_address"])
    (pool,) = compose["networks"]["inside"]["ipam"]["config"]
    free = ipaddress.ip_network(pool["ip_range"])
    assert proxy in ipaddress.ip_network(pool["subnet"])
    assert proxy not in free
    assert free.num_addresses > len(compose["services"])


def test_images_are_of_a_named_version(compose, deploy):
    images = {name: service["image"] for name, service in compose["services"].items()}
    assert images == {
        "proxy": "caddy:2.8",
        "api": "imaging-service",
        "worker": "imaging-service",
        "database": "postgres:15",
    }
    dockerfile = (deploy / "Dockerfile").read_text(encoding="utf-8")
    # Debian 12, whose pg_dump is the one of Postgres 15.
    assert re.findall(r"^FROM (\S+)", dockerfile, re.M) == ["python:3.11-slim-bookworm"]
    assert re.findall(r"pip install --no-cache-dir (\S+)", dockerfile) == ["uv==0.13.9"]


def test_what_the_image_is_built_from_is_there(compose, deploy, repository):
    assert compose["services"]["api"]["build"] == {
        "context": "..",
        "dockerfile": "deploy/Dockerfile",
    }
    dockerfile = (deploy / "Dockerfile").read_text(encoding="utf-8")
    copied = [line.split()[1:-1] for line in re.findall(r"^COPY .*", dockerfile, re.M)]
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= {name for names in copied for name in names}
    assert [n for names in copied for n in names if not (repository / n).exists()] == []
    (extras,) = re.findall(r"\.\[([\w,]+)\]", dockerfile)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])


def test_every_name_of_the_file_for_containers_leads_somewhere(compose, deploy):
    text = (deploy / "compose.yaml").read_text(encoding="utf-8")
    for name, service in compose["services"].items():
        for volume in service["volumes"]:
            source, target = filled(volume).split(":")[:2]
            assert target.startswith("/"), (name, volume)
            assert (
                source in compose["volumes"]
                or source == GIVEN["SCANS"]
                or (deploy / source).exists()
            ), (name, volume)
        assert set(service["networks"]) == set(compose["networks"])
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in compose["services"][needed]
    # Each variable is refused where it is missing, and the first lines name it.
    assert set(re.findall(r"\$\{(\w+):\?\}", text)) == set(GIVEN)
    assert set(re.findall(r"\$\{?(\w+)", "".join(text.splitlines(True)[7:]))) == set(GIVEN)
    assert set(re.findall(r"\b([A-Z_]+)=", text.partition("\n\n")[0])) == set(GIVEN)
    url = sa.engine.make_url(
        filled(compose["services"]["api"]["environment"]["IMAGING_SERVICE_DATABASE_URL"])
    )
    database = compose["services"]["database"]["environment"]
    assert (url.host, url.username, url.database) == (
        "database",
        database["POSTGRES_USER"],
        database["POSTGRES_DB"],
    )


def test_the_commands_of_the_file_for_containers_are_those_of_the_program(compose, deploy):
    text = (deploy / "compose.yaml").read_text(encoding="utf-8")
    (first,) = re.findall(r"run --rm api (.*)", text)
    assert parsed(shlex.split(first))["lab"] == "core"
    served = parsed(compose["services"]["api"]["command"].split())
    assert (served["host"], served["worker"]) == ("0.0.0.0", False)
    assert parsed(compose["services"]["worker"]["command"].split()) == {}
    caddy = (deploy / "proxy" / "Caddyfile").read_text(encoding="utf-8")
    assert re.findall(r"reverse_proxy (\S+)", caddy) == [f"api:{served['port']}"]
    check = compose["services"]["api"]["healthcheck"]["test"]
    assert re.findall(r"http://127\.0\.0\.1:(\d+)/", check[-1]) == [str(served["port"])]


def health(compose, port):
    """The exit status of the API's health check, with the image's Python as this one."""
    shell, program, *arguments = compose["services"]["api"]["healthcheck"]["test"]
    assert (shell, program) == ("CMD", "python")
    arguments[-1] = arguments[-1].replace(":8765/", f":{port}/")
    return subprocess.run([sys.executable, *arguments], stderr=subprocess.DEVNULL).returncode


@pytest.mark.slow
def test_a_server_that_refuses_is_not_healthy(compose):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert health(compose, server.server_port) == 1
        server.shutdown()


@pytest.mark.slow
def test_the_api_of_the_file_for_containers_runs_and_is_healthy(compose, tmp_path):
    """Its command and its environment, with a Postgres and folders of this machine."""
    port, postgres = free_port(), Postgres()
    postgres.start()
    given = compose["services"]["api"]["environment"]
    environment = os.environ | {name: filled(value) for name, value in given.items()}
    environment |= {
        "IMAGING_SERVICE_DATA_DIR": str(tmp_path / "data"),
        "IMAGING_SERVICE_DATABASE_URL": postgres.url,
        "IMAGING_SERVICE_SCAN_ROOTS": str(tmp_path),
    }
    command = compose["services"]["api"]["command"].split()
    try:
        (tmp_path / "data").mkdir()
        prepare_database(postgres.url)
        with Session(database_engine(postgres.url)) as session:
            add_lab(session, "core")
            add_member(session, "core", "Ann Smith", Role.ADMINISTRATOR)
            session.commit()
        process = subprocess.Popen(
            [sys.executable, "-m", "imaging_service.cli", *command, "--port", str(port)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 180
            while health(compose, port) and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.2)
            assert health(compose, port) == 0
            # Of what is not open to all, loopback gets no more than others do.
            assert httpx.get(f"http://localhost:{port}/runs").status_code == 401
        finally:
            end(process)
    finally:
        database_engine(postgres.url).dispose()
        postgres.remove()


def test_every_password_comes_from_the_environment(deploy):
    for path in deploy.rglob("*"):
        if path.is_file():
            text = path.read_text()
            for value in re.findall(r"(?i)(?:password|secret\w*)(?:=|: )\"?([^\s\"}]+)", text):
                assert re.match(r"\$\{(POSTGRES_PASSWORD|AWS_SECRET_ACCESS_KEY)|\$\(openssl", value)


def test_the_storage_is_reached_by_api_and_workers_only_and_has_a_key(compose, on_s3, deploy):
    services = on_s3["services"]
    assert set(services) == {"api", "worker", "storage", "aws"}
    assert not [name for name, service in services.items() if "ports" in service]
    for service in services.values():
        assert service["networks"] == ["plates"]
    assert on_s3["networks"] == {"plates": {"internal": True}}
    assert not set(on_s3["networks"]) & set(compose["networks"])
    # Of one part only more than loopback is opened: the one that asks for a key.
    command = shlex.split(services["storage"]["command"])
    assert [word for word in command if "0.0.0.0" in word] == ["-s3.ip.bind=0.0.0.0"]
    assert "-ip.bind=127.0.0.1" in command
    assert "-s3" in command
    # Without a key it would let everybody in, so a missing one is refused.
    text = (deploy / "compose.s3.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+):\?\}", text)) == set(KEY_OF_S3)
    for service in services.values():
        for name in KEY_OF_S3:
            assert service["environment"][name] == f"${{{name}:?}}"
    assert set(re.findall(r"\b([A-Z_]+)=", text.partition("\n\n")[0])) == set(KEY_OF_S3)
    images = {n: services[n]["image"] for n in ("storage", "aws")}
    assert images == {"storage": "chrislusf/seaweedfs:4.48", "aws": "amazon/aws-cli:2.32.6"}
    assert services["aws"]["profiles"] == ["aws"]
    assert services["storage"]["volumes"] == ["plates:/data"]
    assert services["storage"]["stop_grace_period"] == "1m"
    assert "plates" in on_s3["volumes"]


def test_api_and_workers_find_the_storage_and_each_laboratory_its_folder_there(
    compose, on_s3, deploy, monkeypatch
):
    (extras,) = re.findall(r"\.\[([\w,]+)\]", (deploy / "Dockerfile").read_text())
    assert "s3" in extras.split(",")
    for name in ("api", "worker"):
        over, under = on_s3["services"][name], compose["services"][name]
        # Lists of two files are joined; what depends on an order is not there twice.
        assert over["depends_on"] == {"storage": {"condition": "service_healthy"}}
        assert set(over) == {"environment", "depends_on", "networks"}
        scans = under["environment"]["IMAGING_SERVICE_SCAN_ROOTS"]
        roots = over["environment"]["IMAGING_SERVICE_SCAN_ROOTS"]
        assert roots.startswith(f"{scans}:s3://")
        reached = Settings(scan_roots=roots).roots_of("als", "smith-lab")
        assert [str(root) for root in reached[:2]] == ["/scans/smith-lab", "s3://plates/smith-lab"]
        assert over["environment"]["AWS_ENDPOINT_URL"] == "http://storage:8333"


@pytest.mark.slow
def test_the_storage_of_the_file_runs_is_healthy_and_refuses_strangers(
    on_s3, tmp_path, monkeypatch
):
    """The program that its image has, with its command and its environment."""
    storage = on_s3["services"]["storage"]
    ports = {f"{part}.port{of}": free_port() for part in PARTS_OF_S3 for of in ("", ".grpc")}
    port = ports["s3.port"]
    environment = os.environ | {n: filled(v) for n, v in storage["environment"].items()}
    # What the image's own first program adds.
    added = (f"-dir={tmp_path}", "-volume.max=0", "-master.volumeSizeLimitMB=1024")
    # The image has BusyBox, whose wget fails at any other answer than 200.
    *program, check = storage["healthcheck"]["test"]
    assert program == ["CMD", "wget", "-q", "-O", "/dev/null"]
    check = check.replace(":8333/", f":{port}/")
    process = subprocess.Popen(
        [
            weed(),
            *shlex.split(storage["command"]),
            *added,
            *(f"-{n}={p}" for n, p in ports.items()),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(check, timeout=5).status_code == 200:
                    break
            time.sleep(0.2)
        client = on_s3["services"]["api"]["environment"]
        for name in (*KEY_OF_S3, "AWS_REGION"):
            monkeypatch.setenv(name, filled(client[name]))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store_of.cache_clear()
        written = place("s3://results/p12/run.json")
        written.write(b"{}")
        assert written.read_bytes() == b"{}"
        assert httpx.get(f"http://127.0.0.1:{port}/results").status_code == 403
        for name, value in KEY_OF_S3.items():
            monkeypatch.setenv(name, f"{value}-of-a-stranger")
            store_of.cache_clear()
            with pytest.raises(Unavailable, match=says("s3.refused", where=written)):
                written.read_bytes()
            monkeypatch.setenv(name, value)
    finally:
        end(process)
        remove_sockets(ports.values())
        store_of.cache_clear()


def test_every_command_and_setting_of_a_unit_exists(deploy):
    for path in (deploy / "systemd").glob("*.service"):
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(path)
        parsed(shlex.split(unit["Service"]["ExecStart"])[1:])
        assert unit["Service"]["NoNewPrivileges"] == "true"
        assert unit["Service"]["UMask"] == "0077"
    names = re.findall(r"^(\w+)=", (deploy / "systemd/imaging-service.env").read_text(), re.M)
    assert set(names) <= SETTINGS


def test_systemd_takes_every_line_of_the_units(deploy, tmp_path):
    """By its own check, with a program that is there in place of the service's."""
    check = shutil.which("systemd-analyze") or pytest.fail("apt-get install systemd")
    program, units = shutil.which("true"), []
    for path in sorted((deploy / "systemd").iterdir()):
        if path.suffix in (".service", ".timer"):
            text = path.read_text(encoding="utf-8")
            units.append(tmp_path / path.name)
            units[-1].write_text(
                text.replace("/opt/imaging-service/bin/imaging-service", program), encoding="utf-8"
            )
    assert len(units) == 4
    told = subprocess.run(
        [check, "verify", "--man=no", *units], capture_output=True, text=True, cwd=tmp_path
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_the_page_names_every_file_and_setting_of_the_sign_in(repository, deploy):
    page = (repository / "docs" / "administrator.md").read_text(encoding="utf-8")
    for name in SETTINGS:
        if any(part in name for part in ("OIDC", "TLS", "PROXY", "PUBLIC")):
            assert name in page, name
    assert "deploy/compose.yaml" in page
    assert "deploy/compose.s3.yaml" in page
    for name in KEY_OF_S3:
        assert name in page, name
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
