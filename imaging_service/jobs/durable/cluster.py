"""Compute the work of a well on Dask.

DBOS decides what must happen; Dask may lose everything and be asked again.
"""

from __future__ import annotations

import os
import threading
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


class Cluster:
    """One Dask client per worker process; started on first use, and again after it was lost."""

    def __init__(self, settings: Settings) -> None:
        if settings.dask_scheduler and not settings.dask_scheduler.startswith("tls://"):
            raise Forbidden(
                f"dask_scheduler {settings.dask_scheduler!r} is refused: any program that"
                " reaches a scheduler without TLS can run code on it; give a tls:// address"
            )
        self._settings = settings
        self._client: Any = None
        self._lock = threading.Lock()
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
                # Loopback only, no dashboard: nothing listens that another user of the machine
                # could call usefully.
                environment = dask.config.get(_ENVIRONMENT) | HEAP
                with dask.config.set({_ENVIRONMENT: environment}):
                    cluster = LocalCluster(
                        n_workers=self.processes,
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        dashboard_address=None,
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

    def run(self, function: Callable[..., Any], *args: Any, key: str) -> Any:
        """Call a function on the cluster and wait.

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
            function, *args, key=f"{key}-{os.urandom(4).hex()}", pure=False, retries=1
        )
        try:
            return future.result()
        except (KilledWorker, CommClosedError, FutureCancelledError, MemoryError) as error:
            raise MachineError(
                f"the process that computed it was lost ({type(error).__name__}: {error})"
            ) from error
        except OSError as error:
            raise Unavailable(cause(error)) from error
        finally:
            future.release()

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
