"""From an upload to a corrected table: two laboratories, three roles, two workers, a real service.

On Postgres, with a storage on S3, and an administrator who signs in at a provider.
"""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest
from sqlmodel import Session

from imaging_service.access.keys import make_key
from imaging_service.access.members import add_lab, add_member, add_project
from imaging_service.access.roles import Role
from imaging_service.client import Client, ServiceRefused
from imaging_service.database.session import database_engine
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.key_file import KEY
from imaging_service.review.crops import Crop
from imaging_service.review.remote import RemoteRun
from imaging_service.upload import open_source, upload
from tests.faults.conftest import end
from tests.imaging_service.conftest import MAP, PROTOCOL, small_inputs, small_run
from tests.oidc import authorised, provider_of
from tests.postgres import Postgres
from tests.s3 import SECRET_KEY
from tests.service import Service, wait_for

__all__ = ["small_inputs", "small_run"]

pytestmark = pytest.mark.slow


@pytest.fixture
def postgres():
    running = Postgres()
    running.start()
    prepare_database(running.url)
    yield running
    database_engine(running.url).dispose()
    running.remove()


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


def test_from_an_upload_to_a_corrected_table(
    small_inputs, small_run, postgres, provider, bucket, keys, tmp_path, monkeypatch
):
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
    workers = [service.start_worker(worker_name=name) for name in ("one", "two")]
    ada, olga, rita = (Client(service.url, read_seconds=60, key=keys[n]) for n in keys)
    try:
        sent = upload(open_source(small_inputs.scan), olga)
        assert sent.scan.endswith("/projects/als/scans/Small-1")
        run = olga.submit(sent.scan, tmp_path / "map.csv", tmp_path / "protocol.toml").id
        assert status(lambda: rita.run(run)) == status(lambda: rita.run("f" * 64)) == 404
        assert rita.runs() == []
        # The same pixels from S3, in the folder of her laboratory.
        there = bucket.copy(small_run / "plate.zarr", "alpha/Small-1.ome.zarr")
        of_s3 = olga.submit(there, tmp_path / "map.csv", tmp_path / "protocol.toml").id
        for done in (run, of_s3):
            assert wait_for(olga, done).state == "done", service.worker_log()
        assert responses_of(olga, of_s3) == responses_of(olga, run)

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
