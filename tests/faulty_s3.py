"""An S3 server with faults: what the real one answers passes through here, or does not."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import pytest

from tests.service import free_port

_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
_GONE = b"<Error><Code>NoSuchKey</Code><Message>The key does not exist</Message></Error>"
# The client waits for an answer that does not come.
HANGING = frozenset({"hang", "stall"})
_WITHOUT_BODY = {"transfer-encoding", "content-length", "connection"}


def slow_where_it_hangs(faults: Sequence[str]) -> list:
    """Parameters of a test in which a fault stays: the client waits four times for an answer."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow) if name in HANGING else name for name in faults]


class FaultyS3:
    """A server between a client and the real one, on a port of its own.

    `fault` is the name of one below, for requests (method and target) that match `of`; the first
    `times` of them, all without. `faults` counts those that met it, `requests` all. `before` is
    told of each fault before it is set.
    """

    def __init__(self, real: str, before: Callable[[str], None] = lambda fault: None) -> None:
        self._real, self.port, self._before = urlsplit(real), free_port(), before
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests, self.faults = 0, 0
        self._of, self._fault, self._left = re.compile("$"), "", 0
        self._lock, self._over = threading.Lock(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._listen, daemon=True).start()

    def set(self, fault: str, of: str = "", times: int = 10**9) -> None:
        """Answer so from now on; what hangs until now is let go."""
        self._before(fault)
        with self._lock:
            self._over.set()
            self._over = threading.Event()
            self._of, self._fault, self._left = re.compile(of), fault, times
            self.requests = self.faults = 0

    def well(self) -> None:
        """Pass everything on."""
        self.set("", "$^")

    def close(self) -> None:
        self.well()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException), connection:
            stream = connection.makefile("rb")
            while head := _head(stream):
                line = head.partition(b"\r\n")[0].decode()
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                request = head + stream.read(int(length[1]) if length else 0)
                fault, over = self._meets(line)
                if fault in ("hang", "hang up"):
                    over.wait(600 if fault == "hang" else 0)
                    _reset(connection)
                    return
                answer = self._answer(request, line.partition(" ")[0])
                if not _ANSWERS[fault](connection, *answer, over):
                    return

    def _meets(self, line: str) -> tuple[str, threading.Event]:
        with self._lock:
            self.requests += 1
            if not self._left or not self._fault or not self._of.search(line):
                return "", self._over
            self._left -= 1
            self.faults += 1
            return self._fault, self._over

    def _answer(self, request: bytes, method: str) -> tuple[bytes, bytes, int]:
        """Head without the body's length, body, and the length that the real server states."""
        with socket.create_connection((self._real.hostname, self._real.port)) as real:
            real.sendall(request)
            answer = http.client.HTTPResponse(real, method=method)
            answer.begin()
            body = answer.read()
            stated = int(answer.headers.get("content-length") or len(body))
            lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
            lines += [
                f"{name}: {value}"
                for name, value in answer.headers.items()
                if name.lower() not in _WITHOUT_BODY
            ]
        return "\r\n".join(lines).encode() + b"\r\n", body, stated


def _head(stream) -> bytes:
    """A request up to its body; empty at the connection's end."""
    lines = []
    while (line := stream.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join(lines) + b"\r\n" if lines else b""


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _send(connection, head, body, length, over) -> bool:
    """As the real server answered."""
    connection.sendall(head + f"Content-Length: {length}\r\n\r\n".encode() + body)
    return True


def _half(connection, head, body, length, over) -> None:
    _send(connection, head, body[: len(body) // 2], length, over)


def _stall(connection, head, body, length, over) -> bool:
    _half(connection, head, body, length, over)
    over.wait(600)
    return False


def _cut(connection, head, body, length, over) -> bool:
    _half(connection, head, body, length, over)
    return False


def _cut_hard(connection, head, body, length, over) -> bool:
    _half(connection, head, body, length, over)
    _reset(connection)
    return False


def _shortened(connection, head, body, length, over) -> bool:
    """Half of the content, as if it were all of it."""
    half = body[: len(body) // 2]
    return _send(connection, head, half, len(half) or length, over)


def _flipped(connection, head, body, length, over) -> bool:
    middle = len(body) // 2
    other = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body
    return _send(connection, head, other, length, over)


def _other_etag(connection, head, body, length, over) -> bool:
    other = re.sub(rb"(?i)(etag: )[^\r]*", rb'\1"00000000000000000000000000000000"', head)
    return _send(connection, other, body, length, over)


def _refusing(status: bytes, body: bytes) -> Callable[..., bool]:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/xml\r\n"
    return lambda connection, *rest: _send(connection, head, body, len(body), rest[-1])


_ANSWERS: dict[str, Callable[..., bool]] = {
    "": _send,
    "stall": _stall,
    "cut": _cut,
    "reset": _cut_hard,
    "shortened": _shortened,
    "flipped": _flipped,
    "other etag": _other_etag,
    "slow down": _refusing(b"503 Slow Down", _SLOW_DOWN),
    "broken": _refusing(b"500 Internal Server Error", b""),
    "not there": _refusing(b"404 Not Found", _GONE),
}
