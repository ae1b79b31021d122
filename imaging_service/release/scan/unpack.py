"""What a file holds: its bytes, and all that is packed, compressed or tagged inside it.

Parquet gives its key-value metadata and every text of its columns, a zarr array its decoded values,
PNG its text chunks and pixels, TIFF its tags and pixels, zip, gzip, zlib, bz2, xz and zstd their
contents, which are looked into again; so are the files that a page holds in its addresses. Texts
are given a second time as a reader sees them: HTML entities, JSON escapes and percent signs
resolved, accents composed. UTF-16 and Latin-1 become UTF-8.
"""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import html
import io
import lzma
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from imaging_service.errors import ReleaseRefused, damaged

_MOST_DEPTH = 6
_SAMPLE = 4096
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml$")
_ADDRESS = re.compile(rb' (?:r|ref|sqref|activeCell|topLeftCell)="[A-Z]+[0-9]+(?::[A-Z]+[0-9]+)?"')
_PNG = b"\x89PNG\r\n\x1a\n"
_ADDRESSED = re.compile(r"data:[\w/+.;=-]*;base64,([A-Za-z0-9+/=]+)")
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Piece:
    """Bytes to be searched, and where they come from: "cells.parquet › column well"."""

    where: str
    content: bytes

    @property
    def text(self) -> str | None:
        """The bytes as text; None where they are not text."""
        if b"\0" in self.content:
            return None
        try:
            return self.content.decode("utf-8")
        except UnicodeDecodeError:
            return None


def pieces(where: str, content: bytes, depth: int = 0) -> Iterator[Piece]:
    """All pieces of a file. Raises ReleaseRefused for one that cannot be looked into."""
    if depth > _MOST_DEPTH:
        raise ReleaseRefused(
            f"{where}: is packed more than {_MOST_DEPTH} times; it is not searched"
        )
    piece = Piece(where, content)
    yield piece
    text, encoding = piece.text, ""
    if text is None:
        text, encoding = _in_other_encoding(content)
    if text is not None:
        read = _as_read(text)
        if encoding or read != text:
            yield Piece(f"{where} › as read{encoding}", read.encode("utf-8", "replace"))
        for number, match in enumerate(_ADDRESSED.finditer(text), start=1):
            with damaged(ReleaseRefused, where):
                file = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4))
            yield from pieces(f"{where} › file {number} in an address", file, depth + 1)
        return
    with damaged(ReleaseRefused, where):
        for inside, packed in _inside(content):
            yield from pieces(f"{where} › {inside}", packed, depth + 1)


def array_pieces(where: str, folder: Path) -> Iterator[Piece]:
    """The decoded values of a zarr array, plane by plane: a text may hide in compressed chunks."""
    import zarr

    with damaged(ReleaseRefused, where):
        array: Any = zarr.open_array(folder, mode="r")
        planes = array.shape[0] if array.ndim > 2 else 1
        for i in range(planes):
            values = array[i] if array.ndim > 2 else array[...]
            yield Piece(f"{where} › values {i}", values.tobytes())


def _as_read(text: str) -> str:
    read = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text) if "\\u" in text else text
    read = read.replace("\\/", "/").replace("\\\\", "\\")
    read = html.unescape(read) if "&" in read else read
    read = unquote(read) if "%" in read else read
    return composed(read)


def composed(text: str) -> str:
    """The text with composed accents and without invisible characters."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")


def _in_other_encoding(content: bytes) -> tuple[str | None, str]:
    """A text that is not UTF-8, and its encoding; None for bytes that are not text."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace"), " in UTF-16"
    # Without a mark: a letter of a Western text has one byte of zero, or in Windows' own code none.
    for encoding in ("utf-16-le", "utf-16-be") if b"\0" in content else ("cp1252",):
        # Pixels are told by their first bytes.
        if _is_western(content[:_SAMPLE], encoding) and _is_western(content, encoding):
            return content.decode(encoding), f" in {encoding}"
    return None, ""


