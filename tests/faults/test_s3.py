"""A plate on S3: the run waits for a server that is down, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from imaging_service.incoming.s3 import place
from tests.faults.conftest import Small
from tests.faulty_s3 import FaultyS3
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


def test_a_server_that_answers_wrongly_is_waited_for(
    small_on_s3, small_inputs, small_run, running_s3, bucket, tmp_path
):
    """What comes of one treated well is none of what its bucket lists, in one way after another."""
    small, faulty = small_on_s3, FaultyS3(running_s3.url)
    chunk = next(n for n in bucket.names("plate.ome.zarr/B/5/0/0") if not n.endswith(".json"))
    pixels = f"GET .*{chunk} "
    run = small.submit()
    faulty.set("not there", pixels)
    small.service.environment["AWS_ENDPOINT_URL"] = faulty.url
    try:
        with small.worker():
            for fault in ("shortened", "slow down", ""):
                until(lambda: faulty.faults > 0 and small.client.run(run.id).state == "waiting")
                faulty.set(fault, pixels)
            ended = wait_for(small.client, run.id)
    finally:
        faulty.close()
    assert (ended.state, ended.reason) == ("done", ""), small.service.worker_log()
    assert (ended.progress.done, ended.progress.failed) == (6, 0)
    analyse_here(replace(small_inputs, scan=small_run / "plate.zarr"), tmp_path / "here")
    small.tables_equal(run.id, tmp_path / "here")


def until(come: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.1)
