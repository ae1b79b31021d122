"""Workers that do not belong, and runs that an older version began."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from imaging_service import __version__
from tests.messages import states
from tests.service import wait_for


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


@pytest.mark.parametrize("readable", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_run_of_an_older_version_is_begun_again_and_never_mixed(small, small_run, readable):
    run = small.submit()
    record = small.folder / "data" / "runs" / run.id / "work" / "record.json"
    content = json.loads(record.read_text())
    # As a release wrote it whose records had no number.
    del content["records"]
    if not readable:
        del content["inputs"]["scan"]
    record.write_text(json.dumps(content))
    old = "5d1f0c3a9e7b42680f11" + 44 * "0"
    engine = sa.create_engine(f"sqlite:///{small.folder / 'data' / 'service.db'}")
    # The older version gave the run another id, since the version is part of it.
    record.parents[1].rename(record.parents[2] / old)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE run SET id=:old, state='running'"), {"old": old})
    engine.dispose()
    with small.worker():
        ended = wait_for(small.client, old)
        assert (ended.state, ended.progress.done) == ("failed", 0)
        if readable:
            assert states(
                "adopt.again", ended.reason, old=__version__, new=__version__, run=run.id[:12]
            )
            assert wait_for(small.client, run.id).progress.done == 6
            small.tables_equal(run.id, small_run)
        else:
            assert states("adopt.submit", ended.reason, new=__version__)
            assert [r.id for r in small.client.runs()] == [old]


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
