"""Write files and folders that a kill leaves whole or absent, and hold locks that it releases.

Scratch files lie in the folder of their target, under a name that starts with ".staged-", until
they take its place.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from imaging_service.errors import Forbidden
from imaging_service.incoming.s3 import on_disk

# What `zipfile` raises for an archive that is damaged, encrypted, of an unknown kind or forged:
# its offsets, names and streams are read by several libraries, each with errors of its own.
ZIP_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file whole: scratch file, fsync, rename. An existing file is replaced."""
    with _on_disk(target, content) as scratch:
        scratch.replace(target)


def write_once(target: Path, content: bytes) -> bool:
    """Write a file whole; return False where a file of that name exists already.

    A link, unlike a rename, never replaces.
    """
    with _on_disk(target, content) as scratch:
        try:
            os.link(scratch, target)
        except FileExistsError:
            return False
    return True


def write_through(target: Path, blocks: Iterable[bytes]) -> None:
    """Write a large file whole, block by block: scratch file, fsync, rename."""
    with written_whole(target) as stream:
        for block in blocks:
            stream.write(block)


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """A stream into a scratch file, which takes the place of `target` when the block ends.

    After an error it is removed. Two processes that write one target do not share a scratch file.
    """
    scratch = _scratch(target)
    try:
        with scratch.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def staged(target: Path, *, keep: bool = False) -> Iterator[Path]:
    """A scratch folder that takes the place of `target` when the block ends without an error.

    After an error it is removed. An existing target is replaced; with `keep` the target stays and
    the scratch folder is removed: two processes that convert the same well write the same, and a
    third may be reading it. A kill leaves at most a scratch folder.
    """
    scratch = _scratch(target)
    scratch.mkdir()
    try:
        yield scratch
        if keep and target.exists():
            shutil.rmtree(scratch, ignore_errors=True)
        elif target.exists():
            # Rename is atomic only onto nothing; the old folder steps aside first.
            old = _scratch(target)
            target.rename(old)
            scratch.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            try:
                scratch.rename(target)
            except OSError:
                if not (keep and target.exists()):
                    raise
                shutil.rmtree(scratch, ignore_errors=True)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def sweep(root: Path) -> None:
    """Remove scratch that a kill left under a folder that no other process writes to."""
    for scratch in list(root.rglob(".staged-*")):
        remove(scratch)


def remove(path: Path) -> None:
    """Remove a file or a folder, as far as it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def link(source: str, target: str) -> str:
    """A second name for a file that is never written to again; a copy where links cannot be."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
    return target


@contextlib.contextmanager
def locked(lock: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file, which a kill releases.

    Raises Forbidden, with `refusal`, where another process holds it.
    """
    # The reviewer's install writes single files only, and comes without it.
    from filelock import FileLock, Timeout

    on_disk(lock).parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout as error:
        raise Forbidden(refusal) from error
    try:
        yield
    finally:
        held.release()


def only_one(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of a run's folder.

    Two commands that write to one folder would remove each other's scratch files.
    """
    on_disk(folder)
    refusal = f"another command is writing to {folder}; wait for it, or give another --out"
    return locked(folder / ".lock", refusal)


@contextlib.contextmanager
def _on_disk(target: Path, content: bytes) -> Iterator[Path]:
    """A scratch file for `target` that holds `content`, synchronised to disk.

    It is removed after the block unless it was moved.
    """
    scratch = _scratch(target)
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def _scratch(target: Path) -> Path:
    on_disk(target).parent.mkdir(parents=True, exist_ok=True)
    return target.parent / f".staged-{uuid.uuid4().hex}"
