"""A zarr hierarchy on S3 as zarr reads it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.storage import ObjectStore

from imaging_service.incoming.s3 import (
    S3Path,
    as_listed,
    asked,
    asked_twice,
    compare,
    compare_md5,
    compare_twice,
    plain_etag,
    store_of,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta


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
        try:
            meta, content = await self._answered(self._folder, key)
        except FileNotFoundError:
            return None
        start, end = _bounds(byte_range, meta["size"])
        return prototype.buffer.from_bytes(content[start:end])

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[Any]) -> Any:
        """Return parts of objects."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def _answered(
        self, where: S3Path, key: str, part: tuple[int, int] | None = None
    ) -> tuple[ObjectMeta, Any]:
        """What S3 says of an object, and its content or a part of it (first byte and end).

        Raises Unavailable for `where`, and FileNotFoundError where there is no such object.
        """
        import obstore

        async def ask() -> tuple[ObjectMeta, Any]:
            with asked(where):
                options: Any = {} if part is None else {"range": part}
                answer = await obstore.get_async(self.store, key, options=options)
                return answer.meta, await answer.bytes_async()

        meta, content = await ask()
        etag = plain_etag(meta)
        if part is None:
            compare_md5(where, etag, hashlib.md5(content, usedforsecurity=False))
        if asked_twice(etag, part=part is not None):
            compare_twice(where, content, (await ask())[1])
        return meta, content

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
        state = self._states.get(key)
        if state is None:
            return None
        start, end = _bounds(byte_range, state.size)
        if start == end:
            return prototype.buffer.from_bytes(b"")
        where = self._folder / key
        with as_listed(where):
            meta, content = await self._answered(
                where, key, None if byte_range is None else (start, end)
            )
        compare(where, state, meta, len(content), end - start)
        return prototype.buffer.from_bytes(content)

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
