from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from distributed.scheduler import KilledWorker

from imaging_service.errors import Forbidden, MachineError
from imaging_service.jobs.durable.cluster import Cluster
from imaging_service.jobs.parallel.processes import HEAP
from imaging_service.settings import Settings
from tests.messages import says


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "10.0.0.1:8786", "TLS://x", "tcp://tls://x"]
)
def test_a_scheduler_without_tls_is_refused(address):
    with pytest.raises(Forbidden):
        Cluster(Settings(dask_scheduler=address))


def test_a_scheduler_with_tls_is_taken():
    assert Cluster(Settings(dask_scheduler="tls://10.0.0.1:8786", workers=3)).processes == 3


def test_processes_are_one_a_core_if_not_given():
    assert Cluster(Settings()).processes == os.cpu_count()


def state_of_a_process() -> tuple[int, dict[str, str | None]]:
    import cv2

    return cv2.getNumThreads(), {name: os.environ.get(name) for name in HEAP}


def test_a_single_process_of_the_cluster_uses_all_cores_and_keeps_its_memory():
    cluster = Cluster(Settings(workers=1))
    try:
        threads, heap = cluster.run(state_of_a_process, key="state")
    finally:
        cluster.close()
    assert threads == os.cpu_count()
    assert heap == HEAP


class Client:
    """Computes at once, in this process."""

    status = "running"
    cluster = None

    def __init__(self):
        self.keys, self.released = [], 0

    def submit(self, function, *args, key, pure, retries):
        self.keys.append(key)

        def result():
            return function(*args)

        def release():
            self.released += 1

        return SimpleNamespace(result=result, release=release)

    def close(self):
        self.status = "closed"


@pytest.fixture
def cluster():
    made = Cluster(Settings())
    made._client = Client()
    return made


def test_the_same_key_runs_again(cluster):
    assert [cluster.run(pow, 2, 5, key="well-B02") for _ in range(2)] == [32, 32]
    first, second = cluster._client.keys
    assert first != second
    assert first.startswith("well-B02-")
    assert cluster._client.released == 2


@pytest.mark.parametrize(
    "error",
    [OSError("disk"), MemoryError(), KilledWorker("k", SimpleNamespace(address="tcp://x"), 3)],
)
def test_a_lost_process_is_the_machine_s_failure(cluster, error):
    def fails():
        raise error

    with pytest.raises(MachineError):
        cluster.run(fails, key="k")
    assert cluster._client.released == 1


def test_what_the_data_do_comes_as_it_is(cluster):
    def fails():
        raise ValueError("bad data")

    with pytest.raises(ValueError, match=says("own_error.cluster")):
        cluster.run(fails, key="k")


def test_closing_ends_the_client_once(cluster):
    client = cluster._client
    cluster.close()
    cluster.close()
    assert (client.status, cluster._client) == ("closed", None)
