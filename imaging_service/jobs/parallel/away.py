"""Faults of the machine, told from faults of the data: a share that is away, a disk that is full.

Bad data fails its well, and stays bad. What is away comes back, so the run waits for it; what is
full is emptied. Such a fault never becomes a number, a failed well or another calibration.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imaging_service.errors import ImageError, Unavailable

# Below this share of its volume's space, or this many bytes, a data folder counts as full: what is
# left is for the database and for rows that are on their way.
_LEAST_SHARE, _LEAST_BYTES = 0.02, 256 * 2**20
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def reachable(root: Path, relative: str) -> Iterator[None]:
    """Read a file of a scan that was there when its plate was submitted.

    Raises Unavailable where it is not there now, whatever its reader makes of that.
    """
    path = root / relative
    try:
        yield
    except ImageError as error:
        if not path.exists():
            raise _away(root, relative) from error
        raise
    if not path.exists():
        raise _away(root, relative)


def _away(root: Path, relative: str) -> Unavailable:
    if not root.is_dir():
        return Unavailable(f"scan folder not reachable: {root}")
    return Unavailable(f"file not reachable: {root / relative}")


def cause(error: OSError) -> str:
    """What an error of the operating system means, in words, with the file that it names."""
    where = f": {error.filename}" if error.filename else ""
    if error.errno in _FULL:
        return f"no space left on the disk{where}"
    return f"{error.strerror or error}{where}"


def shortage(folder: Path) -> str:
    """Why a folder's volume cannot take more work, in words; empty where it can."""
    try:
        volume = shutil.disk_usage(folder)
    except OSError as error:
        return f"data folder not reachable: {cause(error)}"
    least = min(_LEAST_BYTES, _LEAST_SHARE * volume.total)
    if volume.free >= least:
        return ""
    return (
        f"no space left on the disk of {folder}: {volume.free / 2**20:,.1f} MiB are free,"
        f" {least / 2**20:,.1f} are needed"
    )
