"""A zarr hierarchy on S3 as zarr reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.storage import ObjectStore

from imaging_service.incoming.s3 import S3Path, as_listed, asked, compare, store_of


def zarr_store(folder: Path) -> Any:
    """What zarr opens a folder by: its path on a disk, a store that is only read on S3."""
    return Asked(folder) if isinstance(folder, S3Path) else folder


def listed_store(folder: Path) -> Any:
    """As `zarr_store`, for an array or a field: what comes from S3 must be what is listed."""
    return Listed(folder) if isinstance(folder, S3Path) else folder


class Asked(ObjectStore):
    """Zarr's store on S3, read only; raises Unavailable where S3 does not answer.

    Without that a lost network would be taken for damaged metadata, and fail the well.
    """

    def __init__(self, folder: S3Path) -> None:
        with asked(folder):
            super().__init__(store_of(folder.bucket, folder.key), read_only=True)
        self._folder = folder

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return the content of an object, or of a part of it; None where there is none."""
        with asked(self._folder):
            return await super().get(key, prototype, byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[Any]) -> Any:
        """Return parts of objects."""
        with asked(self._folder):
            return await super().get_partial_values(prototype, key_ranges)

    async def exists(self, key: str) -> bool:
        """Whether there is an object."""
        with asked(self._folder):
            return bool(await super().exists(key))

    def list(self) -> AsyncGenerator[str, None]:
        """Names of all objects."""
        return self._passed(super().list())

    def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        """Names of all objects below a folder."""
        return self._passed(super().list_prefix(prefix))

    def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """Names of what lies in a folder."""
        return self._passed(super().list_dir(prefix))

    async def _passed(self, names: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        with asked(self._folder):
            async for name in names:
                yield name


class Listed(Asked):
    """A small hierarchy on S3, of which all that is listed when it is opened must come as listed.

    Zarr takes a chunk that is not there for zeros, and knows nothing of a chunk's size before it is
    decoded. What is not listed is not asked for.
    """

    def __init__(self, folder: S3Path) -> None:
        super().__init__(folder)
        self._states = {state.name: state for state in folder.states()}

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return the content of an object, or of a part of it; None where none is listed."""
        import obstore

        state = self._states.get(key)
        if state is None:
            return None
        start, end = _bounds(byte_range, state.size)
        where = self._folder / key
        if start == end:
            return prototype.buffer.from_bytes(b"")
        options: Any = {} if byte_range is None else {"range": (start, end)}
        with as_listed(where), asked(where):
            answer = await obstore.get_async(self.store, key, options=options)
            content = await answer.bytes_async()
        compare(where, state, answer.meta, len(content), end - start)
        return prototype.buffer.from_bytes(content)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[Any]) -> Any:
        """Return parts of objects."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether an object is listed."""
        return key in self._states

    def list(self) -> AsyncGenerator[str, None]:
        """Names of all objects."""
        return _each(self._states)

    def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        """Names of all objects below a folder."""
        return _each(name for name in self._states if name.startswith(prefix))

    def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """Names of what lies in a folder."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        inside = (n.removeprefix(start) for n in self._states if n.startswith(start))
        return _each(sorted({name.partition("/")[0] for name in inside}))


async def _each(names: Iterable[str]) -> AsyncGenerator[str, None]:
    for name in names:
        yield name


def _bounds(asked_for: Any, size: int) -> tuple[int, int]:
    """First byte and end of a part of an object, as zarr asks for it."""
    if isinstance(asked_for, RangeByteRequest):
        return min(asked_for.start, size), min(asked_for.end, size)
    if isinstance(asked_for, OffsetByteRequest):
        return min(asked_for.offset, size), size
    if isinstance(asked_for, SuffixByteRequest):
        return max(0, size - asked_for.suffix), size
    return 0, size
