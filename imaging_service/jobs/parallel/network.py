"""One process holds the network on the GPU; the processes that analyse wells ask it for tiles.

A GPU answers for a field in a fraction of the time that reading, labelling and measuring it take.
So there is one process of wells per core as without a GPU, and only the network is shared: it
answers for one well while others are measured. What passes between the processes is a line of JSON
and the bytes of arrays, never a pickle.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import AuthenticationError, get_context
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation import load as load_segmenter

Half = NDArray[np.float16]
Evaluate = Callable[[Half], tuple[Half, ...]]
Described = dict[str, Any]
Networks = Callable[[str, str | None], tuple[Described, Evaluate]]

# Engines whose network can be asked from another process.
SERVED = ("motornet",)
# Engines that no GPU makes faster. An engine of another package may have a network.
WITHOUT_NETWORK = ("classical",)
# A network process imports torch and wakes the driver before it answers.
START_S = 120.0
_DRIVER = {"win32": "nvcuda.dll"}


@cache
def gpu_is_there() -> bool:
    """Whether the driver knows a GPU, without the seconds that torch takes to say so."""
    try:
        driver = ctypes.CDLL(_DRIVER.get(sys.platform, "libcuda.so.1"))
    except OSError:
        return False
    count = ctypes.c_int(0)
    return (
        driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    ) and count.value > 0


def uses_gpu(device: str) -> bool:
    """Whether wells are analysed with a GPU under this setting of the device."""
    return device == "cuda" or (device == "auto" and gpu_is_there())


def wants_gpu(engine: str, device: str) -> bool:
    """Whether an engine has a network, and may use a GPU for it."""
    return device != "cpu" and engine.partition(":")[0] not in WITHOUT_NETWORK


def is_served(engine: str) -> bool:
    """Whether an engine's network can be asked from another process."""
    return engine.partition(":")[0] in SERVED


@dataclass(frozen=True)
class Address:
    """Where a network process listens, and the key that it asks for."""

    place: str
    key: bytes


class RemoteNetwork:
    """An engine's network in the network process, asked as if it were here.

    Raises ConnectionError where that process cannot be reached or has ended: the machine's fault,
    so a well is tried again.
    """

    def __init__(self, address: Address, engine: str, sha256: str | None = None) -> None:
        self._address = address
        self._question: Described = {"engine": engine, "sha256": sha256}
        self._connection: Connection | None = None

    def describe(self) -> dict[str, str]:
        """Device and precision of the network."""
        answer, _ = self._ask({**self._question, "what": "describe"}, None)
        return {key: str(answer[key]) for key in ("device", "precision")}

    def __call__(self, images: Half) -> tuple[Half, ...]:
        """The network's arrays for a batch of tiles (N, C, Y, X)."""
        question = {**self._question, "what": "evaluate", "shape": images.shape}
        answer, arrays = self._ask(question, images)
        if answer.get("out_of_memory"):
            import torch

            raise torch.OutOfMemoryError(answer["out_of_memory"])
        return arrays

    def _ask(self, question: Described, images: Half | None) -> tuple[Described, tuple[Half, ...]]:
        try:
            connection = self._connection = self._connection or _connected(self._address)
            connection.send_bytes(json.dumps(question).encode())
            if images is not None:
                connection.send_bytes(np.ascontiguousarray(images, np.float16).data.cast("B"))
            answer = json.loads(connection.recv_bytes())
            arrays = tuple(
                np.frombuffer(connection.recv_bytes(), np.float16).reshape(shape)
                for shape in answer.get("shapes", ())
            )
        except (EOFError, OSError) as error:
            self._connection = None
            raise ConnectionError(
                f"the network process has ended ({type(error).__name__}: {error})"
            ) from error
        if "error" in answer:
            raise ConnectionError(f"the network process: {answer['error']}")
        return answer, arrays


def _connected(address: Address) -> Connection:
    end = time.monotonic() + START_S
    while True:
        try:
            return Client(address.place, authkey=address.key)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def serve(
    listener: Listener, network: Networks, failed: Callable[[], object] = lambda: None
) -> None:
    """Answer the processes that connect, one batch at a time, until the listener is closed.

    `network` gives an engine's description and its network by name and digest; `failed` is called
    where the device has failed.
    """
    lock = threading.Lock()
    while True:
        try:
            connection = listener.accept()
        except (AuthenticationError, ConnectionError, EOFError):
            continue  # a stranger, or a process that ended while it said who it is
        except OSError:
            return  # closed
        threading.Thread(
            target=_answer, args=(connection, network, lock, failed), daemon=True
        ).start()


def _answer(
    connection: Connection,
    network: Networks,
    lock: threading.Lock,
    failed: Callable[[], object],
) -> None:
    """Answer one process of wells until it hangs up.

    An error of the device is not caught: it ends the connection, and with `failed` the process,
    since a device that has failed fails until its process is started anew.
    """
    with suppress(EOFError, OSError):
        while True:
            question = json.loads(connection.recv_bytes())
            # Received before the lock is taken: the next batch is here when the device is free.
            images = (
                np.frombuffer(connection.recv_bytes(), np.float16).reshape(question["shape"])
                if question["what"] == "evaluate"
                else None
            )
            try:
                with lock:
                    answer, arrays = _evaluated(question, images, network)
            except RuntimeError:
                traceback.print_exc()
                connection.close()
                failed()
                return
            connection.send_bytes(json.dumps(answer).encode())
            for array in arrays:
                connection.send_bytes(np.ascontiguousarray(array, np.float16).data.cast("B"))


def _evaluated(
    question: Described,
    images: Half | None,
    network: Networks,
) -> tuple[Described, tuple[Half, ...]]:
    import torch

    try:
        description, evaluate = network(question["engine"], question["sha256"])
    except (ImportError, RuntimeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}, ()
    if images is None:
        return description, ()
    try:
        arrays = evaluate(images)
    except torch.OutOfMemoryError as error:
        return {"out_of_memory": str(error)}, ()
    return {"shapes": [array.shape for array in arrays]}, arrays


def _run(address: Address, device: str) -> None:
    """Be the network process."""
    from imaging_service.jobs.parallel.processes import end_with_parent

    threading.Thread(target=end_with_parent, daemon=True).start()
    # Left by a network process that was killed.
    Path(address.place).unlink(missing_ok=True)

    @cache
    def network(engine: str, sha256: str | None) -> tuple[Described, Evaluate]:
        pinned = {} if sha256 is None else {"sha256": sha256}
        loaded: Any = load_segmenter(engine, device=device, **pinned)
        described = loaded.describe()
        return {key: described[key] for key in ("device", "precision")}, loaded.evaluate

    with Listener(address.place, authkey=address.key, backlog=64) as listener:
        serve(listener, network, lambda: os._exit(1))


class NetworkProcess:
    """The network process, kept alive until it is closed; starts at the first `start`."""

    def __init__(self, device: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="imaging-service-")
        self.address = Address(str(Path(self._folder) / "network"), os.urandom(32))
        self._device = device
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None
        self.pid: int | None = None

    def start(self) -> None:
        """Start the process unless it runs, and again whenever it ends."""
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        while not self._closing.is_set():
            process = get_context("spawn").Process(
                target=_run, args=(self.address, self._device), daemon=True
            )
            process.start()
            self.pid = process.pid
            while process.is_alive() and not self._closing.wait(0.2):
                pass
            process.terminate()
            process.join()
            self._closing.wait(1.0)

    def close(self) -> None:
        """End the process and remove its socket."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join()
        shutil.rmtree(self._folder, ignore_errors=True)
