"""A file is written beside where it belongs, and on the disk, before it takes its place: a kill leaves the whole of it or nothing."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written(target: Path, content: bytes) -> Iterator[Path]:
    """A scratch file in `target`'s folder that holds `content` for good; gone after the block unless it was moved."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.parent / f".staged-{uuid.uuid4().hex}"
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)