def _is_western(content: bytes, encoding: str) -> bool:
    try:
        text = content.decode(encoding).translate({9: " ", 10: " ", 13: " "})
    except UnicodeDecodeError:
        return False
    return text.isprintable() and (encoding == "cp1252" or max(text, default="") < "\u0180")


def _inside(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:4] == b"PAR1":
        yield from _parquet(content)
    elif content[:8] == _PNG:
        yield from _png(content)
    elif content[:4] in _TIFF:
        yield from _tiff(content)
    elif content[:2] == b"\x1f\x8b":
        yield "gzip", gzip.decompress(content)
    elif content[:3] == b"BZh":
        yield "bz2", bz2.decompress(content)
    elif content[:6] == b"\xfd7zXZ\0":
        yield "xz", lzma.decompress(content)
    elif content[:4] == b"\x28\xb5\x2f\xfd" and (stream := _zstd(content)) is not None:
        yield "zstd", stream
    elif content[:1] == b"\x78" and (stream := _zlib(content)) is not None:
        yield "zlib", stream
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield "name", name.encode()
                packed = archive.read(name)
                # The address of a cell, B2, is not a batch's name.
                yield name, _ADDRESS.sub(b"", packed) if _SHEET.match(name) else packed
            yield "comment", archive.comment


def _zstd(content: bytes) -> bytes | None:
    """None for a shard of a zarr array, which begins alike: its array is decoded as a whole."""
    import imagecodecs

    try:
        return bytes(imagecodecs.zstd_decode(content))
    except imagecodecs.ZstdError:
        return None


def _zlib(content: bytes) -> bytes | None:
    """Two bytes begin it, which may stand before anything else: None for such."""
    try:
        return zlib.decompress(content)
    except zlib.error:
        return None


def _parquet(content: bytes) -> Iterator[tuple[str, bytes]]:
    for key, value in pl.read_parquet_metadata(io.BytesIO(content)).items():
        # Arrow's schema is base64 of what the columns say anyway; a text in it counts all the same.
        yield "metadata", f"{key}={value}".encode()
    table = pl.read_parquet(io.BytesIO(content))
    yield "column names", "\n".join(table.columns).encode()
    for name, dtype in table.schema.items():
        column = table[name]
        if isinstance(dtype, pl.List | pl.Array):
            column = column.explode()
        if isinstance(column.dtype, pl.Struct):
            column = column.struct.json_encode()
        if column.dtype == pl.Binary:
            for value in column.drop_nulls().unique():
                yield f"column {name}", value
        elif not column.dtype.is_numeric() and column.dtype != pl.Boolean:
            texts = column.cast(pl.String).drop_nulls().unique()
            yield f"column {name}", "\n".join(texts).encode()


def _png(content: bytes) -> Iterator[tuple[str, bytes]]:
    place, pixels = len(_PNG), b""
    while place + 8 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        kind = content[place + 4 : place + 8]
        chunk = content[place + 8 : place + 8 + size]
        if kind == b"IDAT":
            pixels += chunk
        elif kind in (b"zTXt", b"iCCP"):
            name, _, packed = chunk.partition(b"\0")
            yield kind.decode(), name + b" " + zlib.decompress(packed[1:])
        elif kind == b"iTXt":
            name, _, rest = chunk.partition(b"\0")
            language, _, text = rest[2:].partition(b"\0")
            text = text.partition(b"\0")[2]
            shown = zlib.decompress(text) if rest[:1] == b"\1" else text
            yield "iTXt", b" ".join([name, language, shown])
        elif kind not in (b"IHDR", b"IEND"):
            yield kind.decode("latin-1"), chunk.replace(b"\0", b" ")
        place += size + 12
        if kind == b"IEND":
            break
    if pixels:
        yield "pixels", zlib.decompress(pixels)
    yield "after the last chunk", content[place:]


def _tiff(content: bytes) -> Iterator[tuple[str, bytes]]:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as opened:
        for number, page in enumerate(opened.pages):
            for tag in page.tags.values():
                value = tag.value
                packed = value if isinstance(value, bytes) else str(value).encode()
                yield f"page {number}, tag {tag.name}", packed.replace(b"\0", b" ")
            yield f"page {number}, pixels", page.asarray().tobytes()
