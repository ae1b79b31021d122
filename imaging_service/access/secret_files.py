"""Secrets that the service itself keeps, in files that only its user may read.

`data/secrets/local.token` opens a service without keys; `data/secrets/session.key` signs browsers'
sessions. All servers of one data folder share them. Backups leave them out: they are made anew.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from imaging_service.errors import StoreError
from imaging_service.files import write_once

LOCAL_TOKEN, SESSION_KEY = "local.token", "session.key"


def secret(data_dir: Path, name: str) -> str:
    """A secret of the data folder, made by the first that asks.

    Raises StoreError where it cannot be written, or where other users could read it.
    """
    path = data_dir.resolve() / "secrets" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.is_file():
            path.parent.chmod(0o700)
            write_once(path, secrets.token_urlsafe(32).encode())
            path.chmod(0o600)
        text = path.read_text(encoding="ascii").strip()
        # The folder protects what is being written in it, too.
        mode = path.stat().st_mode & path.parent.stat().st_mode & 0o077
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read or written ({error}); the service needs it to know its callers"
        ) from error
    if os.name == "posix" and mode:
        raise StoreError(f"other users can read {path}; run: chmod 600 {path}")
    if len(text) < 32:
        raise StoreError(f"{path} does not hold a secret; remove it, and a new one is made")
    return text
