"""The server process: API and pages, with a worker kept alive beside it."""

from __future__ import annotations

import signal
import threading
from typing import Any, cast

import uvicorn

from imaging_service.api.entrance.proxy import networks
from imaging_service.api.entrance.tls import must_fit
from imaging_service.api.processes import (
    assembled,
    counted_together,
    local_token,
    must_be_free,
    process_count,
)
from imaging_service.errors import Forbidden
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.jobs.durable.store import prove_store
from imaging_service.jobs.durable.worker import supervise
from imaging_service.key_file import forget_key, is_loopback, keep_key
from imaging_service.logs import configure
from imaging_service.settings import Settings, settings

# A busy machine answers late; a process that is ended for it would only start, and be late, again.
_SILENT_S = 60
_APPLICATION = "imaging_service.api.processes:application"


def serve(host: str, port: int, *, with_worker: bool, processes: int = 0) -> None:
    """Run the API, with a worker that is started again whenever it dies.

    The API has `processes` processes, or as many as the machine's cores suggest. The data folder's
    own scan root is made where it is missing.

    On loopback, a service without members is for the user who started it: a link with a token opens
    it, and that user's clients find the token by themselves. Any other address needs members with
    keys, and TLS: the service's own or a named proxy's.

    Raises Forbidden for an address that is not safe to listen on, with what is missing.
    """
    current = settings()
    _check_address(host, current)
    must_be_free(host, port)
    configure()
    prepare_database(current.url)
    prove_store(current)
    scans = current.data_dir / "scans"
    # A link to a share that is away is one that its owner made.
    if not scans.is_symlink():
        scans.mkdir(exist_ok=True)
    token = local_token(current)
    if token and (current.public_url or not is_loopback(host)):
        raise Forbidden(
            "refusing to listen for others: the service has no members, so no caller could be"
            " known; make the first with: imaging-service keys first-administrator"
        )
    stop = threading.Event()
    supervisor = threading.Thread(target=supervise, args=(current, stop), daemon=True)
    # The server repeats the signal that ended it once it has closed, and the system's own answer to
    # SIGTERM would end this process before its worker, and leave the token behind.
    before = signal.signal(signal.SIGTERM, _end)
    if with_worker:
        supervisor.start()
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        if token:
            _open_to_its_user(url, token)
        else:
            print(f"open {current.public_url or url} in a browser, and sign in", flush=True)
        _run(current, token, host, port, process_count(processes))
    finally:
        stop.set()
        if token:
            forget_key(url)
        if with_worker:
            supervisor.join(timeout=15)
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(0)


def _run(current: Settings, token: str, host: str, port: int, processes: int) -> None:
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "log_config": None,
        "proxy_headers": False,
        "ssl_certfile": current.tls_certificate,
        "ssl_keyfile": current.tls_key,
    }
    if processes == 1:
        uvicorn.run(cast(Any, assembled(current, token)), **options)
        return
    with counted_together():
        uvicorn.run(
            _APPLICATION,
            factory=True,
            workers=processes,
            timeout_worker_healthcheck=_SILENT_S,
            **options,
        )


def _check_address(host: str, current: Settings) -> None:
    """Raises Forbidden, before anything is started."""
    tls = (current.tls_certificate, current.tls_key)
    if any(tls) and not all(tls):
        raise Forbidden(
            "TLS needs both IMAGING_SERVICE_TLS_CERTIFICATE and IMAGING_SERVICE_TLS_KEY"
        )
    if missing := [str(p) for p in tls if p is not None and not p.is_file()]:
        raise Forbidden(f"there is no file {' and no file '.join(missing)}, which TLS needs")
    if current.tls_certificate and current.tls_key:
        must_fit(current.tls_certificate, current.tls_key)
    networks(current.proxy)
    if is_loopback(host):
        return
    if not (all(tls) or current.proxy):
        raise Forbidden(
            f"refusing to listen on {host} without TLS: keys and results would cross the network in"
            " the clear; set IMAGING_SERVICE_TLS_CERTIFICATE and _TLS_KEY, or name the proxy that"
            " speaks TLS in IMAGING_SERVICE_PROXY, or use 127.0.0.1"
        )
    if not current.public_url:
        raise Forbidden(
            f"refusing to listen on {host} under no name: set IMAGING_SERVICE_PUBLIC_URL to the"
            " address that people type, such as https://imaging.example.org"
        )


def _open_to_its_user(url: str, token: str) -> None:
    print(f"open this link in a browser: {url}/open?token={token}", flush=True)
    try:
        keep_key(url, token)
    except OSError as error:
        print(
            f"note: clients on this machine need IMAGING_SERVICE_KEY_FILE=DATA/secrets/local.token:"
            f" the user's own file of keys cannot be written ({error})",
            flush=True,
        )
