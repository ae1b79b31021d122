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
from tests.service import Service, wait_for


def rows_a_well(folder):
    engine = sa.create_engine(f"sqlite:///{folder / 'data' / 'service.db'}")
    with engine.connect() as connection:
        found = dict(
            connection.execute(
                sa.text("SELECT well, count(*) FROM well_result GROUP BY well")
            ).all()
        )
    engine.dispose()
    return found


@pytest.mark.parametrize("victim", ["worker", "compute process", "server"])
def test_kill_in_the_middle_of_a_plate(phantom_plate, analysed, tmp_path, victim):
    running = Service(tmp_path, phantom_plate)
    client = running.start()
    try:
        run = client.submit(
            phantom_plate / "Phantom-1",
            phantom_plate / "plate_map.csv",
            phantom_plate / "protocol.toml",
        )
        before = wait_for(client, run.id, states=("done",), at_least=5)
        assert before.state != "done", "the plate was too quick to be killed"
        if victim == "worker":
            worker = running.worker()
            os.kill(worker.pid, signal.SIGKILL)
        elif victim == "compute process":
            # The Dask worker is the youngest descendant that computes; killing it loses the wells
            # it held.
            descendants = [
                p for p in running.worker().children(recursive=True) if p.cpu_times().user > 1
            ]
            os.kill(descendants[-1].pid, signal.SIGKILL)
        else:
            worker = running.worker()
            os.kill(running.process.pid, signal.SIGKILL)
            running.process.wait()
            # Its worker notices that the server is gone and ends, or the lock would keep the next
            # one out.
            assert not psutil.wait_procs([worker], timeout=60)[1]
            client._http.close()
            client = running.start()
        after = wait_for(client, run.id)
        assert after.state == "done", running.log()
        assert (after.progress.done, after.progress.failed, after.progress.left) == (24, 0, 0)
    finally:
        client._http.close()
        running.stop()
    rows = rows_a_well(tmp_path)
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
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, "workers outlived the command"
    subprocess.run(command, check=True, capture_output=True)
    for name in TABLES:
        assert (tmp_path / "out" / f"{name}.parquet").read_bytes() == (
            analysed / f"{name}.parquet"
        ).read_bytes(), name
    assert not list((tmp_path / "out").rglob(".staged-*"))
