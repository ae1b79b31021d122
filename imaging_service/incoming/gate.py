"""The one gate for files and folders that a request, a scan or a protocol names.

A path counts by where it leads: `..` and links are followed first. Only files and folders pass; a
pipe or a device would keep its reader waiting for ever. A folder on S3 (`s3://BUCKET/FOLDER`) has
neither, and passes under a root on S3.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from imaging_service.errors import Forbidden, ScanError
from imaging_service.incoming.s3 import S3Path, place

_MOST_CHARACTERS = 4096


def allowed(named: str | Path, roots: Sequence[Path]) -> Path:
    """Where a path leads, if that lies under one of the resolved roots.

    Raises Forbidden, with the same words whether it exists or not.
    """
    text = str(named)
    if "\x00" in text or len(text) > _MOST_CHARACTERS:
        raise Forbidden(
            f"a path of {len(text):,} characters{' with NUL' * (chr(0) in text)} is refused; give"
            " the path of a file or folder"
        )
    try:
        resolved = place(text).resolve()
    except ScanError as error:
        raise Forbidden(str(error)) from None
    except (OSError, RuntimeError) as error:
        # A ring of links, or a name longer than the file system's.
        raise Forbidden(
            f"{text} leads nowhere ({error}); give a path without such links"
        ) from error
    if not any(resolved.is_relative_to(root) for root in roots):
        raise Forbidden(
            f"{text} is not under a scan root of this service"
            f" ({', '.join(map(str, roots))}); `imaging-service upload SCAN` brings a scan in, or"
            " the administrator adds its folder to IMAGING_SERVICE_SCAN_ROOTS"
        )
    return resolved


def checkpoint_of(engine: str) -> Path | None:
    """The file that an engine's name asks to open; None where it names a published model.

    A name without a slash is a file too where one of that name lies in the working folder.
    """
    kind, _, model = engine.partition(":")
    if not model:
        return None
    # No model of motornet is published: what follows is always a path.
    if kind == "motornet":
        return Path(model)
    if "\x00" in model or len(model) > 255 or "/" in model or "\\" in model:
        return Path(model)
    return Path(model) if Path(model).exists() or "." in model else None


def inspect(scan: Path, roots: Sequence[Path] = ()) -> None:
    """Look at every entry of a scan's folder before a reader opens any.

    With `roots`, links must lead to places under them. Raises Forbidden for a link that leads out,
    ScanError for what is neither file nor folder.
    """
    if isinstance(scan, S3Path):
        return
    seen: set[tuple[int, int]] = set()
    waiting = [scan]
    while waiting:
        folder = waiting.pop()
        for entry in _entries(folder):
            path = Path(entry.path)
            if entry.is_symlink():
                if roots:
                    allowed(path, roots)
                # A link to nothing is a file that is missing, which its reader will say.
                if not path.exists():
                    continue
            if entry.is_dir():
                about = entry.stat()
                if (about.st_dev, about.st_ino) not in seen:
                    seen.add((about.st_dev, about.st_ino))
                    waiting.append(path)
            elif not entry.is_file():
                kind = _kind(entry.stat().st_mode)
                raise ScanError(
                    f"{path.relative_to(scan)} in the scan {scan} is {kind}, not a file; remove it"
                    " from the folder"
                )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda e: e.name)
    except OSError as error:
        raise ScanError(
            f"the folder {folder} cannot be read: {error.strerror or error}; make it readable for"
            " the service"
        ) from error


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a pipe (FIFO)",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "of an unknown kind")
