"""Uploaded scans: blobs by their content, manifests, and the commit that makes them a scan.

A blob takes its name once its content was hashed and written to disk, so that a blob of a name is
whole. What of it had arrived when a connection was cut stays beside it, and is gone on from there.
A commit links the blobs into the scan's folder, which appears whole or not at all. Killing anything
at any time loses no more than the bytes on their way.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from imaging_service.errors import (
    Forbidden,
    NoSpace,
    NotFound,
    UploadIncomplete,
    UploadRefused,
)
from imaging_service.files import locked, staged, write_bytes
from imaging_service.incoming.manifest import (
    MOST_FILES,
    ManifestFile,
    check_name,
    check_paths,
    manifest_id,
)
from imaging_service.schemas import UploadState

# Of the disk, so that runs and the database go on beside uploads.
_KEPT_FREE = 2**30
# An upload of which nothing arrived for so long is not gone on with.
ABANDONED_DAYS = 14


@dataclass(frozen=True)
class StoredUpload:
    """An upload as it is kept: the scan's name, and its files."""

    name: str
    files: tuple[ManifestFile, ...]


_STORED = TypeAdapter(StoredUpload)
# Data folder ► digest ► size, and the manifests that were read for it: a plate has thousands of
# blobs in one manifest.
_SIZES: dict[Path, dict[str, int]] = {}
_READ: dict[Path, set[str]] = {}
_LOCK = threading.Lock()


