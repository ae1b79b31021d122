"""The audit log of a release's requests: each entry holds the digest of the one before."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from imaging_service.errors import ReleaseRefused
from imaging_service.files import write_bytes

_WAIT_S = 30.0


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
    """Add an entry to RELEASE/requests/audit.jsonl, whole or not at all."""
    path = folder / "requests" / "audit.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A service hands over while a person decides: neither entry may take the other's place.
    with FileLock(path.with_suffix(".lock"), timeout=_WAIT_S):
        before = path.read_bytes() if path.is_file() else b""
        lines = before.splitlines()
        previous = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
        entry = AuditEntry(
            time=when, actor=actor, action=action, request=request, detail=detail, previous=previous
        )
        write_bytes(path, b"\n".join([*lines, entry.model_dump_json().encode()]) + b"\n")


def entries(folder: Path) -> list[AuditEntry]:
    """All entries, oldest first. Raises ReleaseRefused where one was changed or removed."""
    path = folder / "requests" / "audit.jsonl"
    found: list[AuditEntry] = []
    previous = ""
    for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else (), 1):
        try:
            entry = AuditEntry.model_validate(json.loads(line))
        except (ValidationError, json.JSONDecodeError) as error:
            raise ReleaseRefused(f"{path}, entry {number}: is damaged: {error}") from error
        if entry.previous != previous:
            raise ReleaseRefused(
                f"{path}, entry {number}: does not follow the entry before it, which was changed or"
                " removed"
            )
        found.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return found
