"""Call a function in a process of its own, with limits of time and memory.

What a request sends is read there: a file that takes for ever or all memory ends that process, and
the server's other clients notice nothing.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from imaging_service.errors import Busy, ServiceError, TooLarge

T = TypeVar("T")
# A full plate's plan takes less than one; what is loaded with it, about one more.
MOST_BYTES = 8 * 2**30
# Calls that one process serves, so that what a library keeps cannot grow for ever.
MOST_CALLS = 50


class Apart:
    """Up to `most` processes that wait for calls; one is started when none is free.

    They are spawned: a fork would copy the server's locks in whatever state they are.
    """

    def __init__(self, most: int = 2, most_bytes: int = MOST_BYTES) -> None:
        self._free: list[_Process] = []
        self._most_bytes = most_bytes
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()

    def call(self, function: Callable[..., T], *args: Any, seconds: float) -> T:
        """The function's result, or its error.

        Raises TooLarge where it takes longer or more memory than allowed, Busy where all processes
        stay occupied for as long.
        """
        if not self._places.acquire(timeout=seconds):
            raise Busy("other submissions are still being read; send this one again later")
        try:
            process = self._waiting() or _Process(self._most_bytes)
            try:
                result = process.call(function, args, seconds)
            except BaseException as error:
                if process.usable:
                    self._give_back(process)
                else:
                    process.end()
                raise error
            self._give_back(process)
        finally:
            self._places.release()
        return result

    def warm(self) -> None:
        """Start a process before the first call, since its imports take seconds."""
        with self._lock:
            if not self._free:
                self._free.append(_Process(self._most_bytes))

    def close(self) -> None:
        """End the processes that are free."""
        with self._lock:
            for process in self._free:
                process.end()
            self._free.clear()

    def _waiting(self) -> _Process | None:
        """A process that is free, without those that were ended while they waited."""
        with self._lock:
            while self._free:
                process = self._free.pop()
                if process.lives:
                    return process
                process.end()
        return None

    def _give_back(self, process: _Process) -> None:
        if process.calls >= MOST_CALLS:
            process.end()
            return
        with self._lock:
            self._free.append(process)


class _Process:
    """One process and the pipe to it."""

    def __init__(self, most_bytes: int) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, most_bytes), daemon=True)
        self._process.start()
        theirs.close()
        self.calls = 0
        self.usable = True

    @property
    def lives(self) -> bool:
        return self._process.is_alive()

    def call(self, function: Callable[..., T], args: tuple[Any, ...], seconds: float) -> T:
        self.calls += 1
        self.usable = False
        try:
            self._pipe.send((function, args))
            if not self._pipe.poll(seconds):
                raise TooLarge(
                    f"what was sent was not read within {seconds:.0f} s and is refused; a plate is"
                    " read in less: look for files that do not belong to it"
                )
            succeeded, result = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise TooLarge(
                "the process that read what was sent was ended, most likely for want of memory; it"
                " is refused"
            ) from error
        self.usable = True
        if succeeded:
            answer: T = result
            return answer
        raise result

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, most_bytes: int) -> None:
    """Answer calls until the other end of the pipe is closed."""
    with contextlib.suppress(ImportError):
        # Windows has none; there only the time is limited.
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    while True:
        try:
            function, args = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = True, function(*args)
        except MemoryError:
            answer = (
                False,
                TooLarge("what was sent needs more memory than is allowed; it is refused"),
            )
        except Exception as error:  # noqa: BLE001 - it is raised again at the other end
            answer = False, _portable(error)
        pipe.send(answer)


def _portable(error: Exception) -> Exception:
    """The error as it is, or its words where it does not survive the pipe."""
    if isinstance(error, ServiceError):
        return error
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was made in the line itself
    except (pickle.PickleError, TypeError, AttributeError):
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
