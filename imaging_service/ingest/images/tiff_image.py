"""One TIFF: its plane of pixels, and what its header says before a pixel is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError, damaged
from imaging_service.ingest.images.multipage import Page
from imaging_service.ingest.images.tiff_words import layout_of, stated
from imaging_service.ingest.pixel_size import SizeStatement
from imaging_service.ingest.plan import ImageRef, Limits, PlatePlan

_THREADS = 8
# Bytes of pixels that are compared before whole planes are: more than the noise of any camera
# repeats, little to read.
_START = 16_384
# A plane with fewer different values does not show how many bits a camera uses.
_LEAST_VALUES = 16


@dataclass(frozen=True)
class Header:
    """What a TIFF says of itself.

    `pages` is 2 for any number above 1, and `layout` says what each of them is.

    `fault` is why it cannot be read as one grey plane; then the rest is empty. `start` is a digest
    of its first pixels, `position_um` where the stage was. `left_aligned` is whether all of the
    first pixels are multiples of 16 and some above 4095, as of a 12-bit camera whose values were
    shifted; None where they are too few to tell.
    """

    path: str
    fault: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    pages: int = 1
    size: SizeStatement | None = None
    start: str = ""
    left_aligned: bool | None = None
    position_um: tuple[float, float] | None = None
    layout: tuple[Page, ...] = ()


def survey(
    root: Path, paths: Iterable[str], limits: Limits, *, words: bool = True
) -> dict[str, Header]:
    """Headers of many TIFFs by path, several at a time: a network drive answers slowly.

    Without `words` no pixel size and position are read: an index knows them.
    """

    def one(path: str) -> tuple[str, Header]:
        return path, read_header(root, path, limits, words=words)

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(pool.map(one, paths))


def read_header(root: Path, path: str, limits: Limits, *, words: bool = True) -> Header:
    """The header of one TIFF; a damaged one is a header with a fault."""
    import tifffile

    name = path.rpartition("/")[2]
    try:
        with damaged(ImageError, name), _opened(root / path, name) as tiff:
            page = tiff.pages.first
            _refuse(page, name, limits, (root / path).stat().st_size)
            if not isinstance(page, tifffile.TiffPage):
                raise ImageError(f"{name}: the first page is not an image")
            start, values = _first_pixels(root / path, page)
            size, position = stated(tiff, name, path) if words else (None, None)
            several = _has_second_page(tiff)
            return Header(
                path,
                "",
                tuple(page.shape),
                str(page.dtype),
                2 if several else 1,
                size,
                start,
                _left_aligned(values),
                position,
                layout_of(tiff, name) if several and words else (),
            )
    except ImageError as error:
        return Header(path, str(error))


def read_tiff(path: Path, limits: Limits, number: int = 0) -> NDArray[np.generic]:
    """Page `number` of a TIFF as (Y, X), brighter light as higher values.

    Raises ImageError for anything but a whole, grey, sensibly sized plane; for a file of several
    pages unless `number` chooses one by its index, from 1.
    """
    with damaged(ImageError, path.name), _opened(path, path.name) as tiff:
        if number == 0 and _has_second_page(tiff):
            raise ImageError(
                f"{path.name}: the file holds several pages; one file per plane is expected, and"
                " the other pages would be lost"
            )
        page = tiff.pages[max(0, number - 1)]
        _refuse(page, path.name, limits, path.stat().st_size)
        pixels = np.asarray(page.asarray())
        if page.photometric != 0:
            return pixels
        # WhiteIsZero: the value 0 is the brightest.
        if pixels.dtype.kind != "u":
            raise ImageError(
                f"{path.name}: white is stored as 0 in pixels of type {pixels.dtype}, which have no"
                " highest value; export the image again"
            )
        most = np.array(2 ** int(page.bitspersample) - 1, pixels.dtype)
        return np.asarray(most - pixels)


class TiffPlanes:
    """Reads single planes of TIFFs; the index of the scan tells when each was taken."""

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane (Y, X) as stored. Raises ImageError naming the file."""
        return read_tiff(plan.root / image.path, limits, *image.index)

    def exposed_s(self, plan: PlatePlan, image: ImageRef) -> float | None:
        """When the plane was taken, in seconds since 1970: the index's time."""
        return image.exposed_s

    def local_clock(self, plan: PlatePlan, image: ImageRef) -> bool:
        """Whether the index's time has no zone."""
        return image.local_time


def same_pixels(root: Path, first: str, second: str) -> bool:
    """Whether two TIFFs store the very same bytes of pixels."""
    return _stored(root / first) == _stored(root / second)


def _opened(path: Path, name: str) -> Any:
    import tifffile

    if not path.is_file():
        raise ImageError(f"{name}: the file is missing")
    return tifffile.TiffFile(path)


def _refuse(page: Any, name: str, limits: Limits, available: int) -> None:
    """Refuse whatever is not one grey plane of which every byte is there."""
    if int(page.photometric) == 3 and not _is_linear_grey(page.colormap):
        raise ImageError(
            f"{name}: the image has a palette, so that its numbers are colours and not intensities;"
            " export it in grey"
        )
    shape = page.shape
    if len(shape) != 2:
        raise ImageError(f"{name}: the image has shape {shape}; a single grey plane is expected")
    if shape[0] * shape[1] > limits.image_pixels or 0 in shape:
        raise ImageError(f"{name}: {shape[0]} × {shape[1]} pixels is not a camera image")
    expected = sum(page.databytecounts)
    if any(o + n > available for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)):
        raise ImageError(
            f"{name}: the file is cut short (it has {available:,} bytes, and declares"
            f" {expected:,} bytes of pixels)"
        )


def _is_linear_grey(palette: NDArray[np.generic] | None) -> bool:
    """Whether a palette maps each number to the grey of that height, as picture editors write it.

    Writers count greys in steps of 256 or of 257.
    """
    if palette is None or palette.ndim != 2 or palette.shape[0] != 3:
        return False
    ramp = np.linspace(0, 65535, palette.shape[1])
    return bool((np.abs(palette.astype(np.float64) - ramp) < 257).all())


def _has_second_page(tiff: Any) -> bool:
    # Counting all pages would follow a hostile chain of a million.
    try:
        tiff.pages[1]
    except IndexError:
        return False
    return True


def _first_pixels(path: Path, page: Any) -> tuple[str, NDArray[np.generic]]:
    """A digest of the first stored bytes of pixels, and the values in them."""
    with path.open("rb") as stream:
        stream.seek(page.dataoffsets[0])
        stored = stream.read(min(page.databytecounts[0], _START))
    digest = hashlib.sha256(stored).hexdigest()
    kind = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    if int(page.compression) != 1 or int(page.bitspersample) != 8 * kind.itemsize:
        return digest, np.empty(0, kind)
    whole = len(stored) // kind.itemsize * kind.itemsize
    return digest, np.frombuffer(stored[:whole], kind)


def _left_aligned(values: NDArray[np.generic]) -> bool | None:
    if values.dtype.kind != "u" or values.dtype.itemsize != 2:
        return None
    if len(np.unique(values)) < _LEAST_VALUES:
        return None
    return bool(np.bitwise_or.reduce(values) & 0xF == 0 and values.max() > 4095)


def _stored(path: Path) -> bytes:
    import tifffile

    digest = hashlib.sha256()
    with damaged(ImageError, path.name), tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        with path.open("rb") as stream:
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                stream.seek(offset)
                digest.update(stream.read(count))
    return digest.digest()
