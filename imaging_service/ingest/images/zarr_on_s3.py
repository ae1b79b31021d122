"""A zarr hierarchy on S3 as zarr reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from zarr.storage import ObjectStore

from imaging_service.incoming.s3 import S3Path, asked, store_of


def zarr_store(folder: Path) -> Any:
    """What zarr opens a folder by: its path on a disk, a store that is only read on S3."""
    return Asked(folder) if isinstance(folder, S3Path) else folder


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
