"""From an upload to a corrected table: two laboratories, three roles, two hosts, a real service.

On Postgres, with a storage on S3, and an administrator who signs in at a provider. Each worker has
a host of its own, and reaches the database and the storage over the network only; one host goes
away while it has wells.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.access.keys import make_key
from imaging_service.access.members import add_lab, add_member, add_project
from imaging_service.access.roles import Role
from imaging_service.client import Client, ServiceRefused
from imaging_service.database.session import database_engine
from imaging_service.incoming import s3
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.key_file import KEY
from imaging_service.review.crops import Crop
from imaging_service.review.remote import RemoteRun
from imaging_service.upload import open_source, upload
from tests.faults.conftest import end
from tests.hosts import hosts_called
from tests.imaging_service.conftest import MAP, PROTOCOL, WELLS, small_inputs, small_run
from tests.messages import states
from tests.oidc import authorised, provider_of
from tests.postgres import Postgres
from tests.s3 import SECRET_KEY, S3Server
from tests.service import Service, wait_for

__all__ = ["small_inputs", "small_run"]

pytestmark = pytest.mark.slow


HOLDERS = """
SELECT executor_id, split_part(workflow_uuid, ':', 3) FROM dbos.workflow_status
WHERE name = 'analyse_well' AND workflow_uuid LIKE :run || ':%' AND status = ANY(:statuses)
ORDER BY 1, 2
"""


# Rows of wells that have been sent to the database, and wait there to be written.
WRITING = """
SELECT count(*) FROM pg_stat_activity
WHERE query LIKE 'INSERT INTO well_result%' AND wait_event_type = 'Lock'
  AND host(client_addr) = :address
"""


@pytest.fixture(scope="module")
def hosts():
    with hosts_called("one", "two") as made:
        yield made


@pytest.fixture
def postgres(hosts):
    running = Postgres(hosts.address, hosts.network)
    running.start()
    prepare_database(running.url)
    yield running
    database_engine(running.url).dispose()
    running.remove()


@pytest.fixture(scope="module")
def running_s3(hosts, tmp_path_factory):
    """Where the hosts reach it; `bucket` is in it."""
    running = S3Server(tmp_path_factory.mktemp("s3"), hosts.address)
    s3.store_of.cache_clear()
    try:
        running.start()
        running.make_bucket()
        yield running
    finally:
        running.stop()
        s3.store_of.cache_clear()


@pytest.fixture
def keys(postgres):
    """Keys of an administrator and an operator of `alpha`, and of a reviewer of `beta`."""
    made = {}
    with Session(database_engine(postgres.url)) as session:
        for lab in ("alpha", "beta"):
            add_lab(session, lab)
        add_project(session, "alpha", "als")
        for name, lab, role in (
            ("Ada", "alpha", Role.ADMINISTRATOR),
            ("Olga", "alpha", Role.OPERATOR),
            ("Rita", "beta", Role.REVIEWER),
        ):
            email = f"{name.lower()}@example.org"
            member = add_member(session, lab, name, role, email=email)
            made[name] = make_key(session, member, "key").secret
        session.commit()
    return made


def holders(url: str, run: str, *statuses: str) -> dict[str, list[str]]:
    """Worker ► the wells of the run that it has, or had, which are now in one of the statuses."""
    wells: dict[str, list[str]] = {}
    with database_engine(url).connect() as connection:
        asked = connection.execute(sa.text(HOLDERS), {"run": run, "statuses": [*statuses]})
        for worker, well in asked:
            wells.setdefault(worker, []).append(well)
    return wells


def eventually(condition, what, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def wells_of(held: dict[str, list[str]]) -> str:
    return "; ".join(f"worker {worker} has {' '.join(wells)}" for worker, wells in held.items())


def writes(url: str, host) -> bool:
    """Whether a well's row from the host waits to be written."""
    with database_engine(url).connect() as connection:
        asked = connection.execute(sa.text(WRITING), {"address": host.address})
        return asked.scalar() > 0


@contextmanager
def both_write_wells(url: str, hosts, submit, log):
    """Submit a run, and keep its wells from being written from then to the block's end.

    The block begins once both workers have analysed wells of it, however slow one of them is: no
    well ends, and a worker takes two at most.
    """
    with database_engine(url).connect() as connection:
        connection.execute(sa.text("LOCK TABLE well_result IN SHARE ROW EXCLUSIVE MODE"))
        run = submit().id
        eventually(
            lambda: (
                holders(url, run, "PENDING").keys() == {"one", "two"}
                and all(writes(url, host) for host in hosts.machines)
            ),
            log,
        )
        yield run


