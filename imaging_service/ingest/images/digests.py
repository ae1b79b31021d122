"""Digests of a scan's files: taken at the submission, compared whenever a file is read again.

A file is trusted by its content, not by its size and date: an overwrite of the same size whose date
was set back (as a copying program does), a swap of two files and a bit that flipped on the disk
have none of the three changed. So each file is hashed again immediately before it is read, which
leaves it in the machine's memory for the reader. Size, dates, inode and the time of the last change
of the inode, which no program can set, must be the same after the reading as before the hashing:
then what was read is what was hashed.

On S3 every file would cross the network twice for that, and the store itself guards against flipped
bits. There the ETags of all objects are compared, before and after the reading, with those at the
submission: a bucket gives an object that is written another one, by its content, and nothing that a
client sends sets it back. Where they differ, the content decides, so that a plate that was copied
again is the submitted one.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from imaging_service.errors import ImageError, ScanError
from imaging_service.incoming.s3 import AT_ONCE, ObjectState, S3Path

if TYPE_CHECKING:
    from imaging_service.ingest.plan import PlatePlan

# Of every file of a source: relative name, size, inode, and the times of the last change of the
# content and of the inode (ns); of an object on S3 name, size and ETag.
State = tuple[tuple[str, int, int, int, int], ...] | tuple[ObjectState, ...]

# A file that was changed less long ago may be changed again without another date: file systems
# count time in steps, of two seconds at most.
_SETTLED_S = 3.0


def file_states(plan: PlatePlan) -> dict[str, State]:
    """Size, dates and inode of every source file, by relative path; on S3 size and ETag.

    Raises ScanError.
    """
    with ThreadPoolExecutor(AT_ONCE if isinstance(plan.root, S3Path) else 4) as pool:
        return dict(pool.map(lambda name: (name, _state_for_plan(plan.root / name)), plan.files()))


def file_digests(plan: PlatePlan, states: Mapping[str, State] | None = None) -> dict[str, str]:
    """SHA-256 of every source file, by relative path.

    A directory (zarr) has the digest of its files' digests.

    Parameters
    ----------
    plan
        The scan's plan.
    states
        `file_states` from before the scan was planned or any of its metadata read; now, if not
        given.

    Raises
    ------
    ScanError
        A file cannot be read, or has been written to since `states` was taken: the microscope, or
        a copying program, is not done.
    """
    before = file_states(plan) if states is None else states

    def one(relative: str) -> tuple[str, str]:
        path = plan.root / relative
        try:
            digest = _digest(path)
        except OSError as error:
            raise ScanError(f"{path} cannot be read: {error.strerror or error}") from error
        if _state_for_plan(path) != before[relative]:
            raise ScanError(
                f"{path} was written to while the scan was being submitted; submit it again when"
                " the microscope, or the copying, has finished"
            )
        return relative, digest

    # One core stays free: the worker that will analyse the first well is being started meanwhile.
    # Over a network it is not the cores that take time.
    at_once = AT_ONCE if isinstance(plan.root, S3Path) else max(1, (os.cpu_count() or 2) - 1)
    with ThreadPoolExecutor(at_once) as pool:
        return dict(pool.map(one, plan.files()))


def versions(states: Mapping[str, State]) -> dict[str, str]:
    """Source file on S3 ► digest (hex) of its `file_states`; files of this machine are left out."""
    return {
        name: _version(state)
        for name, state in states.items()
        if state and isinstance(state[0], ObjectState)
    }


def combine(digests: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 (hex) over sorted (name, digest) pairs."""
    text = "\n".join(f"{name}\t{digest}" for name, digest in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def as_submitted(
    root: Path,
    relative: str,
    digests: Mapping[str, str],
    submitted: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[None]:
    """Let a source file be read only as it was submitted.

    The block reads the file. `submitted` has the `versions` of files on S3. Raises ImageError where
    the file's content is not the one of `digests`, or changes while the block reads it; the block's
    own errors about a file that changed under it give way to that. A file that is absent is left to
    the reader to name.
    """
    path = root / relative
    if relative not in digests:
        raise ImageError(
            f"{relative} has no digest from its submission, as runs of earlier versions; submit the"
            " scan again"
        )
    if not path.exists():
        yield
        return
    before = _state(path)
    same = submitted.get(relative) == _version(before)
    if not same and (_known if _settled(before) else _anew)(path, before) != digests[relative]:
        raise _changed(relative)
    try:
        yield
    except ImageError as error:
        if _differs(path, before):
            raise _changed(relative) from error
        raise
    if _differs(path, before):
        raise _changed(relative)


def _changed(relative: str) -> ImageError:
    return ImageError(
        f"{relative} has changed since it was submitted; put the submitted file back, or submit the"
        " scan again"
    )


def _version(state: State) -> str:
    return hashlib.sha256(repr(state).encode()).hexdigest()


def _settled(state: State) -> bool:
    """Whether another change would show in the state."""
    latest = (max(part[3:]) for part in state if not isinstance(part, ObjectState))
    return time.time() - max(latest, default=0) / 1e9 > _SETTLED_S


def _anew(path: Path, _: State) -> str:
    return _digest(path)


@lru_cache(maxsize=1024)
def _known(path: Path, state: State) -> str:
    """The digest of a file in this state: a film's file is opened once per plane."""
    digest = _digest(path)
    return digest if _state(path) == state else ""


def _differs(path: Path, before: State) -> bool:
    return not path.exists() or _state(path) != before


def _state_for_plan(path: Path) -> State:
    try:
        return _state(path)
    except OSError as error:
        raise ScanError(f"{path} cannot be read: {error.strerror or error}") from error


def _state(path: Path) -> State:
    if isinstance(path, S3Path):
        return path.states()
    return tuple(
        (name, s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns)
        for name, s in ((name, part.stat()) for name, part in _parts(path))
    )


def _parts(path: Path) -> list[tuple[str, Path]]:
    """The files of a source, by name below it; a single file is its only part."""
    if not path.is_dir():
        return [("", path)]
    return [(str(p.relative_to(path)), p) for p in sorted(path.rglob("*")) if p.is_file()]


def _digest(path: Path) -> str:
    if isinstance(path, S3Path):
        return combine([(part.name, (path / part.name).sha256(part)) for part in path.states()])
    digests = [(name, _sha256(part)) for name, part in _parts(path)]
    return combine(digests) if path.is_dir() else digests[0][1]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
