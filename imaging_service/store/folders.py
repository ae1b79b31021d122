"""Writing so that a kill leaves either the whole thing or nothing."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from imaging_service.files import written


@contextlib.contextmanager
def staged(target: Path, *, keep: bool = False) -> Iterator[Path]:
    """A scratch folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    An existing target is replaced, or with `keep` stays, and the scratch goes: two that convert the same well write the
    same, and a third may be reading it. A kill leaves at most a scratch folder, whose name starts with ".staged-".
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.parent / f".staged-{uuid.uuid4().hex}"
    scratch.mkdir()
    try:
        yield scratch
        if keep and target.exists():
            shutil.rmtree(scratch, ignore_errors=True)
        elif target.exists():
            # Rename is atomic only onto nothing; the old folder steps aside first.
            old = target.parent / f".staged-{uuid.uuid4().hex}"
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


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file whole: temporary file, fsync, rename."""
    with written(target, content) as scratch:
        scratch.replace(target)


def sweep(root: Path) -> None:
    """Remove scratch that a kill left under a folder that no other process writes to."""
    for scratch in list(root.rglob(".staged-*")):
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)
