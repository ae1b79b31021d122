"""Compute the work of a well on Dask.

DBOS decides what must happen; Dask may lose everything and be asked again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from imaging_service.errors import Forbidden, MachineError, Unavailable
from imaging_service.jobs.parallel.away import cause
from imaging_service.jobs.parallel.network import NetworkProcess, uses_gpu
from imaging_service.jobs.parallel.processes import HEAP, set_up, thread_count, worker_count
from imaging_service.settings import Settings

# Of a process before it starts.
_ENVIRONMENT = "distributed.nanny.pre-spawn-environ"
# Between two looks at the processes while a result is waited for, and how long one may be missing
# that Dask starts again by itself.
LOOK_S, LOST_S = 15.0, 90.0
_LOST = "a process that analyses wells was lost and did not start again"
# Any free port: the one that Dask takes by default may be another worker's.
_PAGES = "127.0.0.1:0"
# What `dask worker --resources GPU=1` declares: a place for one task on that machine's GPU.
GPU = "GPU"


class Cluster:
    """One Dask client per worker process; started on first use, and again after it was lost."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        if settings.dask_scheduler and not settings.dask_scheduler.startswith("tls://"):
            raise Forbidden(
                f"dask_scheduler {settings.dask_scheduler!r} is refused: any program that"
                " reaches a scheduler without TLS can run code on it; give a tls:// address"
            )
        self._settings = settings
        self._client: Any = None
        self._lock = threading.Lock()
        self._clock, self._short_since = clock, -1.0
        self._gpu_seen = False
        # One for all processes of this machine; a shared scheduler's machines have their own.
        local = not settings.dask_scheduler
        self._network = NetworkProcess("cuda") if local and uses_gpu("auto") else None

    @property
    def processes(self) -> int:
        """Worker processes of the local cluster."""
        return worker_count(self._settings.workers)

    def _connected(self) -> Any:
        import dask
        from distributed import Client, LocalCluster

        with self._lock:
            if self._client is not None and self._client.status == "running":
                return self._client
            if self._network is not None:
                self._network.start()
            if self._settings.dask_scheduler:
                self._client = Client(self._settings.dask_scheduler, set_as_default=False)
            else:
                # Loopback only: nothing listens for other machines.
                environment = dask.config.get(_ENVIRONMENT) | HEAP
                with dask.config.set({_ENVIRONMENT: environment}):
                    cluster = LocalCluster(
                        n_workers=self.processes,
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        dashboard_address=_PAGES,
                        worker_dashboard_address=_PAGES,
                        memory_limit=0,
                        silence_logs="CRITICAL",
                    )
                self._client = Client(cluster, set_as_default=False)
                # In each process, also in one that takes the place of another later.
                address = None if self._network is None else self._network.address
                self._client.register_worker_callbacks(
                    partial(set_up, thread_count(self.processes), address)
                )
            return self._client

    def offers_gpu(self) -> bool:
        """Whether a process of a shared scheduler has ever declared a GPU as its resource.

        Once one has, what needs a GPU waits for it, also while its machine is away. The processes
        of this machine share one network on its GPU, and declare none.
        """
        if not self._gpu_seen and self._settings.dask_scheduler:
            try:
                known = self._connected().scheduler_info(n_workers=-1)["workers"].values()
            except OSError as error:
                raise Unavailable(f"Dask scheduler not reachable: {error}") from error
            self._gpu_seen = any(worker["resources"].get(GPU) for worker in known)
        return self._gpu_seen

    def run(self, function: Callable[..., Any], *args: Any, key: str, gpu: bool = False) -> Any:
        """Call a function on the cluster and wait; with `gpu` where a GPU is declared and free.

        Raises MachineError if a process was lost, Unavailable if a disk or the scheduler is away;
        other errors as they are.
        """
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        try:
            client = self._connected()
        except OSError as error:
            raise Unavailable(f"Dask scheduler not reachable: {error}") from error
        # A random suffix, because a retry of the same key must run again and not get the old
        # result.
        future = client.submit(
            function,
            *args,
            key=f"{key}-{os.urandom(4).hex()}",
            pure=False,
            retries=1,
            **({"resources": {GPU: 1}} if gpu else {}),
        )
        try:
            return self._result(client, future)
        except (KilledWorker, CommClosedError, FutureCancelledError, MemoryError) as error:
            raise MachineError(
                f"the process that computed it was lost ({type(error).__name__}: {error})"
            ) from error
        except OSError as error:
            raise Unavailable(cause(error)) from error
        finally:
            future.release()

    def _result(self, client: Any, future: Any) -> Any:
        while True:
            try:
                return future.result(timeout=LOOK_S)
            except TimeoutError:
                # One that the function raised is its outcome.
                if future.done():
                    raise
            except RuntimeError as error:
                # Dask's word where another caller has ended the cluster meanwhile.
                if client.status != "closed":
                    raise
                raise MachineError(_LOST) from error
            self._end_short(client)

    def _end_short(self, client: Any) -> None:
        """End a local cluster that has been short of processes for long; the next call starts anew.

        Dask gives a process up for good that is lost while it starts, and its work would be waited
        for without end. Raises MachineError for all who wait for the cluster's results.
        """
        if client.cluster is None:
            return
        with self._lock:
            if client is not self._client:
                return
            if len(client.nthreads()) >= self.processes:
                self._short_since = -1.0
                return
            if self._short_since < 0:
                self._short_since = self._clock()
            if self._clock() - self._short_since < LOST_S:
                return
            self._client, self._short_since = None, -1.0
        client.close()
        client.cluster.close()
        raise MachineError(_LOST)

    def close(self) -> None:
        """Stop the local cluster."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                if self._client.cluster is not None:
                    self._client.cluster.close()
                self._client = None
            if self._network is not None:
                self._network.close()
