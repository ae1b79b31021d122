"""A plate on S3: the run waits for a server that is down, and goes on by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imaging_service.incoming.s3 import place
from tests.faults.conftest import Small
from tests.imaging_service.conftest import analyse_here
from tests.messages import states
from tests.s3 import ACCESS_KEY, SECRET_KEY
from tests.service import Service, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def small_on_s3(tmp_path, small_inputs, small_run, bucket):
    """A server that may read a bucket, and nothing else, and the small plate in it."""
    made = Small(tmp_path, small_inputs.scan)
    made.scan = place(bucket.copy(small_run / "plate.zarr", "plate.ome.zarr"))
    made.service = Service(tmp_path, bucket.address())
    made.client = made.service.start(worker=False)
    yield made
    made.client.close()
    made.service.stop()


def test_a_server_that_is_down_is_waited_for(
    small_on_s3, small_inputs, small_run, running_s3, tmp_path
):
    small = small_on_s3
    run = small.submit()
    running_s3.stop()
    try:
        with small.worker():
            waiting = wait_for(small.client, run.id, states=("waiting", "done", "failed"))
            assert waiting.state == "waiting", small.service.worker_log()
            assert states("s3.no_answer", waiting.reason, where=f"{small.scan}/B/2/0/0")
            running_s3.start()
            ended = wait_for(small.client, run.id)
    finally:
        if running_s3.process is None:
            running_s3.start()
    assert (ended.state, ended.reason) == ("done", ""), small.service.worker_log()
    assert (ended.progress.done, ended.progress.failed) == (6, 0)
    analyse_here(replace(small_inputs, scan=small_run / "plate.zarr"), tmp_path / "here")
    small.tables_equal(run.id, tmp_path / "here")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 100
    for path in written:
        content = path.read_bytes()
        assert SECRET_KEY.encode() not in content, path
        assert ACCESS_KEY.encode() not in content, path
