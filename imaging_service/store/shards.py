"""Arrays of zarr v3 as this service writes them: a shard per plane, a checksum per chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

# Pixels of a chunk's side, at most.
_CHUNK = 1024
# Levels of Zstandard, and the bytes that Blosc packs at once: its own choice, 32 KiB, takes twice
# the time to pack and to unpack, and more space.
_ZSTD, _BLOSC, _BLOCK = 3, 1, 2**20
# A chunk of zeros is written as well: a lost one would be read as zeros.
_CONFIG: Any = {"write_empty_chunks": True}


def create_array(
    folder: Path, shape: tuple[int, ...], dtype: Any, axes: str, *, replace: bool = False
) -> Any:
    """Create a zarr array in a folder of its own.

    Raises FileExistsError where there is one, unless it is to be replaced.
    """
    lead, chunk = (1,) * (len(shape) - 2), _chunk(shape)
    # A shard is a whole number of chunks; it may be larger than the plane.
    shard = [-(-n // c) * c for n, c in zip(shape[-2:], chunk, strict=True)]
    return zarr.create_array(
        folder,
        shape=shape,
        dtype=dtype,
        chunks=(*lead, *chunk),
        shards=(*lead, *shard),
        compressors=(_codec(np.dtype(dtype)), Crc32cCodec()),
        dimension_names=tuple(axes),
        config=_CONFIG,
        overwrite=replace,
    )


def open_array(folder: Path) -> Any:
    """An array that is there, to write some of its planes again."""
    array: Any = zarr.open_array(folder, mode="r+")
    return array.with_config(_CONFIG)


def _chunk(shape: tuple[int, ...]) -> tuple[int, int]:
    """(Y, X) of a plane's chunks.

    They are of one size: the last ones of a row are packed whole, however little of them is used.
    """
    height, width = (-(-n // -(-n // _CHUNK)) for n in shape[-2:])
    return height, width


def _codec(dtype: np.dtype[Any]) -> BloscCodec | ZstdCodec:
    """What chunks are packed by.

    The low bytes of a camera's 16 bits are noise, the high ones hardly change: apart, they are
    packed in a quarter of the time and in less space. Labels and single bytes gain nothing by it.
    """
    if dtype.kind in "uf" and dtype.itemsize > 1:
        return BloscCodec(
            typesize=dtype.itemsize,
            cname="zstd",
            clevel=_BLOSC,
            shuffle="shuffle",
            blocksize=_BLOCK,
        )
    return ZstdCodec(level=_ZSTD)
