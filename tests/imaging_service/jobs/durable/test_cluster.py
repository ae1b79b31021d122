from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest
from distributed import Client as RealClient
from distributed import Scheduler, SpecCluster, Worker, get_worker
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from imaging_service.errors import Forbidden, MachineError, Unavailable
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


def test_a_single_process_uses_all_cores_keeps_its_memory_and_is_replaced_once_lost(monkeypatch):
    cluster = Cluster(Settings(workers=1))
    try:
        threads, heap = cluster.run(state_of_a_process, key="state")
        listening = {
            connection.laddr.ip
            for process in (psutil.Process(), *psutil.Process().children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        # Lost for good, as one is that ends while it starts.
        local = cluster._client.cluster
        (process,) = local.workers.values()
        local.sync(process.close)
        monkeypatch.setattr("imaging_service.jobs.durable.cluster.LOOK_S", 0.2)
        monkeypatch.setattr("imaging_service.jobs.durable.cluster.LOST_S", 0.0)
        # In a thread of its own: without the look at the processes it would never end.
        lost = ThreadPoolExecutor(1).submit(cluster.run, pow, 2, 5, key="lost")
        with pytest.raises(MachineError):
            lost.result(timeout=60)
        monkeypatch.undo()
        assert cluster.run(pow, 2, 5, key="again") == 32
    finally:
        cluster.close()
    assert threads == os.cpu_count()
    assert heap == HEAP
    assert listening == {"127.0.0.1"}


class Client:
    """Computes at once, in this process."""

    status = "running"
    cluster = None

    def __init__(self):
        self.keys, self.released = [], 0

    def submit(self, function, *args, key, pure, retries):
        self.keys.append(key)

        def result(timeout):
            return function(*args)

        def release():
            self.released += 1

        return SimpleNamespace(result=result, release=release, done=lambda: True)

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


class Short(Client):
    """A local cluster with a number of processes, whose results do not come."""

    def __init__(self, processes):
        super().__init__()
        self.cluster = SimpleNamespace(close=lambda: None)
        self.nthreads = lambda: dict.fromkeys(range(processes), 1)

    def submit(self, *_, **__):
        def result(timeout):
            if self.status == "closed":
                raise CommClosedError
            raise TimeoutError

        return SimpleNamespace(result=result, release=lambda: None, done=lambda: False)


def test_a_process_that_is_missing_for_a_while_only_is_waited_for():
    """Dask starts it again: the second look after 90 s in all ends the cluster, not the first."""
    clock = iter([0.0, 0.0, 60.0, 89.0, 91.0])
    made = Cluster(Settings(workers=2), clock=lambda: next(clock))
    made._client = Short(1)
    with pytest.raises(MachineError):
        made.run(pow, 2, 5, key="k")
    assert list(clock) == []
    assert made._client is None


def test_results_of_processes_that_are_all_there_are_waited_for(monkeypatch):
    made = Cluster(Settings(workers=2), clock=lambda: 0.0)
    client = made._client = Short(2)
    looks = []

    def counted():
        looks.append(1)
        if len(looks) == 1000:
            client.close()
        return {1: 1, 2: 1}

    client.nthreads = counted
    with pytest.raises(MachineError):
        made.run(pow, 2, 5, key="k")
    assert len(looks) == 1000
    assert made._client is client


def test_a_time_out_of_the_function_is_its_outcome(cluster):
    def fails():
        raise TimeoutError("the share does not answer")

    with pytest.raises(Unavailable):
        cluster.run(fails, key="k")


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


def where() -> str:
    return str(get_worker().name)


class Gate:
    """Reached by tasks of a cluster in this process, by the module's name."""

    began, opened = threading.Event(), threading.Event()


def hold() -> str:
    Gate.began.set()
    assert Gate.opened.wait(60)
    return where()


@pytest.fixture
def two_machines():
    """A scheduler with one machine that declares a GPU and one that does not."""
    options = {"nthreads": 1, "dashboard": False}
    machines = SpecCluster(
        scheduler={
            "cls": Scheduler,
            "options": {"protocol": "inproc://", "dashboard_address": None},
        },
        workers={
            "gpu": {"cls": Worker, "options": {**options, "resources": {"GPU": 1}}},
            "plain": {"cls": Worker, "options": options},
        },
        silence_logs=False,
    )
    made = Cluster(Settings(dask_scheduler="tls://there:8786", workers=2))
    made._client = RealClient(machines, set_as_default=False)
    yield made
    made.close()


def test_labels_wait_for_a_gpu_and_measuring_does_not(two_machines):
    assert two_machines.offers_gpu() is True
    ended: list[tuple[str, str]] = []

    def drawn(function, key):
        ended.append((key, two_machines.run(function, key=key, gpu=True)))

    first = threading.Thread(target=drawn, args=(hold, "labels-1"))
    first.start()
    assert Gate.began.wait(60)
    second = threading.Thread(target=drawn, args=(where, "labels-2"))
    second.start()
    ended += [("well", two_machines.run(where, key=f"well-{n}")) for n in range(3)]
    Gate.opened.set()
    first.join()
    second.join()
    assert ended[:3] == [("well", "plain")] * 3
    assert sorted(ended[3:]) == [("labels-1", "gpu"), ("labels-2", "gpu")]


def test_a_gpu_that_was_seen_is_waited_for_while_its_machine_is_away(two_machines):
    assert two_machines.offers_gpu() is True
    two_machines._client.retire_workers(
        [
            w
            for w, known in two_machines._client.scheduler_info(n_workers=-1)["workers"].items()
            if known["resources"]
        ]
    )
    assert two_machines.offers_gpu() is True


def test_processes_of_this_machine_declare_no_gpu(cluster):
    assert cluster.offers_gpu() is False
