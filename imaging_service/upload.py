"""Send a scan to a service: in parallel, resumable, while the microscope still writes.

Light: httpx and the schemas. A scan is a folder or a zip; a zip is unpacked here, file by file, so
that the service never opens one.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, TypeVar

from imaging_service.client import Client, ServiceRefused
from imaging_service.errors import UploadRefused
from imaging_service.files import ZIP_UNREADABLE
from imaging_service.incoming.manifest import MOST_FILES, ManifestFile, check_paths, is_junk
from imaging_service.schemas import BlobState, UploadBegun, UploadedScan

PARALLEL = 4
# A file that is written to is not sent until it has stayed as it is for so long.
SETTLED_S = 10.0
_BLOCK = 2**20
# Waiting times between attempts at one file; after them the upload fails, and may be begun again.
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
# A zip's entry that unpacks to more than this many times its packed size is a bomb: camera images
# pack to a half, constant ones to a thousandth.
_MOST_RATIO, _LEAST_BYTES = 1100, 2**20

State = tuple[int, int]
T = TypeVar("T")


class Source(Protocol):
    """Where a scan's files are read from."""

    name: str

    def files(self) -> dict[str, State]:
        """Path ► size and time of the last change (ns)."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """A file's content."""
        ...


class FolderSource:
    """A scan's folder. What operating systems leave beside images is not sent."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UploadRefused(f"{root} is not a folder; give the folder of the plate's scan")
        self.root, self.name = root.resolve(), root.resolve().name

    def files(self) -> dict[str, State]:
        """All files below the folder; a link is followed inside it, and refused outside."""
        listed = {}
        for parent, folders, names in os.walk(self.root, followlinks=False):
            folders.sort()
            for name in [*names, *(f for f in folders if Path(parent, f).is_symlink())]:
                path = Path(parent, name)
                relative = path.relative_to(self.root).as_posix()
                if is_junk(relative):
                    continue
                if path.is_symlink() and not path.resolve().is_relative_to(self.root):
                    raise UploadRefused(
                        f"{relative} is a link that leads out of {self.root}; replace it by what it"
                        " leads to"
                    )
                if path.is_file():
                    stat = path.stat()
                    listed[relative] = (stat.st_size, stat.st_mtime_ns)
        return listed

    def open(self, path: str) -> IO[bytes]:
        """A file's content."""
        return (self.root / path).open("rb")


class ZipSource:
    """A scan in a zip, with caps on what it may unpack to.

    Raises UploadRefused for an archive that is not a zip, or whose entries leave the scan, occur
    twice, are links, are encrypted, or unpack to far more than they are.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        try:
            self._archive = zipfile.ZipFile(path)
            entries = [e for e in self._archive.infolist() if not e.is_dir()]
        except ZIP_UNREADABLE as error:
            raise UploadRefused(f"{path} is not a zip that can be read ({error})") from error
        if len(entries) > MOST_FILES:
            raise UploadRefused(f"{path} has {len(entries):,} files; at most {MOST_FILES:,}")
        self._entries = {e.filename: e for e in entries if not is_junk(e.filename)}
        check_paths(e.filename for e in entries if not is_junk(e.filename))
        for entry in self._entries.values():
            kind = entry.external_attr >> 28
            if kind not in (0, 8):
                raise UploadRefused(f"{path}: {entry.filename} is a link or a device, not a file")
            if entry.flag_bits & 1:
                raise UploadRefused(f"{path}: {entry.filename} is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UploadRefused(
                    f"{path}: {entry.filename} is not stored or deflated; pack anew"
                )
            most = max(_LEAST_BYTES, _MOST_RATIO * entry.compress_size)
            if entry.file_size > most:
                raise UploadRefused(
                    f"{path}: {entry.filename} unpacks to {entry.file_size:,} bytes from"
                    f" {entry.compress_size:,}; no image does"
                )

    def files(self) -> dict[str, State]:
        """All files of the archive."""
        changed = self.path.stat().st_mtime_ns
        return {name: (entry.file_size, changed) for name, entry in self._entries.items()}

    def open(self, path: str) -> IO[bytes]:
        """A file's content, which is never more than the archive says."""
        return self._archive.open(self._entries[path])


@dataclass
class Sent:
    """What an upload did: bytes of the scan, bytes sent, and those of them sent before."""

    scan: str = ""
    files: int = 0
    bytes: int = 0
    sent: int = 0
    again: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _reached: dict[str, int] = field(default_factory=dict, repr=False)

    def count(self, digest: str, begin: int, end: int) -> None:
        """Bytes begin to end of a blob went out."""
        with self._lock:
            reached = self._reached.get(digest, 0)
            self.sent += end - begin
            self.again += max(0, min(end, reached) - begin)
            self._reached[digest] = max(reached, end)


Progress = Callable[[int, int], None]


def open_source(path: str | os.PathLike[str]) -> Source:
    """A scan's folder, or a zip of it. Raises UploadRefused for any other archive."""
    path = Path(path)
    return ZipSource(path) if path.is_file() else FolderSource(path)