def rows_per_well(url: str, run: str) -> dict[str, int]:
    """How often each well of a run is counted."""
    query = sa.text("SELECT well FROM well_result WHERE run_id = :run")
    with database_engine(url).connect() as connection:
        return dict(Counter(connection.execute(query, {"run": run}).scalars()))


def responses_of(client: Client, run: str) -> list[dict[str, object]]:
    """The response table, without what names the run."""
    return [{k: v for k, v in row.items() if k != "run_id"} for row in client.responses(run)]


def status(action) -> int | None:
    with pytest.raises(ServiceRefused) as refused:
        action()
    return refused.value.status


@pytest.fixture
def provider():
    with provider_of(
        {"sub": "s-ada", "email": "ada@example.org", "email_verified": True}
    ) as issuer:
        yield issuer


def shared_by_browser(url: str, lab: str, role: str) -> None:
    """Ada shares the project on its page, signed in with her institution's account."""
    own_page = {"Sec-Fetch-Site": "same-origin", "Origin": url}
    with httpx.Client(base_url=url, headers={"Accept": "text/html"}) as browser:
        assert browser.get(authorised(browser.request, "s-ada")).status_code == 303
        answer = browser.post(
            "/account/projects/als/shares", data={"lab": lab, "role": role}, headers=own_page
        )
        assert answer.status_code == 303, answer.text


def on_its_own(host, service: Service, servers: tuple[str, ...]) -> None:
    """The host has a name and a loopback of its own, and reaches the servers over the network."""
    here = urlsplit(service.url)
    assert host.hostname() == host.name
    assert not host.reaches(here.hostname, here.port)
    for server in map(urlsplit, servers):
        assert not host.reaches("127.0.0.1", server.port)
        assert host.reaches(server.hostname, server.port)


def seen_by(url: str) -> set[tuple[str, str]]:
    """Names of the workers' hosts, and the addresses from which hosts speak with the database."""
    rows = sa.text("SELECT host FROM worker")
    addresses = sa.text("SELECT DISTINCT host(client_addr) FROM pg_stat_activity")
    with database_engine(url).connect() as connection:
        return {*connection.execute(rows).scalars()}, {*connection.execute(addresses).scalars()}


