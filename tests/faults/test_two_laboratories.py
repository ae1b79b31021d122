"""From an upload to a corrected table: two laboratories, three roles, one Postgres, a real service."""

from __future__ import annotations

import json

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
from tests.imaging_service.conftest import MAP, PROTOCOL, small_inputs
from tests.postgres import Postgres
from tests.service import Service, wait_for

__all__ = ["small_inputs"]

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
            made[name] = make_key(session, add_member(session, lab, name, role), "key").secret
        session.commit()
    return made


def status(action) -> int | None:
    with pytest.raises(ServiceRefused) as refused:
        action()
    return refused.value.status


def test_from_an_upload_to_a_corrected_table(small_inputs, postgres, keys, tmp_path, monkeypatch):
    (tmp_path / "map.csv").write_text(MAP)
    (tmp_path / "protocol.toml").write_text(
        f'name = "{PROTOCOL["name"]}"\n'
        f"response.phenotypes = {json.dumps(PROTOCOL['response']['phenotypes'])}\n"
        'segmentation.engine = "classical"\n'
        '[channels]\ndna = "1"\nneurite = "2"\naggregate = "3"\n'
    )
    service = Service(tmp_path, tmp_path / "scans", database_url=postgres.url)
    service.start().close()
    ada, olga, rita = (Client(service.url, read_seconds=60, key=keys[n]) for n in keys)
    try:
        sent = upload(open_source(small_inputs.scan), olga)
        assert sent.scan.endswith("/projects/als/scans/Small-1")
        run = olga.submit(sent.scan, tmp_path / "map.csv", tmp_path / "protocol.toml").id
        assert status(lambda: rita.run(run)) == status(lambda: rita.run("f" * 64)) == 404
        assert rita.runs() == []
        assert wait_for(olga, run).state == "done"

        ada.ask("PUT", "/projects/als/shares", json={"lab_id": "beta", "role": "operator"})
        assert [r.id for r in rita.runs()] == [run]
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
        assert {("Olga", "POST", "202"), ("Ada", "PUT", "200"), ("Rita", "PATCH", "200")} <= done
        ada.ask("DELETE", "/projects/als/shares/beta")
        assert status(lambda: rita.run(run)) == 404
        ended = keys["Olga"].split("_")[1]
        ada.ask("DELETE", f"/keys/{ended}")
        assert status(olga.runs) == 401
    finally:
        for client in (ada, olga, rita):
            client.close()
        service.stop()
    log = (tmp_path / "serve.log").read_text()
    assert [name for name, key in keys.items() if key.split("_", 2)[2] in log] == []