def upload(
    source: Source,
    client: Client,
    *,
    name: str = "",
    parallel: int = PARALLEL,
    quiet_s: float | None = None,
    progress: Progress | None = None,
) -> Sent:
    """Send a scan; returns what was sent, and the scan's folder on the service.

    The same call after a kill of either side goes on where it stopped: contents that have arrived
    are not sent again, and of those that were on their way only the rest is.

    Parameters
    ----------
    source
        A folder or a zip.
    client
        The service.
    name
        The scan's folder on the service; the source's name if not given.
    parallel
        Files that are sent at once.
    quiet_s
        Watch the folder, and send files as they are finished, until none has changed for so many
        seconds.
    progress
        Called with the bytes that are there and those of the scan.

    Raises
    ------
    UploadRefused
        A file cannot be sent as it is; the message says which.
    ServiceRefused
        The service refuses, or does not answer in a minute.
    """
    sent = Sent()
    digests: dict[tuple[str, State], str] = {}
    name = name or source.name
    if quiet_s is not None:
        for states in _watch(source, quiet_s):
            _send(source, client, name, states, digests, sent, parallel, progress)
    states = source.files()
    begun = _send(source, client, name, states, digests, sent, parallel, progress)
    answer = _patiently(lambda: client.ask("POST", f"/uploads/{begun.id}/commit"))
    sent.scan = UploadedScan.model_validate(answer.json()).scan
    return sent


def _watch(source: Source, quiet_s: float) -> Iterator[dict[str, State]]:
    """Files that are newly finished, until nothing has changed for `quiet_s`.

    A file is finished once its size and date have stayed for `SETTLED_S`, or for `quiet_s`.
    """
    before: dict[str, State] = {}
    changed: dict[str, float] = {}
    given: dict[str, State] = {}
    last = time.monotonic()
    settled = min(SETTLED_S, quiet_s / 2)
    while time.monotonic() - last < quiet_s:
        now, states = time.monotonic(), source.files()
        for path in states.keys() | before.keys():
            if states.get(path) != before.get(path):
                changed[path] = last = now
        before = states
        finished = {
            path: state
            for path, state in states.items()
            if now - changed[path] >= settled and given.get(path) != state
        }
        if finished:
            given.update(finished)
            yield finished
        time.sleep(min(1.0, quiet_s / 10))


def _send(
    source: Source,
    client: Client,
    name: str,
    states: dict[str, State],
    digests: dict[tuple[str, State], str],
    sent: Sent,
    parallel: int,
    progress: Progress | None,
) -> UploadBegun:
    """Announce the files, and send the contents that the service lacks."""
    check_paths(states)
    with ThreadPoolExecutor(parallel) as pool:
        unknown = [key for key in states.items() if key not in digests]
        hashed = pool.map(lambda key: _sha256(source, key[0]), unknown)
        digests.update(zip(unknown, hashed, strict=True))
        files = [
            ManifestFile(path=p, size=s[0], sha256=digests[p, s]) for p, s in sorted(states.items())
        ]
        body = {"name": name, "files": [f.model_dump() for f in files]}
        answer = _patiently(lambda: client.ask("POST", "/uploads", json=body))
        begun = UploadBegun.model_validate(answer.json())
        by_digest = {f.sha256: f for f in files}
        sent.files, sent.bytes = len(files), sum(f.size for f in files)
        there = sent.bytes - sum(by_digest[digest].size for digest in begun.missing)
        jobs = {
            pool.submit(_send_file, source, client, by_digest[digest], sent): digest
            for digest in begun.missing
        }
        try:
            for job in as_completed(jobs):
                job.result()
                there += by_digest[jobs[job]].size
                if progress is not None:
                    progress(there, sent.bytes)
        except BaseException:
            # A file that cannot be sent is told at once, not after all others.
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return begun


def _send_file(source: Source, client: Client, file: ManifestFile, sent: Sent) -> None:
    """Send one content, from where an earlier attempt was cut."""

    def attempt() -> None:
        state = BlobState.model_validate(client.ask("GET", f"/blobs/{file.sha256}").json())
        client.ask(
            "PUT",
            f"/blobs/{file.sha256}",
            content=_rest(source, file, state.arrived, sent),
            headers=_headers(file, state.arrived),
        )

    try:
        _patiently(attempt)
    except ServiceRefused as error:
        raise UploadRefused(f"{file.path}: {error}") from error


def _patiently(attempt: Callable[[], T]) -> T:
    """Try again for about a minute: the service may come back, or another sender end."""
    for pause in _PAUSES_S:
        try:
            return attempt()
        except ServiceRefused as error:
            if error.status not in (None, 409, 500, 502, 503, 504):
                raise
        time.sleep(pause)
    return attempt()


def _headers(file: ManifestFile, offset: int) -> dict[str, str]:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(file.size - offset),
    }
    if offset:
        last = max(offset, file.size - 1)
        headers["Content-Range"] = f"bytes {offset}-{last}/{file.size}"
    return headers


def _rest(source: Source, file: ManifestFile, offset: int, sent: Sent) -> Iterator[bytes]:
    with source.open(file.path) as stream:
        stream.seek(offset)
        reached = offset
        while reached < file.size and (block := stream.read(min(_BLOCK, file.size - reached))):
            sent.count(file.sha256, reached, reached + len(block))
            reached += len(block)
            yield block
    if reached < file.size:
        raise UploadRefused(f"{file.path} became shorter while it was sent; begin the upload again")


def _sha256(source: Source, path: str) -> str:
    digest = hashlib.sha256()
    try:
        with source.open(path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except ZIP_UNREADABLE as error:
        raise UploadRefused(f"{path} cannot be read ({error})") from error
    return digest.hexdigest()