def test_from_an_upload_to_a_corrected_table(
    small_inputs,
    small_run,
    hosts,
    postgres,
    provider,
    bucket,
    running_s3,
    keys,
    tmp_path,
    monkeypatch,
    record_property,
):
    record_property("hosts", str(hosts))
    (tmp_path / "map.csv").write_text(MAP)
    (tmp_path / "protocol.toml").write_text(
        f'name = "{PROTOCOL["name"]}"\n'
        f"response.phenotypes = {json.dumps(PROTOCOL['response']['phenotypes'])}\n"
        'segmentation.engine = "classical"\n'
        '[channels]\ndna = "1"\nneurite = "2"\naggregate = "3"\n'
    )
    (tmp_path / "client-secret").write_text("the secret of the service\n")
    service = Service(
        tmp_path,
        f"{tmp_path / 'scans'}:{bucket.address()}",
        database_url=postgres.url,
        oidc_issuer=provider,
        oidc_client_id="imaging",
        oidc_client_secret_file=str(tmp_path / "client-secret"),
    )
    service.start(worker=False).close()
    one, two = hosts.machines
    # A host names its worker; processes of one machine need names.
    workers = [
        service.start_worker(host.command, worker_name="" if host.apart else host.name)
        for host in hosts.machines
    ]
    ada, olga, rita = (Client(service.url, read_seconds=60, key=keys[n]) for n in keys)

    def alive() -> set[str]:
        return {w["name"] for w in ada.ask("GET", "/health").json()["workers"] if w["alive"]}

    def both_write(submit):
        return both_write_wells(postgres.url, hosts, submit, service.worker_log)

    try:
        eventually(lambda: alive() == {"one", "two"}, service.worker_log)
        if hosts.apart:
            names, addresses = seen_by(postgres.url)
            assert names == {"one", "two"}
            assert addresses >= {one.address, two.address}
            for host in hosts.machines:
                on_its_own(host, service, (postgres.url, running_s3.url))
        sent = upload(open_source(small_inputs.scan), olga)
        assert sent.scan.endswith("/projects/als/scans/Small-1")
        inputs = (tmp_path / "map.csv", tmp_path / "protocol.toml")
        with both_write(lambda: olga.submit(sent.scan, *inputs)) as run:
            assert status(lambda: rita.run(run)) == status(lambda: rita.run("f" * 64)) == 404
            assert rita.runs() == []
        assert wait_for(olga, run).state == "done", service.worker_log()
        wells = holders(postgres.url, run, "SUCCESS")
        assert wells.keys() == {"one", "two"}
        record_property("hosts", f"upload: {wells_of(wells)}")
        responses = responses_of(olga, run)
        # The same pixels from S3, in the folder of her laboratory; its host goes away with wells.
        there = bucket.copy(small_run / "plate.zarr", "alpha/Small-1.ome.zarr")
        with both_write(lambda: olga.submit(there, *inputs)) as of_s3:
            held = holders(postgres.url, of_s3, "PENDING")
            record_property("hosts", f"from S3, when one went away: {wells_of(held)}")
            one.leave(workers[0])
        if hosts.apart:
            server = urlsplit(postgres.url)
            assert not one.reaches(server.hostname, server.port)
        assert wait_for(olga, of_s3).state == "done", service.worker_log()
        # All of it: a worker that is cut off says so again and again.
        log = (tmp_path / "worker.log").read_text()
        assert states("alive.took_over", log, dead="one")
        wells = holders(postgres.url, of_s3, "SUCCESS")
        assert wells.keys() == {"two"}
        record_property("hosts", f"from S3, at its end: {wells_of(wells)}")
        for done in (run, of_s3):
            assert rows_per_well(postgres.url, done) == dict.fromkeys(WELLS, 1)
        assert responses_of(olga, of_s3) == responses

        shared_by_browser(service.url, "beta", "operator")
        assert {r.id for r in rita.runs()} == {run, of_s3}
        # Rita is a reviewer in her own laboratory, so the share makes her no more.
        assert status(lambda: rita.delete(run)) == 403

        monkeypatch.setenv(KEY, keys["Rita"])
        review = RemoteRun.connect(service.url, run, journal=tmp_path / "journal")
        well = next(row["well"] for row in review.wells() if row["status"] == "done")
        nuclei = review.read_field(well, 1).labels["nuclei"]
        assert nuclei.max() > 0
        assert review.read_pixels(well, 1).levels[0].shape[-2:] == nuclei.shape
        erased = Crop("nuclei", 0, 0, np.zeros_like(nuclei))
        somas = Crop("somas", 0, 0, np.zeros_like(nuclei))
        review.commit(well, 1, 1, [erased, somas], "somebody else", "bubble")
        review.apply()
        (version,) = review.review.history(well, 1)
        assert version.author == "Rita"
        before, after = (
            {row["well"]: row["live_density"] for row in rita.wells(run, labels=labels)}
            for labels in ("engine", "newest")
        )
        assert review.cells(well, 1) == []
        assert 0 <= after[well] < before[well]
        assert {w: n for w, n in after.items() if w != well} == {
            w: n for w, n in before.items() if w != well
        }
        review.close()

        if hosts.apart:
            one.come_back()
            eventually(lambda: alive() == {"one", "two"}, service.worker_log)
        for done in (run, of_s3):
            assert rows_per_well(postgres.url, done) == dict.fromkeys(WELLS, 1)
        log = [json.loads(line) for line in "".join(ada.audit()).splitlines()]
        done = {(e["actor"], e["action"].split()[0], e["outcome"]) for e in log}
        assert {("Olga", "POST", "202"), ("Ada", "POST", "303"), ("Rita", "PATCH", "200")} <= done
        ada.ask("DELETE", "/projects/als/shares/beta")
        assert status(lambda: rita.run(run)) == 404
        ended = keys["Olga"].split("_")[1]
        ada.ask("DELETE", f"/keys/{ended}")
        assert status(olga.runs) == 401
    finally:
        for client in (ada, olga, rita):
            client.close()
        for worker in workers:
            end(worker)
        service.stop()
    log = "".join((tmp_path / f"{name}.log").read_text() for name in ("serve", "worker"))
    secrets = {name: key.split("_", 2)[2] for name, key in keys.items()} | {"S3": SECRET_KEY}
    assert [name for name, secret in secrets.items() if secret in log] == []
