"""The data folder's disk fills up in the middle of a run, and has space again."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress

import pytest

from tests.faults.conftest import Small
from tests.service import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny(tmp_path, small_inputs):
    """A service whose data folder is a file system of 9 MB; mounting one needs root."""
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(data)], check=True)
    made = Small(tmp_path, small_inputs.scan)
    try:
        made.client = made.service.start(worker=False)
        yield made
        made.client.close()
        made.service.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def test_a_full_disk_stops_the_work_says_so_and_goes_on(tiny, small_run):
    run = tiny.submit()
    data = tiny.folder / "data"
    with tiny.worker():
        wait_for(tiny.client, run.id, at_least=1)
        with (data / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(4096 * b"x"):
                pass
        time.sleep(10)
        known = tiny.client.ask("GET", "/health").json()
        assert not known["ready"]
        assert known["store"].startswith("no space left")
        subprocess.run(["mount", "-o", "remount,size=64m", str(data)], check=True)
        ended = wait_for(tiny.client, run.id)
    assert (ended.state, ended.progress.failed) == ("done", 0), tiny.service.worker_log()
    assert ended.progress.done == 6
    tiny.tables_equal(run.id, small_run)
    assert tiny.client.ask("GET", "/health").json()["store"] == "ok"
