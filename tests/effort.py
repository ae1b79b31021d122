"""How much work a call does, counted and not timed: a busy machine must not turn a test red."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Calls:
    """Calls of functions, Python's and C's, while `count_calls` watched."""

    count = 0


@contextmanager
def count_calls() -> Iterator[Calls]:
    """Count every call that this thread makes within the block.

    Examples
    --------
    >>> from tests.effort import count_calls
    >>> with count_calls() as calls:
    ...     _ = [len("ab") for _ in range(100)]
    >>> 100 <= calls.count < 110
    True
    """
    calls = Calls()

    def watch(_: FrameType, event: str, __: Any) -> None:
        calls.count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield calls
    finally:
        sys.setprofile(before)
