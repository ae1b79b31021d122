"""Workers that do not belong, and runs that an older version began."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service import __version__
from imaging_service.access.members import add_lab, add_project
from imaging_service.client import ServiceRefused
from imaging_service.database.session import database_engine
from imaging_service.jobs.durable.queue import queue_run
from imaging_service.jobs.plan import identify
from imaging_service.jobs.records import RunFolder, WellOutcome, load
from imaging_service.settings import Settings
from tests.faults.conftest import Small
from tests.messages import states
from tests.service import wait_for

MIDWAY = Path(__file__).parents[1] / "reference" / "database" / "0.2.0-midway"
MIDWAY_RUN = "13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838"


def outcomes(folder: Path, run: str) -> list[WellOutcome]:
    paths = RunFolder(folder / "data" / "runs" / run).outcome("any").parent.glob("*.json")
    return [load(WellOutcome, path) for path in paths]


@pytest.mark.slow
def test_a_worker_with_another_data_folder_refuses_to_start(small):
    database = f"sqlite:///{small.folder / 'data' / 'service.db'}"
    run = small.submit()
    other = small.service.start_worker(
        data_dir=str(small.folder / "elsewhere"), database_url=database
    )
    assert other.wait(60) == 2
    assert states("store.other", small.service.worker_log(), folder=small.folder / "elsewhere")
    assert small.client.run(run.id).state == "queued"
    with small.worker():
        assert wait_for(small.client, run.id).state == "done"


@pytest.fixture
def left_by_0_2_0(tmp_path, small_inputs):
    """A service of this version on what 0.2.0 left when it was killed: three of six wells done."""
    made = Small(tmp_path, small_inputs.scan)
    data = tmp_path / "data"
    work = data / "runs" / MIDWAY_RUN / "work"
    shutil.copytree(MIDWAY / "outcomes", work / "outcomes")
    record = (MIDWAY / "record.json").read_text()
    (work / "record.json").write_text(
        record.replace('"SCAN"', json.dumps(str(made.scan))).replace('"DATA/', f'"{data}/')
    )
    connection = sqlite3.connect(data / "service.db")
    connection.executescript((MIDWAY / "service.sql").read_text(encoding="utf-8"))
    connection.close()
    made.client = made.service.start(worker=False)
    yield made
    made.client.close()
    made.service.stop()


@pytest.mark.slow
def test_a_run_that_an_older_release_left_half_done_is_begun_again(left_by_0_2_0, small_run):
    old = left_by_0_2_0.client.run(MIDWAY_RUN)
    assert (old.state, old.progress.done, old.progress.left) == ("running", 3, 3)
    with left_by_0_2_0.worker():
        ended = wait_for(left_by_0_2_0.client, MIDWAY_RUN)
        # Its wells stay as they were, and none joined them.
        assert (ended.state, ended.progress.done, ended.progress.failed) == ("failed", 3, 0)
        (again,) = [r.id for r in left_by_0_2_0.client.runs() if r.id != MIDWAY_RUN]
        assert states("adopt.again", ended.reason, old="0.2.0", new=__version__, run=again[:12])
        assert wait_for(left_by_0_2_0.client, again).progress.done == 6
    assert {o.measured_by for o in outcomes(left_by_0_2_0.folder, again)} == {""}
    left_by_0_2_0.tables_equal(again, small_run)
    with pytest.raises(ServiceRefused) as refused:
        left_by_0_2_0.client.say(MIDWAY_RUN, "retry")
    assert states("adopt.other", str(refused.value), old="0.2.0", new=__version__)


@pytest.mark.slow
def test_a_run_that_cannot_be_begun_again_is_ended_with_its_reason(small):
    run = small.submit()
    record = small.folder / "data" / "runs" / run.id / "work" / "record.json"
    content = json.loads(record.read_text())
    # As a release wrote it whose records had no number, and one of its keys is unknown.
    del content["records"], content["inputs"]["scan"]
    record.write_text(json.dumps(content))
    with small.worker():
        ended = wait_for(small.client, run.id)
    assert (ended.state, ended.progress.done) == ("failed", 0)
    assert states("adopt.submit", ended.reason, new=__version__)
    assert [r.id for r in small.client.runs()] == [run.id]


@pytest.mark.slow
def test_cancelled_resumed_and_deleted(small, small_run):
    run = small.submit()
    assert small.client.say(run.id, "cancel").state == "cancelled"
    with small.worker():
        assert small.client.say(run.id, "resume").state == "queued"
        assert wait_for(small.client, run.id).state == "done"
        small.tables_equal(run.id, small_run)
        small.client.delete(run.id)
        assert small.client.runs() == []
        assert not (small.folder / "data" / "runs" / run.id).exists()
        assert not list((small.folder / "data" / "plates").iterdir())
        assert wait_for(small.client, small.submit().id).state == "done"


@pytest.mark.slow
def test_plates_that_wait_for_their_scans_keep_no_other_laboratory_waiting(
    small, small_inputs, small_run
):
    """More of them than a worker begins at once, and each may wait for hours."""
    settings = Settings(data_dir=small.folder / "data")
    engine = database_engine(settings.url)
    with Session(engine) as session:
        for lab, project in (("alpha", "als"), ("beta", "ftd")):
            add_lab(session, lab)
            add_project(session, lab, project)
        session.commit()
    away = shutil.copytree(small_inputs.scan, small.folder / "share" / small_inputs.scan.name)
    for number in range(10):
        protocol = small_inputs.protocol.model_copy(update={"name": f"waiting {number}"})
        inputs = replace(small_inputs, scan=away, protocol=protocol)
        queue_run(settings, *identify(inputs), project="als")
    away.parent.rename(small.folder / "gone")
    record, plan = identify(small_inputs)
    queue_run(settings, record, plan, project="ftd")
    query = sa.text("SELECT state, count(*) FROM run WHERE project_id = :project GROUP BY state")

    def states_of(project):
        with engine.connect() as connection:
            return dict(connection.execute(query, {"project": project}).all())

    with small.worker():
        deadline = time.monotonic() + 300
        while states_of("ftd") != {"done": 1} and time.monotonic() < deadline:
            time.sleep(0.2)
    assert states_of("ftd") == {"done": 1}, small.service.worker_log()
    # The eight say by turns that they wait and that they look again.
    others = states_of("als")
    assert (others.pop("queued"), others.pop("running", 0) + others.pop("waiting")) == (2, 8)
    assert others == {}
    engine.dispose()
