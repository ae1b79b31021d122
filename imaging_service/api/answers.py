"""Answers that do not change: made once, kept as bytes, and not sent to who has them already.

A finished run's table is the same each time until its review or a retry makes another of it. Its
name (`ETag`) follows from what decides its content, so that a client that has it is told so (304)
before a row is read, and another that asks gets the bytes of before.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterable
from typing import Annotated

from cachetools import LRUCache
from fastapi import Depends, FastAPI, Header, Request, Response

from imaging_service import __version__

# Bytes that are kept, and the largest answer of which a few shall not push out all others.
KEPT_BYTES = 128 * 2**20
_LARGEST = KEPT_BYTES // 8
# Smaller ones, and those that are compressed already, are sent as they are.
_WORTH_PACKING = 1024
_PACKED = ("application/vnd", "image/")


class Answers:
    """The answers that one application keeps. Requests are served by several threads."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, bytes] = LRUCache(KEPT_BYTES, getsizeof=len)
        self._lock = threading.Lock()

    def get(self, tag: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a tag, made if they are not kept."""
        with self._lock:
            content = self._kept.get(tag)
        if content is None:
            content = make()
            if len(content) <= _LARGEST:
                with self._lock:
                    self._kept[tag] = content
        return content


class Asked:
    """What the request says of the answers that it has and can read."""

    def __init__(
        self,
        request: Request,
        if_none_match: Annotated[
            str, Header(description="ETag of the answer that you have; 304 if it is the same.")
        ] = "",
        accept_encoding: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> None:
        self._answers: Answers = request.app.state.answers
        self.address = f"{request.url.path}?{request.url.query}"
        self._have = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        codings = [part.replace(" ", "") for part in accept_encoding.lower().split(",")]
        self._gzip = any(c == "gzip" or c.startswith("gzip;") for c in codings) and (
            "gzip;q=0" not in codings
        )

    def kept(self, parts: Iterable[object], make: Callable[[], bytes]) -> bytes:
        """Bytes that are a part of an answer; equal parts, equal bytes."""
        return self._answers.get(repr(tuple(parts)), make)

    def answer(
        self,
        parts: Iterable[object],
        make: Callable[[], bytes],
        media_type: str,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """304 for one who has it, else the bytes.

        `parts` decide the content: equal parts, equal bytes. `make` is called where they are not
        kept.
        """
        packs = self._gzip and not media_type.startswith(_PACKED)
        digest = hashlib.sha256(repr((__version__, media_type, *parts)).encode()).hexdigest()[:32]
        tag = f'"{digest}-gzip"' if packs else f'"{digest}"'
        sent = {
            "ETag": tag,
            # What a reviewer corrects must be seen at once, so it is asked for each time.
            "Cache-Control": "private, no-cache",
            "Vary": "Accept-Encoding",
            **(headers or {}),
        }
        if tag in self._have or "*" in self._have:
            return Response(status_code=304, headers=sent)
        content = self._answers.get(tag, (lambda: _packed(make())) if packs else make)
        # gzip's own mark: what is small was left as it is.
        if packs and content[:2] == b"\x1f\x8b":
            sent["Content-Encoding"] = "gzip"
        return Response(content, media_type=media_type, headers=sent)


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0) if len(content) >= _WORTH_PACKING else content


def install(app: FastAPI) -> None:
    """Let the application keep answers."""
    app.state.answers = Answers()


AskedDep = Annotated[Asked, Depends()]
