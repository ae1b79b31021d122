"""The audit log of a release's requests: each entry holds the digest of the one before."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from imaging_service.errors import ReleaseRefused

_WAIT_S = 30.0
# Bytes that are read at once from the log's end; most entries are shorter.
_BLOCK = 4096


class AuditEntry(BaseModel):
    """Who did what, when, to which request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: datetime
    actor: str
    action: str
    request: str
    detail: str = ""
    previous: str = ""


def note(
    folder: Path, when: datetime, actor: str, action: str, request: str, detail: str = ""
) -> None:
    """Add an entry to RELEASE/requests/audit.jsonl, whole or not at all.

    It is appended: a bundle is fetched in thousands of ranges of bytes, each with an entry. An
    entry without the end of its line was cut by a kill or a full disk. What it would have noted was
    not done, so it counts for nothing, and the next entry takes its place.
    """
    path = folder / "requests" / "audit.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A service hands over while a person decides: neither entry may take the other's place.
    with FileLock(path.with_suffix(".lock"), timeout=_WAIT_S), path.open("a+b") as log:
        last, end = _last(log)
        entry = AuditEntry(
            time=when,
            actor=actor,
            action=action,
            request=request,
            detail=detail,
            previous=hashlib.sha256(last).hexdigest() if last else "",
        )
        log.truncate(end)
        log.write(entry.model_dump_json().encode() + b"\n")
        log.flush()
        os.fsync(log.fileno())


def _last(log: BinaryIO) -> tuple[bytes, int]:
    """The log's last whole line, and the number of bytes up to its end."""
    start, tail = log.seek(0, os.SEEK_END), b""
    while start and tail.count(b"\n") < 2:
        size = min(_BLOCK, start)
        start = log.seek(start - size)
        tail = log.read(size) + tail
    lines, newline, _ = tail.rpartition(b"\n")
    return lines.rpartition(b"\n")[2], start + len(lines + newline)


def entries(folder: Path) -> list[AuditEntry]:
    """All entries, oldest first. Raises ReleaseRefused where one was changed or removed."""
    path = folder / "requests" / "audit.jsonl"
    read_entries: list[AuditEntry] = []
    previous = ""
    whole = path.read_bytes().rpartition(b"\n")[0] if path.is_file() else b""
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entry = AuditEntry.model_validate(json.loads(line))
        except (ValidationError, json.JSONDecodeError) as error:
            raise ReleaseRefused(f"{path}, entry {number}: is damaged: {error}") from error
        if entry.previous != previous:
            raise ReleaseRefused(
                f"{path}, entry {number}: does not follow the entry before it, which was changed or"
                " removed"
            )
        read_entries.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return read_entries
