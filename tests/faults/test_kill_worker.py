"""SIGKILL in the middle of a plate: nothing lost, nothing doubled, the same tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import sqlalchemy as sa

from imaging_service.jobs.summary import TABLES
from tests.service import Service, submit_phantom, wait_for


def rows_per_well(folder):
    engine = sa.create_engine(f"sqlite:///{folder / 'data' / 'service.db'}")
    with engine.connect() as connection:
        counts = dict(
            connection.execute(
                sa.text("SELECT well, count(*) FROM well_result GROUP BY well")
            ).all()
        )
    engine.dispose()
    return counts


@pytest.mark.slow
def test_kills_of_each_process_in_the_middle_of_a_plate(phantom_plate, analysed, tmp_path):
    """A compute process, then the worker, then the server, each while the run has wells left.

    Then the server is told to stop: it ends after its worker, and what was computed is kept.
    """
    running = Service(tmp_path, phantom_plate, workers="2")
    client = running.start()

    def unfinished(wells):
        state = wait_for(client, run.id, states=("done",), at_least=wells)
        assert state.state != "done", "the plate was too quick to be killed"
        return state.progress.done

    try:
        run = submit_phantom(client, phantom_plate)
        done = unfinished(wells=3)
        # The Dask worker is the youngest descendant that computes; killing it loses the wells it
        # held.
        computing = [p for p in running.worker().children(recursive=True) if p.cpu_times().user > 1]
        os.kill(computing[-1].pid, signal.SIGKILL)
        done = unfinished(wells=done + 3)
        first = running.worker()
        os.kill(first.pid, signal.SIGKILL)
        done = unfinished(wells=done + 3)
        second = running.worker()
        assert second.pid != first.pid
        running.kill()
        # Its worker notices that the server is gone and ends, or the lock would keep the next one
        # out.
        assert not psutil.wait_procs([second], timeout=60)[1]
        client.close()
        client = running.start()
        unfinished(wells=done + 3)
        worker = running.worker()
        below = [worker, *worker.children(recursive=True)]
        running.process.terminate()
        assert running.process.wait(60) == 0
        assert not worker.is_running()
        assert psutil.wait_procs(below, timeout=60)[1] == []
        client.close()
        client = running.start()
        after = wait_for(client, run.id)
        assert after.state == "done", running.log()
        assert (after.progress.done, after.progress.failed, after.progress.left) == (24, 0, 0)
    finally:
        client.close()
        running.stop()
    rows = rows_per_well(tmp_path)
    assert len(rows) == 24
    assert set(rows.values()) == {1}
    for name in TABLES:
        ours = tmp_path / "data" / "runs" / run.id / f"{name}.parquet"
        assert ours.read_bytes() == (analysed / f"{name}.parquet").read_bytes(), name


def test_kill_analyze_and_run_the_same_command_again(phantom_plate, analysed, tmp_path):
    command = [
        sys.executable,
        "-m",
        "imaging_service.cli",
        "analyze",
        str(phantom_plate / "Phantom-1"),
        "--plate-map",
        str(phantom_plate / "plate_map.csv"),
        "--protocol",
        str(phantom_plate / "protocol.toml"),
        "--out",
        str(tmp_path / "out"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    outcomes = tmp_path / "out" / "work" / "outcomes"
    deadline = time.monotonic() + 600
    while (
        time.monotonic() < deadline
        and process.poll() is None
        and len(list(outcomes.glob("*.json"))) < 4
    ):
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    kept = len(list(outcomes.glob("*.json")))
    assert 4 <= kept < 24
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "workers outlived the command"
    subprocess.run(command, check=True, capture_output=True)
    for name in TABLES:
        assert (tmp_path / "out" / f"{name}.parquet").read_bytes() == (
            analysed / f"{name}.parquet"
        ).read_bytes(), name
