"""Folders on S3-compatible storage: `s3://BUCKET/FOLDER`, read where they lie.

Endpoint, region and credentials come from the environment (AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID, …) and from nothing else: an address that carries them is refused, and its text
is not repeated.

A store that does not answer, refuses the credentials, or contradicts itself (it lists an object and
hands over none, another, or a part of it) is a fault of the machine (Unavailable), which may pass.
That an object is not there is an answer.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from os import PathLike
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, NoReturn

from imaging_service.errors import Forbidden, ScanError, Unavailable

if TYPE_CHECKING:
    from hashlib import _Hash

    from obstore import ObjectMeta
    from obstore.store import S3Store

_SCHEME = "s3:"
# pathlib makes one slash of two.
_ADDRESS = re.compile(r"s3:/{1,2}([A-Za-z0-9][A-Za-z0-9._-]{1,62})(/.*)?", re.DOTALL)
# Questions at once: each waits for the network's answer.
AT_ONCE = 16
_LONGEST_KEY = 1024
# What is larger is sent in pieces of this size, and then the ETag is not the content's MD5. Pieces
# are held in memory, and each must arrive within the time of a request.
_PIECE = 32 * 2**20
# From a request until the last byte of its answer, however often the server stalls meanwhile.
ANSWER_S = 180.0
_MD5 = re.compile("[0-9a-f]{32}")
_DAMAGED = "; look at the network between it and this machine, or reach it over https://"
_NOTHING_S_MD5 = hashlib.md5(usedforsecurity=False).hexdigest()
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


@dataclass(frozen=True)
class ObjectState:
    """An object as its bucket lists it; `etag` is another after every change of the content."""

    name: str
    size: int
    etag: str


class S3Path(PosixPath):
    """A folder or an object in a bucket.

    What is not written here is refused (by `__fspath__`), instead of being looked for on this
    machine's disk.
    """

    def __str__(self) -> str:
        parts = self.parts
        # Paths below a folder, as `relative_to` gives them, have no bucket.
        return "s3://" + "/".join(parts[1:]) if parts[:1] == (_SCHEME,) else "/".join(parts)

    def __fspath__(self) -> NoReturn:
        raise TypeError(f"{self} is on S3, and not a path of this machine")

    # Newer Pythons list a folder by its text.
    def iterdir(self) -> NoReturn:
        """Not on S3: `states` lists."""
        self.__fspath__()

    def glob(self, *_: object, **__: object) -> NoReturn:
        """Not on S3: `states` lists."""
        self.__fspath__()

    def rglob(self, *_: object, **__: object) -> NoReturn:
        """Not on S3: `states` lists."""
        self.__fspath__()

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.parts[1]

    @property
    def key(self) -> str:
        """What follows the bucket, without a slash at its ends; empty for the bucket itself."""
        return "/".join(self.parts[2:])

    def resolve(self, strict: bool = False) -> S3Path:
        """Return the same path: S3 has no links."""
        return self

    def absolute(self) -> S3Path:
        """Return the same path."""
        return self

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is an object, or a folder with at least one."""
        return self.is_dir() or self.is_file()

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether any object lies below."""
        return next(self._pages(), None) is not None

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is an object of this name."""
        with asked(self):
            import obstore

            try:
                obstore.head(store_of(self.bucket), self.key)
            except FileNotFoundError:
                return False
        return True

    def states(self) -> tuple[ObjectState, ...]:
        """All objects below, sorted by their names below this folder. Raises ScanError.

        A server that states no ETag cannot show that an object has changed.
        """
        start = len(self.key) + 1 if self.key else 0
        listed = []
        for page in self._pages():
            for entry in page:
                etag = plain_etag(entry)
                if not etag:
                    raise ScanError(
                        f"{self}: the server states no ETag of {entry['path'][start:]}, so that a"
                        " change of the plate would pass unseen; send the plate there over S3, or"
                        " copy it to a disk"
                    )
                listed.append(ObjectState(entry["path"][start:], entry["size"], etag))
        return tuple(sorted(listed, key=lambda state: state.name))

    def read_bytes(self) -> bytes:
        """Return the object's content. Raises FileNotFoundError where there is none."""

        def ask() -> tuple[ObjectMeta, bytes]:
            with asked(self):
                import obstore

                answer = obstore.get(store_of(self.bucket), self.key)
                return answer.meta, bytes(answer.bytes())

        meta, content = ask()
        etag = plain_etag(meta)
        compare_md5(self, etag, hashlib.md5(content, usedforsecurity=False))
        if asked_twice(etag):
            compare_twice(self, content, ask()[1])
        return content

    def sha256(self, listed: ObjectState) -> str:
        """Return the digest (hex) of a listed object's content, read block by block.

        Raises Unavailable where another content is handed over than is listed.
        """
        digest = self._sha256(listed)
        if asked_twice(listed.etag):
            compare_twice(self, digest, self._sha256(listed))
        return digest

    def _sha256(self, listed: ObjectState) -> str:
        digest, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with as_listed(self), asked(self):
            import obstore

            answer = obstore.get(store_of(self.bucket), self.key)
            for block in answer:
                digest.update(block)
                md5.update(block)
                size += len(block)
        compare(self, listed, answer.meta, size, listed.size)
        compare_md5(self, listed.etag, md5)
        return digest.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """The object's content, piece by piece. Raises FileNotFoundError where there is none."""
        with asked(self):
            import obstore

            for block in obstore.get(store_of(self.bucket), self.key):
                yield bytes(block)

    def write(self, content: bytes | Path) -> None:
        """Write the object whole, from bytes or from a file."""
        with asked(self, missing=True):
            import obstore

            store = store_of(self.bucket)
            obstore.put(store, self.key, content, chunk_size=_PIECE, max_concurrency=1)

    def delete(self) -> None:
        """Delete the object, as far as it is there."""
        with asked(self), suppress(FileNotFoundError):
            import obstore

            obstore.delete(store_of(self.bucket), self.key)

    def _pages(self) -> Iterator[Sequence[ObjectMeta]]:
        """Non-empty pages of the objects below, as the bucket lists them."""
        with asked(self):
            import obstore

            for page in obstore.list(store_of(self.bucket), self.key or None):
                if page:
                    yield page


