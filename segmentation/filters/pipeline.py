"""Overlap the stages of labelling: threads that run ahead, answers in order, memory bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(
    function: Callable[[Given], Made], items: Iterable[Given], workers: int = 1
) -> Iterator[Made]:
    """Map a function over items in threads; the answers come in order.

    Items are taken one by one, at most 2 × `workers` ahead of what has been asked for. An exception
    of an item, or of the function on it, is raised where its answer would have come.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
