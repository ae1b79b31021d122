r"""A Dask cluster over SSH, with TLS, for workers of the service on machines without a queue.

    python deploy/ssh_cluster.py HEAD MACHINE MACHINE --processes 8 --ca ca.pem \
        --cert node.pem --key node.key

Needs `pip install asyncssh` here, keys that let this user in to each machine, and on each of them
the package, the data folder, the scans and the certificate under the same paths. It prints the
address for IMAGING_SERVICE_DASK_SCHEDULER, and ends the cluster when it is interrupted.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence
from typing import Any

import dask
from distributed import SSHCluster
from distributed.security import Security

PORT = 8786


def cluster_of(
    hosts: Sequence[str],
    processes: int,
    ca: str,
    cert: str,
    key: str,
    port: int = PORT,
    **connect: Any,
) -> SSHCluster:
    """Start a scheduler on the first host and processes for wells on the others.

    `connect` are options of asyncssh, such as `username`.
    """
    # Dask hands its configuration to the processes that it starts over SSH.
    files = {
        f"distributed.comm.tls.{role}.{name}": path
        for role in ("scheduler", "worker", "client")
        for name, path in (("cert", cert), ("key", key))
    }
    files |= {"distributed.comm.tls.ca-file": ca, "distributed.comm.require-encryption": True}
    with dask.config.set(files):
        return SSHCluster(
            list(hosts),
            connect_options=connect,
            scheduler_options={
                "protocol": "tls",
                "host": hosts[0],
                "port": port,
                "dashboard": False,
                "dashboard_address": None,
            },
            worker_options={"protocol": "tls", "nthreads": 1, "n_workers": processes},
            security=Security(),
        )


def main() -> None:
    """Start the cluster, and wait until interrupted."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("hosts", nargs="+", help="The head, then the machines.")
    asked.add_argument("--processes", type=int, default=1, help="For wells, on each machine.")
    asked.add_argument("--port", type=int, default=PORT, help="Of the scheduler, on the head.")
    for name in ("--ca", "--cert", "--key"):
        asked.add_argument(name, required=True, help="File (PEM), the same path on all machines.")
    given = asked.parse_args()
    stop = threading.Event()
    # A signal that no handler takes would end this process, and leave those of the machines.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    files = (given.ca, given.cert, given.key)
    with cluster_of(given.hosts, given.processes, *files, port=given.port) as cluster:
        print(f"IMAGING_SERVICE_DASK_SCHEDULER={cluster.scheduler_address}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