def place(named: str | PathLike[str]) -> Path:
    """A folder on S3 where its address says so, else a path of this machine.

    Raises ScanError for an address that is not `s3://BUCKET/FOLDER`.
    """
    if isinstance(named, S3Path):
        return named
    text = str(named)
    # "./s3:" is a folder of this machine.
    if not text.startswith("s3:/"):
        return Path(named)
    matched = _ADDRESS.fullmatch(text)
    key = (matched[2] or "").removeprefix("/").removesuffix("/") if matched else ""
    segments = key.split("/") if key else []
    if (
        matched is None
        or not key.isprintable()
        or len(key.encode(errors="replace")) > _LONGEST_KEY
        # Some servers take a backslash for a slash, and a root would no longer hold it.
        or any(segment in ("", ".", "..") or {"?", "\\"} & set(segment) for segment in segments)
    ):
        # The text may carry a password or a signature.
        raise ScanError(
            "an address on S3 is s3://BUCKET/FOLDER, without name or password, '..', empty parts,"
            " '?' or '\\'; endpoint and credentials belong into the environment (AWS_ENDPOINT_URL,"
            " AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
        )
    return S3Path(_SCHEME, matched[1], *segments)


def on_disk(path: Path) -> Path:
    """A path of this machine as it is. Raises Forbidden for an address on S3."""
    if _ADDRESS.fullmatch(str(path)):
        raise Forbidden(
            f"{place(path)} is on S3, where this is neither written nor read; give a folder of this"
            " machine, and copy a finished run with `imaging-service copy-run`"
        )
    return path


@lru_cache(maxsize=64)
def store_of(bucket: str, folder: str = "") -> S3Store:
    """The client of a bucket, or of a folder in it."""
    from obstore.store import S3Store

    return S3Store(
        bucket,
        prefix=folder or None,
        client_options={
            "allow_http": not _encrypted(),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=ANSWER_S),
        },
        # A run waits for hours and tries again; a request only bridges a hiccup.
        retry_config={
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=60),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=2),
                "base": 2,
            },
        },
    )


