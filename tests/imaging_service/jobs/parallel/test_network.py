"""The network process, tried on the CPU: the real network once, and stand-ins that wait."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from imaging_service.errors import MachineError
from imaging_service.jobs.durable.cluster import Cluster
from imaging_service.jobs.parallel import engine as jobs_engine
from imaging_service.jobs.parallel import network as module
from imaging_service.jobs.parallel.network import (
    Address,
    NetworkProcess,
    RemoteNetwork,
    is_served,
    serve,
    uses_gpu,
    wants_gpu,
)
from imaging_service.jobs.parallel.processes import set_up
from imaging_service.protocol import parse_protocol
from imaging_service.settings import Settings
from segmentation import load
from segmentation.phantoms.render import Culture, Optics, render
from tests.messages import says

TILE = np.arange(2 * 3 * 4 * 6, dtype=np.float16).reshape(2, 3, 4, 6)
HERE = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def served(tmp_path):
    """Serve a stand-in for a network; what it returns is called with (network, failed)."""
    address = Address(str(tmp_path / "network"), b"secret")
    listeners = []

    def start(evaluate, failed=lambda: None):
        listeners.append(Listener(address.place, authkey=address.key))
        networks = SimpleNamespace(asked=[])

        def network(engine, sha256):
            networks.asked.append((engine, sha256))
            if engine == "motornet:lost":
                raise ValueError("no such weights")
            return HERE, evaluate

        threading.Thread(target=serve, args=(listeners[0], network, failed), daemon=True).start()
        return address, networks

    yield start
    for listener in listeners:
        listener.close()


def double(images):
    return images * 2, images[:, :1, ::2, ::2]


@pytest.mark.parametrize(
    ("engine", "device", "wants"),
    [
        ("motornet", "auto", True),
        ("motornet:models/ours", "cuda", True),
        ("cellpose:cpsam_v2", "auto", True),
        ("of_another_package", "auto", True),
        ("motornet", "cpu", False),
        ("classical", "auto", False),
    ],
)
def test_an_engine_with_a_network_wants_a_gpu_unless_told_otherwise(engine, device, wants):
    assert wants_gpu(engine, device) is wants


def test_the_answer_is_that_of_the_network_itself(served):
    address, networks = served(double)
    remote = RemoteNetwork(address, "motornet", "a" * 64)
    assert remote.describe() == HERE
    for _ in range(2):
        whole, part = remote(TILE)
        assert whole.dtype == part.dtype == np.float16
        assert np.array_equal(whole, TILE * 2)
        assert np.array_equal(part, TILE[:, :1, ::2, ::2])
    assert set(networks.asked) == {("motornet", "a" * 64)}


def test_the_network_answers_for_one_well_while_another_is_measured(served):
    """Measuring of a well ends only when the network has begun with the next: in one process that
    does both in turn, it would never end.
    """
    begun = [threading.Event() for _ in range(3)]
    calls = iter(begun)

    def slow(images):
        next(calls).set()
        return (images,)

    address, _ = served(slow)
    measured = []

    def well(k):
        remote = RemoteNetwork(address, "motornet")
        remote(TILE)
        measured.append(begun[min(k + 1, 2)].wait(timeout=120))

    with ThreadPoolExecutor(2) as processes:
        for k in range(3):
            processes.submit(well, k)
    assert measured == [True, True, True]


def test_one_batch_at_a_time_is_on_the_device_however_many_ask(served):
    on_device, most = [], []
    lock = threading.Lock()

    def counted(images):
        with lock:
            on_device.append(1)
            most.append(len(on_device))
        time.sleep(0.01)
        with lock:
            on_device.pop()
        return (images,)

    address, _ = served(counted)
    with ThreadPoolExecutor(6) as processes:
        remotes = [RemoteNetwork(address, "motornet") for _ in range(6)]
        list(processes.map(lambda r: [r(TILE) for _ in range(5)], remotes))
    assert len(most) == 30
    assert max(most) == 1


def test_a_device_that_is_full_is_told_as_here(served):
    def full(images):
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (images,)

    remote = RemoteNetwork(served(full)[0], "motornet")
    with pytest.raises(torch.OutOfMemoryError):
        remote(TILE)
    assert np.array_equal(remote(TILE[:1])[0], TILE[:1])


def test_a_device_that_failed_is_the_machine_s_fault_and_its_process_is_started_anew(served):
    ended = threading.Event()

    def broken(images):
        raise RuntimeError("CUDA error: unspecified launch failure")

    address, _ = served(broken, failed=ended.set)
    with pytest.raises(ConnectionError):
        RemoteNetwork(address, "motornet")(TILE)
    assert ended.wait(60)
    cluster = Cluster(Settings())
    cluster._client = SimpleNamespace(
        status="running",
        submit=lambda function, *args, **_: SimpleNamespace(
            result=lambda timeout: function(*args), release=lambda: None
        ),
    )
    with pytest.raises(MachineError):
        cluster.run(RemoteNetwork(address, "motornet"), TILE, key="well-B02")


def test_weights_that_cannot_be_loaded_are_named(served):
    with pytest.raises(ConnectionError, match=says("network.engine_not_loaded")):
        RemoteNetwork(served(double)[0], "motornet:lost").describe()


def test_a_stranger_without_the_key_is_refused_and_others_are_answered(served):
    address, networks = served(double)
    with pytest.raises(AuthenticationError):
        Client(address.place, authkey=b"guessed")
    assert networks.asked == []
    assert RemoteNetwork(address, "motornet").describe() == HERE


@pytest.mark.parametrize(
    ("device", "gpu", "expected"),
    [("cpu", True, False), ("auto", False, False), ("auto", True, True), ("cuda", False, True)],
)
def test_when_a_gpu_is_used(monkeypatch, device, gpu, expected):
    monkeypatch.setattr(module, "gpu_is_there", lambda: gpu)
    assert uses_gpu(device) is expected


def test_engines_whose_network_can_be_asked():
    assert is_served("motornet")
    assert is_served("motornet:mine.safetensors")
    assert not is_served("classical")
    assert not is_served("cellpose:cpsam")


def test_labels_are_those_of_the_engine_s_own_network_also_after_a_kill():
    """In a process of its own, which is killed once."""
    field = render(Culture(), Optics(shape=(256, 256), pixel_size_um=0.5), 3).field
    own = load("motornet", device="cpu")
    process = NetworkProcess("cpu")
    process.start()
    protocol = parse_protocol({"name": "p", "channels": {"dna": 1}}, "p")
    try:
        set_up(1, process.address)
        jobs_engine._engine.cache_clear()
        asking = jobs_engine.load_engine(protocol, "motornet", "auto")
        assert asking.network is None
        assert asking.describe() == own.describe()
        expected = own.segment(field).labels
        for _ in range(2):
            labels = asking.segment(field).labels
            assert all(np.array_equal(labels[name], expected[name]) for name in expected)
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(ConnectionError):
                while True:  # until the system has told this end
                    asking.segment(field)
        assert jobs_engine.load_engine(protocol, "motornet", "cpu").network is not None
    finally:
        set_up(os.cpu_count(), None)
        jobs_engine._engine.cache_clear()
        process.close()
    assert not os.path.exists(process.address.place)
