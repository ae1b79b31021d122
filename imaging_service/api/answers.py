"""Answers that do not change: made once, kept as bytes, and not sent to who has them already.

A finished run's table is the same each time until its review or a retry makes another of it. Its
name (`ETag`) follows from what decides its content, so that a client that has it is told so (304)
before a row is read, and another that asks gets the bytes of before.

Most of them are decided by the run's row in the database, and pages by a file as well. These are
also known by their address, so that the door, which reads the row to see whose run it is, gives
them without the application (`Asked.again`). No answer is trusted for a length of time: each
request reads from the database who the caller is, with which role, and how the run stands.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cachetools import LRUCache
from fastapi import Depends, FastAPI, Header, Request, Response

from imaging_service import __version__
from imaging_service.access.roles import Role

# Bytes that are kept, and the largest answer of which a few shall not push out all others.
KEPT_BYTES = 128 * 2**20
_LARGEST = KEPT_BYTES // 8
# Of what is known by address, as text: some thousand addresses.
KNOWN_BYTES = 8 * 2**20
# Smaller ones, and those that are compressed already, are sent as they are.
_WORTH_PACKING = 1024
_PACKED = ("application/vnd", "image/")


@dataclass(frozen=True)
class OfRun:
    """What decides an answer besides its address: the run's row, and a file where one is given."""

    row: tuple[object, ...]
    file: Path | None = None
    written_ns: int = 0

    def holds(self, row: tuple[object, ...]) -> bool:
        """Whether the run's row, which was read now, and the file are as they were."""
        if row != self.row:
            return False
        try:
            return self.file is None or self.file.stat().st_mtime_ns == self.written_ns
        except OSError:
            return False


@dataclass(frozen=True)
class Head:
    """An answer without its bytes."""

    tag: str
    media_type: str
    headers: dict[str, str]
    packs: bool

    def response(self, content: bytes) -> Response:
        """The whole answer."""
        # gzip's own mark: what is small was left as it is.
        packed = self.packs and content[:2] == b"\x1f\x8b"
        coding = {"Content-Encoding": "gzip"} if packed else {}
        return Response(content, media_type=self.media_type, headers=self.headers | coding)

    def same(self) -> Response:
        """The answer for a client that has the bytes."""
        return Response(status_code=304, headers=self.headers)


@dataclass(frozen=True)
class Known:
    """An answer that was given at an address, and what decided it."""

    address: tuple[object, ...]
    of: OfRun
    head: Head


class Answers:
    """The answers that one application keeps. Requests are served by several threads."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, bytes] = LRUCache(KEPT_BYTES, getsizeof=len)
        self._known: LRUCache[tuple[object, ...], Known] = LRUCache(
            KNOWN_BYTES, getsizeof=lambda known: len(repr(known))
        )
        self._lock = threading.Lock()

    def kept(self, tag: str) -> bytes | None:
        """The bytes of a tag, if they are kept."""
        with self._lock:
            return self._kept.get(tag)

    def get(self, tag: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a tag, made if they are not kept."""
        content = self.kept(tag)
        if content is None:
            content = make()
            if len(content) <= _LARGEST:
                with self._lock:
                    self._kept[tag] = content
        return content

    def known(self, address: tuple[object, ...]) -> Known | None:
        """What was answered last at an address, if it is known."""
        with self._lock:
            return self._known.get(address)

    def remember(self, known: Known) -> None:
        """Know an answer by its address, in place of the one before."""
        with self._lock:
            # An address may be as long as a client likes.
            if len(repr(known)) <= KNOWN_BYTES // 100:
                self._known[known.address] = known


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
        self._request = request
        self._answers: Answers = request.app.state.answers
        self._have = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        codings = [part.replace(" ", "") for part in accept_encoding.lower().split(",")]
        self._gzip = any(c == "gzip" or c.startswith("gzip;") for c in codings) and (
            "gzip;q=0" not in codings
        )

    @property
    def address(self) -> str:
        """Path and query."""
        return f"{self._request.url.path}?{self._request.url.query}"

    def kept(self, parts: Iterable[object], make: Callable[[], bytes]) -> bytes:
        """Bytes that are a part of an answer; equal parts, equal bytes."""
        return self._answers.get(repr(tuple(parts)), make)

    def answer(
        self,
        parts: Iterable[object],
        make: Callable[[], bytes],
        media_type: str,
        headers: dict[str, str] | None = None,
        of: OfRun | None = None,
    ) -> Response:
        """304 for one who has it, else the bytes.

        `parts` decide the content: equal parts, equal bytes. `make` is called where they are not
        kept. With `of`, what was read before any part was, the answer is decided by that, by the
        address and by the caller's role in the run's project alone: the door gives it from then on.
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
        head = Head(tag, media_type, sent, packs)
        if self._has(tag):
            answer = head.same()
        else:
            answer = head.response(
                self._answers.get(tag, (lambda: _packed(make())) if packs else make)
            )
        if of is not None:
            state = self._request.state
            role = state.caller.roles[state.project]
            self._answers.remember(Known(self._known_as(role), of, head))
        return answer

    def again(self, row: tuple[object, ...], role: Role) -> Response | None:
        """What `answer` would give; None where nothing is known of the address, or not any more.

        `row` is the run's, read for this request, and `role` the caller's in its project.
        """
        known = self._answers.known(self._known_as(role))
        if known is None or not known.of.holds(row):
            return None
        if self._has(known.head.tag):
            return known.head.same()
        content = self._answers.kept(known.head.tag)
        return None if content is None else known.head.response(content)

    def _has(self, tag: str) -> bool:
        return tag in self._have or "*" in self._have

    def _known_as(self, role: Role) -> tuple[object, ...]:
        scope = self._request.scope
        return scope["path"], scope["query_string"], role, self._gzip


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0) if len(content) >= _WORTH_PACKING else content


def install(app: FastAPI) -> None:
    """Let the application keep answers."""
    app.state.answers = Answers()


AskedDep = Annotated[Asked, Depends()]
