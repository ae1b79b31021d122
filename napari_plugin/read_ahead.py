"""The next fields, read in the background while one is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from imaging_service.review.field_image import FieldImage
from napari_plugin.places import Place


class ReadAhead:
    """Fields that are being read, or that were read and wait to be shown.

    One thread: it reads faster than a reviewer looks, and two would need twice the memory.
    """

    def __init__(self, read: Callable[[Place], FieldImage]) -> None:
        self._read = read
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(
            1, thread_name_prefix="read-ahead"
        )
        self.waiting: dict[Place, Future[FieldImage]] = {}

    def want(self, places: Sequence[Place]) -> None:
        """Read these, and forget all others; does nothing after `close`."""
        if self._pool is None:
            return
        for place in [p for p in self.waiting if p not in places]:
            self.forget(place)
        for place in places:
            if place not in self.waiting:
                self.waiting[place] = self._pool.submit(self._read, place)

    def take(self, place: Place) -> FieldImage | None:
        """The field as it was read, or None if it was not asked for.

        Waits while it is being read, and raises what reading it raised.
        """
        reading = self.waiting.pop(place, None)
        return None if reading is None else reading.result()

    def forget(self, place: Place) -> None:
        """Do not read a field, or drop it."""
        if (reading := self.waiting.pop(place, None)) is not None:
            reading.cancel()

    def close(self) -> None:
        """End the reading."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
