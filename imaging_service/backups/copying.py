"""Copy files and hash them on the way; a file that has not changed is not read again."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from imaging_service.backups.manifest import BackedFile
from imaging_service.errors import BackupError
from imaging_service.files import write_through

_BLOCK = 2**20


def files_below(root: Path, folders: Iterable[Path]) -> Iterator[Path]:
    """Files of some folders or single files below `root`, by their relative paths, in order.

    Scratch and lock files are left out; links to folders are not followed.
    """
    for folder in folders:
        if folder.is_file():
            yield folder.relative_to(root)
        for parent, names, files in os.walk(folder):
            names[:] = sorted(n for n in names if not n.startswith(".staged-"))
            for name in sorted(files):
                path = Path(parent, name)
                if not name.startswith(".staged-") and path.suffix != ".lock" and name != ".lock":
                    yield path.relative_to(root)


def copy_file(source: Path, target: Path, before: BackedFile | None) -> BackedFile | None:
    """Copy a file unless `before` says that the target holds it; None where it is gone by now."""
    try:
        state = source.stat()
        same = before is not None and (state.st_size, state.st_mtime_ns) == (
            before.size,
            before.changed,
        )
        if same and target.is_file() and target.stat().st_size == state.st_size:
            return before
        digest = _copied(source, target)
    except FileNotFoundError:
        return None
    os.utime(target, ns=(state.st_mtime_ns, state.st_mtime_ns))
    return BackedFile(target.stat().st_size, state.st_mtime_ns, digest)


def copy_checked(source: Path, target: Path, expected: str) -> None:
    """Copy a file back. Raises BackupError where it is not the one that was backed up."""
    try:
        digest = _copied(source, target)
    except FileNotFoundError as error:
        raise BackupError(f"the backup lacks {source}") from error
    if digest != expected:
        raise BackupError(f"{source} was changed or damaged since the backup was made")
    shutil.copystat(source, target)


def _copied(source: Path, target: Path) -> str:
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        with source.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                yield block

    write_through(target, blocks())
    return digest.hexdigest()
