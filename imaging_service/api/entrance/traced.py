"""Every request has an id: in its answer, on its log line, and on each line that it causes."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imaging_service.logs import REQUEST, RUN

log = logging.getLogger("imaging_service.requests")
HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OF_RUN = re.compile(r"/(?:runs|view)/([0-9a-f]{6,64})(?:/|$)")


class Traced:
    """Middleware around the whole application, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; log it once it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        # What a client sends is taken where it can stand in a line of a log.
        identity = given if _ID.fullmatch(given) else uuid.uuid4().hex[:16]
        REQUEST.set(identity)
        of_run = _OF_RUN.match(scope["path"])
        RUN.set(of_run[1] if of_run else "")
        status, started = 500, time.perf_counter()

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = identity
            await send(message)

        try:
            await self._app(scope, receive, answered)
        finally:
            more = {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * (time.perf_counter() - started), 1),
            }
            if "app" in scope:
                scope["app"].state.metrics.count(scope, status, time.perf_counter() - started)
            log.info("%s %s %s", scope["method"], scope["path"], status, extra={"more": more})
