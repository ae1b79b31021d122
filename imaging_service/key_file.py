"""A service's address, and the key for it: from the environment, or from the user's own file.

Never from the command line, where every user of the machine could read it in the list of processes.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from platformdirs import user_config_path

from imaging_service.errors import AccessRefused

KEY, KEY_FILE = "IMAGING_SERVICE_KEY", "IMAGING_SERVICE_KEY_FILE"
URL, LOCAL_URL = "IMAGING_SERVICE_URL", "http://127.0.0.1:8765"


def service_url() -> str:
    """Address of the service where none is named: of the environment, else of this machine."""
    return os.environ.get(URL, "").strip() or LOCAL_URL


def key_for(url: str) -> str:
    """The key for a service's address; empty where there is none.

    In this order: `IMAGING_SERVICE_KEY`; the file that `IMAGING_SERVICE_KEY_FILE` names; the file
    that `imaging-service login`, or a service without keys on this machine, wrote for the address.
    Raises AccessRefused for a file that is named and cannot be read.
    """
    if key := os.environ.get(KEY, "").strip():
        return key
    if named := os.environ.get(KEY_FILE, ""):
        try:
            return Path(named).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AccessRefused(f"{KEY_FILE} names {named}, which cannot be read: {error}") from (
                error
            )
    path = _file(url)
    try:
        return path.read_text(encoding="ascii").strip() if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        # Another user's, or damaged: as good as none, and the service says what is missing.
        return ""


def keep_key(url: str, key: str) -> Path:
    """Write the user's own file for an address, readable by no other user; returns its path."""
    path = _file(url)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(key + "\n")
    return path


def forget_key(url: str) -> bool:
    """Remove the user's own file for an address; False where there was none."""
    path = _file(url)
    there = path.is_file()
    path.unlink(missing_ok=True)
    return there


def may_carry(url: str) -> bool:
    """Whether a key may be sent to an address: over TLS, or without leaving the machine."""
    parts = _address(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(url: str) -> SplitResult:
    """The parts of an address. Raises AccessRefused for one that cannot be read."""
    try:
        parts = urlsplit(url)
        known = parts.port is None or parts.port > 0
    except ValueError:
        known = False
    if not known:
        raise AccessRefused(
            f"{url!r} is not an address of a service, such as http://127.0.0.1:8765"
        )
    return parts


def _file(url: str) -> Path:
    parts = _address(url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    host = (parts.hostname or "").replace(":", "_")
    # localhost, 127.0.0.1 and ::1 are one service.
    host = "loopback" if is_loopback(parts.hostname or "") else host
    return user_config_path("motor-neuron-imaging-service") / "keys" / f"{host}_{port}"
