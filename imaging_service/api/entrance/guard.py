"""What is refused before a route sees it: foreign pages and hosts, large bodies, unwritable text.

A browser that shows a foreign page sends requests to this service with its user's rights. It says
so in `Sec-Fetch-Site` or `Origin`; programs send neither.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imaging_service.api.problems import problem

HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "testserver"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# A correction of labels may have 128 MiB, a plate map in base64 67 MiB.
MOST_BYTES = 130 * 2**20


class Guard:
    """Middleware around the whole application."""

    def __init__(
        self, app: ASGIApp, most_bytes: int = MOST_BYTES, *, names: frozenset[str] = frozenset()
    ) -> None:
        self._app, self._most_bytes, self._names = app, most_bytes, HOSTS | names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        streamed = _streamed(scope)
        refusal = (
            _unknown_host(headers, self._names)
            or _unwritable(scope)
            or _foreign(scope["method"], headers)
            or self._declared_too_large(headers, streamed)
        )
        if refusal is not None:
            await problem(*refusal)(scope, receive, send)
            return
        await self._app(scope, receive if streamed else self._counted(receive), send)

    def _declared_too_large(self, headers: Headers, streamed: bool) -> tuple[int, str, str] | None:
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or len(length) > 18:
            return 400, "request_invalid", f"Content-Length {length[:40]!r} is not a number"
        if not streamed and int(length) > self._most_bytes:
            return 413, "too_large", self._too_large(f"{int(length):,}")
        return None

    def _too_large(self, length: str) -> str:
        return f"the request has {length} bytes; at most {self._most_bytes:,} are accepted"

    def _counted(self, receive: Receive) -> Receive:
        """The same messages; HTTPException once a body that declared no length is too large."""
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._most_bytes:
                raise HTTPException(413, self._too_large("more"))
            return message

        return counted


def _streamed(scope: Scope) -> bool:
    """Whether the body goes to disk as it comes, counted against the size that was announced."""
    return scope["method"] == "PUT" and str(scope["path"]).startswith("/blobs/")


def _unknown_host(headers: Headers, names: frozenset[str]) -> tuple[int, str, str] | None:
    """A page of a foreign site can make a browser call loopback by its own name (DNS rebinding)."""
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        host = None
    if host in names:
        return None
    return 400, "request_invalid", f"this service has no name but {', '.join(sorted(names))}"


def _unwritable(scope: Scope) -> tuple[int, str, str] | None:
    """A path or query with NUL, or that is not UTF-8: no file and no row has such a name."""
    raw = scope["path"].encode(errors="surrogatepass") + unquote_to_bytes(scope["query_string"])
    try:
        named = raw.decode()
    except UnicodeDecodeError:
        return 400, "request_invalid", "the address is not UTF-8"
    if "\x00" in named:
        return 400, "request_invalid", "the address holds NUL, which no name here does"
    return None


def _foreign(method: str, headers: Headers) -> tuple[int, str, str] | None:
    """A request that changes something and comes from a page of another site."""
    if method in SAFE:
        return None
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site not in (None, "same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    ):
        return (
            403,
            "foreign_page",
            f"a page of another site ({(origin or site or '')[:200]}) asked for this; open the"
            " service's own page, or use its client",
        )
    return None