class UploadStore:
    """The uploads of a data folder."""

    def __init__(self, data_dir: Path, keep_free: int = _KEPT_FREE) -> None:
        self.root = data_dir.resolve() / "uploads"
        self.scans = data_dir.resolve() / "scans"
        self._keep_free = keep_free

    def begin(self, name: str, files: Sequence[ManifestFile]) -> str:
        """Keep a manifest; returns the upload's id, the same for the same scan.

        Raises UploadRefused for a manifest that is wrong, NoSpace where the disk cannot hold it.
        """
        check_name(name)
        if not 0 < len(files) <= MOST_FILES:
            raise UploadRefused(f"an upload has 1 to {MOST_FILES:,} files, this one {len(files):,}")
        check_paths(f.path for f in files)
        sizes: dict[str, int] = {}
        for file in files:
            if sizes.setdefault(file.sha256, file.size) != file.size:
                raise UploadRefused(f"{file.path}: two files of one digest differ in size")
        upload = manifest_id(name, files)
        # Where space is asked for, what abandoned uploads hold is given back.
        self.sweep(needed=sizes)
        here = self._committed(upload, name)
        absent = [n for d, n in sizes.items() if not here and not self.blob(d).is_file()]
        self.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.root).free - self._keep_free
        if absent and sum(absent) > free:
            raise NoSpace(
                f"the scan needs {sum(absent):,} bytes, and {max(0, free):,} are free on"
                " the service's disk; free some, or upload a part"
            )
        if not self._manifest(upload).is_file():
            write_bytes(self._manifest(upload), _STORED.dump_json(StoredUpload(name, tuple(files))))
        else:
            # It is gone on with, so its age counts from now.
            self._manifest(upload).touch()
        return upload

    def sweep(self, now: float | None = None, needed: Iterable[str] = ()) -> int:
        """Remove abandoned uploads with the blobs that no other upload needs; returns their bytes.

        Abandoned is an upload that was not committed, and of which nothing was begun and nothing
        arrived for ABANDONED_DAYS. An upload that goes on after that begins anew: its client is
        told what is missing, and sends it.

        Parameters
        ----------
        now
            Seconds since 1970; the present if not given.
        needed
            Digests of blobs that stay whatever their age.
        """
        before = (time.time() if now is None else now) - ABANDONED_DAYS * 86_400
        kept = set(needed)
        for path in sorted(self.root.glob("manifests/*/*.json")):
            stored = self._load(path.stem)
            digests = {f.sha256 for f in stored.files}
            if self._committed(path.stem, stored.name):
                continue
            places = (path, *(p for d in digests for p in (self.blob(d), self._part(d))))
            if max(map(_changed, places)) > before:
                kept |= digests
                continue
            # The manifest goes first: what is left of an upload that is not known is swept, too.
            path.unlink(missing_ok=True)
            self._done(path.stem).unlink(missing_ok=True)
            self._forget(digests)
        freed = 0
        for path in (*self.root.glob("blobs/*/*"), *self.root.glob("parts/*/*")):
            if path.name.partition(".")[0] not in kept and _changed(path) <= before:
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        return freed

    def _forget(self, digests: set[str]) -> None:
        """Announced sizes of a manifest that is gone; other manifests that name them are read."""
        with _LOCK:
            _READ.get(self.root, set()).clear()
            for digest in digests:
                _SIZES.get(self.root, {}).pop(digest, None)

    def listed(self) -> list[UploadState]:
        """Uploads by name, with what has arrived of each."""
        states = []
        for path in sorted(self.root.glob("manifests/*/*.json")):
            stored = self._load(path.stem)
            absent = set(self.missing(path.stem))
            states.append(
                UploadState(
                    id=path.stem,
                    name=stored.name,
                    files=len(stored.files),
                    bytes=sum(f.size for f in stored.files),
                    missing=sum(f.sha256 in absent for f in stored.files),
                    committed=self._committed(path.stem, stored.name),
                )
            )
        return sorted(states, key=lambda state: (state.name, state.id))

    def missing(self, upload: str) -> list[str]:
        """Digests of the upload whose content has not arrived, in the order of its files."""
        stored = self._load(upload)
        if self._committed(upload, stored.name):
            return []
        digests = dict.fromkeys(f.sha256 for f in stored.files)
        return [digest for digest in digests if not self.blob(digest).is_file()]

    def arrived(self, digest: str) -> int:
        """How many bytes of a blob are there. Raises NotFound for one that no upload names."""
        if self.blob(digest).is_file():
            return self.blob(digest).stat().st_size
        self._size_of(digest)
        part = self._part(digest)
        return part.stat().st_size if part.is_file() else 0

    async def receive(self, digest: str, content: AsyncIterator[bytes], offset: int) -> None:
        """Write a blob, or what is left of it from `offset` on.

        Where the stream ends before the blob is whole, or fails, what has arrived is kept.

        Raises
        ------
        NotFound
            No upload names the digest.
        UploadRefused
            More bytes than announced, a gap, or another content: what has arrived is dropped then.
        UploadIncomplete
            The content ended early, or another request is writing the same blob.
        """
        try:
            await self._receive(digest, content, offset)
        except Forbidden as error:
            raise UploadIncomplete(str(error)) from error

    async def _receive(self, digest: str, content: AsyncIterator[bytes], offset: int) -> None:
        if self.blob(digest).is_file():
            return
        size, part = self._size_of(digest), self._part(digest)
        busy = f"another request is writing blob {digest[:12]}…; try again"
        part.parent.mkdir(parents=True, exist_ok=True)
        with locked(part.with_suffix(".lock"), busy):
            part.touch()
            if not 0 <= offset <= part.stat().st_size:
                raise UploadRefused(
                    f"blob {digest[:12]}…: {part.stat().st_size:,} bytes have arrived, and byte"
                    f" {offset:,} was sent next"
                )
            try:
                with part.open("r+b") as stream:
                    stream.truncate(offset)
                    stream.seek(offset)
                    async for chunk in content:
                        if stream.tell() + len(chunk) > size:
                            raise _Wrong(f"has more than the announced {size:,} bytes")
                        stream.write(chunk)
                    stream.flush()
                    await asyncio.to_thread(os.fsync, stream.fileno())
                    length = stream.tell()
                if length < size:
                    raise UploadIncomplete(
                        f"blob {digest[:12]}…: {length:,} of {size:,} bytes have arrived"
                    )
                if await asyncio.to_thread(_sha256, part) != digest:
                    raise _Wrong("has another content than its digest says")
            except _Wrong as error:
                part.unlink(missing_ok=True)
                raise UploadRefused(
                    f"blob {digest[:12]}… {error}; the file was changed, or damaged on its way:"
                    " send it again"
                ) from error
            part.chmod(0o444)
            blob = self.blob(digest)
            blob.parent.mkdir(parents=True, exist_ok=True)
            part.replace(blob)
        part.with_suffix(".lock").unlink(missing_ok=True)

    def commit(self, upload: str) -> Path:
        """Make the upload a scan; returns its folder. The same commit again changes nothing.

        Raises UploadIncomplete while a file is missing, UploadRefused where another scan has the
        name.
        """
        stored = self._load(upload)
        target = self.scans / stored.name
        if self._committed(upload, stored.name):
            return target
        if target.exists() and not self._is_this(target, stored):
            raise UploadRefused(
                f"another scan is called {stored.name}; upload this one under another --name"
            )
        if not target.exists():
            if absent := self.missing(upload):
                raise UploadIncomplete(
                    f"{len(absent)} of {len(stored.files)} files have not arrived; go on with the"
                    " upload"
                )
            self.scans.mkdir(parents=True, exist_ok=True)
            with staged(target, keep=True) as scratch:
                for file in stored.files:
                    path = scratch / file.path
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _link(self.blob(file.sha256), path)
        write_bytes(self._done(upload), b"")
        # The scan has the contents now; a scan that is deleted frees its space.
        for file in stored.files:
            self.blob(file.sha256).unlink(missing_ok=True)
        return target

    def blob(self, digest: str) -> Path:
        """Where a whole blob lies. Raises NotFound for what is not a digest."""
        return self._place("blobs", digest, "")

    @staticmethod
    def _is_this(target: Path, stored: StoredUpload) -> bool:
        """Whether a folder holds the files of an upload, which was killed before it was marked.

        By content: the images of two scans have the same names and the same sizes.
        """
        there = {
            path.relative_to(target).as_posix(): path
            for path in target.rglob("*")
            if path.is_file()
        }
        digests = {file.path: file.sha256 for file in stored.files}
        return there.keys() == digests.keys() and all(
            _sha256(path) == digests[name] for name, path in there.items()
        )

    def _committed(self, upload: str, name: str) -> bool:
        return self._done(upload).is_file() and (self.scans / name).is_dir()

    def _size_of(self, digest: str) -> int:
        """The announced size of a blob, by the manifests that are kept."""
        with _LOCK:
            sizes = _SIZES.setdefault(self.root, {})
            if digest not in sizes:
                read = _READ.setdefault(self.root, set())
                for path in sorted(self.root.glob("manifests/*/*.json")):
                    if path.name not in read:
                        files = _STORED.validate_json(path.read_bytes()).files
                        sizes.update((f.sha256, f.size) for f in files)
                        read.add(path.name)
            if digest not in sizes:
                raise NotFound(f"no upload names the blob {digest[:12]}…; begin one first")
            return sizes[digest]

    def _load(self, upload: str) -> StoredUpload:
        try:
            return _STORED.validate_json(self._manifest(upload).read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"there is no upload {upload[:12]}…; begin it again") from error

    def _manifest(self, upload: str) -> Path:
        return self._place("manifests", upload, ".json")

    def _done(self, upload: str) -> Path:
        return self._place("manifests", upload, ".done")

    def _part(self, digest: str) -> Path:
        return self._place("parts", digest, "")

    def _place(self, kind: str, digest: str, suffix: str) -> Path:
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise NotFound(f"{digest[:80]!r} is not a SHA-256")
        return self.root / kind / digest[:2] / f"{digest}{suffix}"


def _changed(path: Path) -> float:
    """When a file was last written, in seconds since 1970; 0 for one that is not there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


class _Wrong(Exception):
    """What has arrived of a blob cannot become it."""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link(blob: Path, path: Path) -> None:
    """A second name for a blob; a copy where the file system has no links."""
    try:
        os.link(blob, path)
    except OSError:
        shutil.copyfile(blob, path)
