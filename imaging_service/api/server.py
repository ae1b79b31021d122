"""The server process: API and pages, with a worker kept alive beside it."""

from __future__ import annotations

import ipaddress
import threading

import uvicorn

from imaging_service.api.access import apart
from imaging_service.api.app import create_app
from imaging_service.errors import Forbidden
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.jobs.durable.store import prove_store
from imaging_service.jobs.durable.worker import supervise
from imaging_service.logs import configure
from imaging_service.settings import settings


def serve(host: str, port: int, *, with_worker: bool) -> None:
    """Run the API, with a worker that is started again whenever it dies.

    Raises Forbidden for any but a loopback address.
    """
    if not _is_loopback(host):
        raise Forbidden(
            f"refusing to listen on {host}: this version has no access keys, so anyone who can"
            " reach it could read every run and start new ones; use 127.0.0.1"
        )
    print("starting …", flush=True)
    configure()
    current = settings()
    prepare_database(current.url)
    prove_store(current)
    threading.Thread(target=apart().warm, daemon=True).start()
    stop = threading.Event()
    supervisor = threading.Thread(target=supervise, args=(current, stop), daemon=True)
    if with_worker:
        supervisor.start()
    try:
        uvicorn.run(create_app(current), host=host, port=port, log_config=None)
    finally:
        stop.set()
        if with_worker:
            supervisor.join(timeout=15)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
