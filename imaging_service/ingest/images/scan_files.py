"""The files of a scan: junk of other programs left out, links followed within the allowed folders.

Finder, network drives and recycle bins put files and folders of their own into shared folders. None
of them is an image, and some carry an image's name (`._B02_s1_w1.tif` is a resource fork).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from imaging_service.errors import ScanError
from imaging_service.ingest.plan import FindingKind, Limits, ScanFinding

_JUNK = re.compile(
    r"(?:\..*|@eaDir|\$RECYCLE\.BIN|System Volume Information|Thumbs\.db|desktop\.ini"
    r"|__MACOSX|#recycle|@tmp|lost\+found)",
    re.IGNORECASE,
)
_TIFF = (".tif", ".tiff")


@dataclass(frozen=True)
class ScanFiles:
    """Paths below a scan in plate order of their names, relative and with "/"; `junk` likewise."""

    root: Path
    paths: tuple[str, ...]
    junk: tuple[str, ...] = ()

    @cached_property
    def tiffs(self) -> tuple[str, ...]:
        """TIFF files. A folder may be called x.tif, too, and is none."""
        return tuple(p for p in self.paths if p.lower().endswith(_TIFF))

    def named(self, *names: str) -> tuple[str, ...]:
        """Files of one of these names or endings (with a "*" before it), in any case."""
        exact = {n.lower() for n in names if not n.startswith("*")}
        endings = tuple(n[1:].lower() for n in names if n.startswith("*"))
        chosen = []
        for path in self.paths:
            name = path.rpartition("/")[2].lower()
            if name in exact or (endings and name.endswith(endings)):
                chosen.append(path)
        return tuple(chosen)

    def near(self, paths: Iterable[str]) -> ScanFiles:
        """The files that lie in the folders of these, or in the folders above them."""
        folders = {""}
        for path in paths:
            parts = path.split("/")[:-1]
            folders |= {"/".join(parts[:n]) for n in range(1, len(parts) + 1)}
        kept = tuple(p for p in self.paths if p.rpartition("/")[0] in folders)
        return replace(self, paths=kept)

    def junk_finding(self) -> tuple[ScanFinding, ...]:
        """How much was left out as other programs' files."""
        if not self.junk:
            return ()
        return (
            ScanFinding(
                FindingKind.LEFT_OUT,
                f"{len(self.junk)} file(s) and folder(s) of other programs were left out, the"
                f" first: {self.junk[0]}",
            ),
        )


def scan_files(root: Path, limits: Limits) -> ScanFiles:
    """All files below a folder, links included.

    Raises
    ------
    ScanError
        The folder cannot be listed, a link leads outside the folders that `limits` allows, or there
        are more files than it allows.
    """
    paths: list[str] = []
    junk: list[str] = []
    for path, is_junk in _walk(root, "", limits, frozenset({root.resolve()})):
        (junk if is_junk else paths).append(path)
        # Indices, thumbnails and shading images come on top of the planes.
        if len(paths) > 4 * limits.images:
            raise ScanError(f"{root} has more than {4 * limits.images:,} files")
    return ScanFiles(root, tuple(sorted(paths)), tuple(sorted(junk)))


def _walk(
    folder: Path, prefix: str, limits: Limits, above: frozenset[Path]
) -> Iterator[tuple[str, bool]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        raise ScanError(f"{folder} cannot be listed: {error.strerror or error}") from error
    for entry in entries:
        path = prefix + entry.name
        if _JUNK.fullmatch(entry.name):
            yield path, True
            continue
        target = _linked(Path(entry.path), limits) if entry.is_symlink() else None
        if entry.is_dir():
            resolved = target or Path(entry.path)
            if resolved in above:
                raise ScanError(f"{entry.path} is a link to a folder that it lies in; remove it")
            yield from _walk(
                Path(entry.path), f"{path}/", limits, above | ({target} if target else set())
            )
        # A link to nothing is listed as well: it is an image that will be missed, not no image.
        elif entry.is_file() or entry.is_symlink():
            yield path, False


def _linked(link: Path, limits: Limits) -> Path:
    try:
        target = link.resolve()
    except (OSError, RuntimeError) as error:
        raise ScanError(f"{link} is a link that leads nowhere: {error}") from error
    if limits.roots and not any(target.is_relative_to(r.resolve()) for r in limits.roots):
        raise ScanError(
            f"{link} is a link to a place outside the folders that scans may be read from"
            f" ({', '.join(map(str, limits.roots))}); copy what it leads to into the scan"
        )
    return target
