"""The processes that serve one address: each is the whole application, and none knows the others.

What they share lies in the database, the data folder and signed cookies, so a request may reach any
of them. Only the figures for Prometheus are counted together, in files of a folder in memory.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlmodel import Session
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from imaging_service.access.keys import have_keys
from imaging_service.access.secret_files import LOCAL_TOKEN, secret
from imaging_service.api.access import readers
from imaging_service.api.app import create_app
from imaging_service.api.entrance.proxy import OnlyFrom, networks
from imaging_service.api.metrics import SHARED_FOLDER
from imaging_service.database.session import database_engine
from imaging_service.errors import Forbidden
from imaging_service.jobs.parallel.processes import end_with_parent
from imaging_service.logs import configure
from imaging_service.settings import Settings, settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_MOST = 4
_MEMORY = Path("/dev") / "shm"


def process_count(wanted: int = 0) -> int:
    """Processes of the API: one per four cores and at most four, if not given.

    The other cores are for wells.

    Examples
    --------
    >>> process_count(2)
    2
    """
    return wanted or max(1, min(_MOST, (os.cpu_count() or 1) // 4))


def must_be_free(host: str, port: int) -> None:
    """Raise Forbidden where another program listens: a service that ends takes its token back.

    A service that began there none the less would leave the other one's user without a token.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # As the server does: an address that was closed a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise Forbidden(
                f"cannot listen on {host}, port {port}: {error.strerror}; if a service is running"
                " there already, open its link, else give another --port or --host"
            ) from error


def local_token(current: Settings) -> str:
    """What opens a service without members; empty once it has some."""
    with Session(database_engine(current.url)) as session:
        members = have_keys(session)
    return "" if members else secret(current.data_dir, LOCAL_TOKEN)


def application() -> ASGIApp:
    """The application of this process, by its environment; it ends with the process that began it.

    Otherwise the processes of a killed server would keep its address from the next one.
    """
    configure()
    if parent_process() is not None:
        threading.Thread(target=end_with_parent, daemon=True).start()
    current = settings()
    return assembled(current, local_token(current))


def assembled(current: Settings, token: str) -> ASGIApp:
    """The application behind the proxy that the settings name."""
    app = create_app(current, token)
    threading.Thread(target=readers().warm, daemon=True).start()
    if not current.proxy:
        return app
    # What a proxy says of the client is believed of the named proxy only; others get no further.
    trusted = ProxyHeadersMiddleware(cast(Any, app), trusted_hosts=current.proxy.replace(" ", ""))
    return OnlyFrom(cast(Any, trusted), networks(current.proxy))


@contextmanager
def counted_together() -> Iterator[None]:
    """Let the processes that are begun in this block count requests in one folder.

    In memory where the system has such a folder: a disk that fills up would end each process that
    counts, since the files are mapped.
    """
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="imaging-service-", dir=place) as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]
