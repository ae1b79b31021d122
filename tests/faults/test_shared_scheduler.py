"""Wells on a Dask scheduler of many machines: TLS, its processes started by Dask's own commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from tests.faults.conftest import end
from tests.imaging_service.api.test_tls import certificate
from tests.service import free_port, wait_for
from tests.sshd import SshServer

pytestmark = pytest.mark.slow


@contextmanager
def started(command, folder, environment, program=("-m", "dask")):
    """One of Dask's commands, or a program, from here to the block's end."""
    with (folder / "dask.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *program, *command], env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        end(process)


def speaking_tls(small):
    """Let the service's worker speak TLS; returns the files of the certificate and its key."""
    chain, key = certificate(small.folder)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    small.service.environment |= {
        f"{tls}CA_FILE": str(chain),
        f"{tls}CLIENT__CERT": str(chain),
        f"{tls}CLIENT__KEY": str(key),
    }
    return chain, key


@pytest.fixture
def shared(small):
    """(environment, the scheduler's command, that of a process for wells, the scheduler's address);
    the service's worker speaks TLS with it."""
    chain, key = speaking_tls(small)
    address = f"tls://127.0.0.1:{free_port()}"
    files = ["--tls-ca-file", str(chain), "--tls-cert", str(chain), "--tls-key", str(key)]
    scheduler = ["scheduler", "--host", address, "--no-dashboard", *files]
    processes = ["worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard", *files]
    return os.environ | {"OMP_NUM_THREADS": "1"}, scheduler, processes, address


def test_wells_are_analysed_where_a_scheduler_has_processes_and_outlast_them(
    small, small_run, shared
):
    environment, scheduler, processes, address = shared
    run = small.submit()
    with (
        started(scheduler, small.folder, environment),
        small.worker(dask_scheduler=address),
    ):
        with started(processes, small.folder, environment):
            state = wait_for(small.client, run.id, at_least=1)
            assert state.state == "running", small.service.worker_log()
        # The machine that analysed is gone, and another one comes.
        with started(processes, small.folder, environment):
            ended = wait_for(small.client, run.id)
    assert (ended.state, ended.progress.failed) == ("done", 0), small.service.worker_log()
    small.tables_equal(run.id, small_run)


def test_labels_are_drawn_where_a_gpu_is_declared_and_measured_by_any_process(small, shared):
    """The GPU is declared only: the network computes on the CPU of that process."""
    environment, scheduler, processes, address = shared
    run = small.client.submit(
        small.scan, small.folder / "map.csv", small.folder / "protocol.toml", engine="motornet"
    )
    drawn = small.folder / "data" / "runs" / run.id / "work" / "drawn"
    seen: set[str] = set()
    with (
        started(scheduler, small.folder, environment),
        started([*processes, "--resources", "GPU=1"], small.folder, environment),
        started(processes, small.folder, environment),
        small.worker(dask_scheduler=address),
    ):
        while (state := small.client.run(run.id)).state not in ("done", "failed"):
            seen |= {p.name for p in drawn.glob("[A-H]*")}
            time.sleep(0.02)
    assert (state.state, state.progress.done) == ("done", 6), small.service.worker_log()
    assert seen
    assert list(drawn.iterdir()) == []


@pytest.fixture
def ssh(tmp_path):
    running = SshServer(tmp_path)
    running.start()
    yield running
    running.stop()


def test_a_cluster_that_the_script_starts_over_ssh_analyses_wells(
    small, small_run, ssh, repository
):
    """As docs/administrator.md says it, with this machine for the head and for another one."""
    chain, key = speaking_tls(small)
    port = free_port()
    command = ["127.0.0.1", "127.0.0.1", "--processes", "2", "--port", str(port)]
    command += ["--ca", str(chain), "--cert", str(chain), "--key", str(key)]
    environment = os.environ | {"HOME": str(ssh.home), "PYTHONUNBUFFERED": "1"}
    log = small.folder / "dask.log"
    run = small.submit()
    with started(command, small.folder, environment, [str(repository / "deploy/ssh_cluster.py")]):
        address, deadline = None, time.monotonic() + 120
        while address is None and time.monotonic() < deadline:
            address = re.search(r"^IMAGING_SERVICE_DASK_SCHEDULER=(\S+)$", log.read_text(), re.M)
            time.sleep(0.1)
        assert address, f"{log.read_text()}\n{ssh.log()}"
        assert address[1] == f"tls://127.0.0.1:{port}"
        with small.worker(dask_scheduler=address[1]):
            ended = wait_for(small.client, run.id)
    assert (ended.state, ended.progress.failed) == ("done", 0), small.service.worker_log()
    small.tables_equal(run.id, small_run)
    # The script ended what it had started on the machines.
    gone = time.monotonic() + 120
    while (left := spawned(port)) and time.monotonic() < gone:
        time.sleep(0.2)
    assert left == []


def spawned(port):
    """Processes of a Dask cluster over SSH whose scheduler has this port."""
    commands = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if "distributed.cli.dask_spec" in command and f"{port}" in command:
            commands.append(command)
    return commands