def _encrypted() -> bool:
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    return not endpoint.startswith("http://")


def plain_etag(entry: ObjectMeta) -> str:
    """An object's ETag without quotes; empty where none is stated, or one of another content."""
    etag = (entry["e_tag"] or "").removeprefix("W/").strip('"')
    # SeaweedFS lists all content of several pieces that came past its S3 with the MD5 of nothing.
    return "" if entry["size"] and etag.startswith(_NOTHING_S_MD5) else etag


def compare_md5(where: S3Path, etag: str, md5: _Hash) -> None:
    """Raise Unavailable where content of another MD5 came over http:// than its ETag says."""
    if not _encrypted() and _MD5.fullmatch(etag) and md5.hexdigest() != etag:
        raise Unavailable(
            f"{where} not reachable: S3 hands over a content of MD5 {md5.hexdigest()} in place of"
            f" {etag}, its ETag{_DAMAGED}"
        )


def asked_twice(etag: str, *, part: bool = False) -> bool:
    """Whether only a second answer shows that no bit of the first one flipped on the way."""
    return not _encrypted() and (part or not _MD5.fullmatch(etag))


def compare_twice(where: S3Path, first: object, second: object) -> None:
    """Raise Unavailable where two answers to the same question differ."""
    if first != second:
        raise Unavailable(
            f"{where} not reachable: S3 hands over two contents in place of one{_DAMAGED}"
        )


@contextmanager
def as_listed(where: S3Path) -> Iterator[None]:
    """Ask for an object that is listed; raises Unavailable where S3 answers that it is absent.

    Zarr takes a chunk that is not there for zeros.
    """
    try:
        yield
    except FileNotFoundError:
        raise Unavailable(
            f"{where} not reachable: S3 lists it, and says that it is not there"
        ) from None


def compare(
    where: S3Path, listed: ObjectState, answered: ObjectMeta, got: int, expected: int
) -> None:
    """Raise Unavailable where an answer is of another object than the one that is listed.

    A cache in between may hand over an earlier one, or the beginning of one.

    Parameters
    ----------
    where, listed
        The object, and how its bucket lists it.
    answered
        What the answer says of the object.
    got, expected
        Bytes that came, and that were asked for.
    """
    of_another = plain_etag(answered) not in ("", listed.etag) or answered["size"] != listed.size
    if of_another or got != expected:
        raise Unavailable(
            f"{where} not reachable: S3 hands over {got:,} bytes of ETag"
            f" {plain_etag(answered) or '(none)'} in place of {expected:,} of {listed.etag}, as it"
            " lists it; look at caches between it and this machine"
        )


@contextmanager
def asked(where: S3Path | str, *, missing: bool = False) -> Iterator[None]:
    """Ask S3; raises Unavailable where it does not answer, or refuses.

    That an object is not there passes as FileNotFoundError; with `missing` it is a refusal as well,
    as for an object that is written. Raises ScanError without the extra.
    """
    try:
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise ScanError(
            "plates on S3 need the extra s3: install motor-neuron-imaging-service[s3]"
        ) from error
    try:
        yield
    except BaseError as error:
        raise Unavailable(f"{where} not reachable: {_cause(str(error))}") from None
    except FileNotFoundError as error:
        if not missing:
            raise
        raise Unavailable(f"{where} not reachable: {_cause(str(error))}") from None


def _cause(text: str) -> str:
    """What went wrong, in words, without what the server was told or tells of the credentials."""
    status = re.search(r"status code: (\d+[A-Za-z ]*)", text)
    code = re.search(r"<Code>(\w+)</Code>", text)
    answer = ", ".join(part[1].strip() for part in (status, code) if part)
    if not answer and "HTTP error" in text:
        return "S3 does not answer; check AWS_ENDPOINT_URL and the network"
    if not answer:
        first = text.partition("\n")[0].removeprefix("Generic S3 error: ")
        return re.sub(r"//[^/@\s]*@", "//", first)[:200]
    if answer.startswith(("401", "403")):
        return f"S3 refuses to list or read it ({answer}); check AWS_ACCESS_KEY_ID and its rights"
    return f"S3 answers {answer}"
