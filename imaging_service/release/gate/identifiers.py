"""Names by which a release calls lines, donors, batches and plates: keyed hashes.

With the same secret a name has the same id, so the files of one release agree. Each release has a
secret of its own, so the ids of two releases cannot be linked, and without the secret a guessed
name cannot be confirmed. Rows of two releases can be linked all the same, by their numbers: facts
about people are judged over all releases (`people`).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

from imaging_service.errors import ReleaseRefused

Kind = Literal["line", "donor", "batch", "plate", "clone", "run", "map", "protocol"]
_PREFIX = {"line": "L", "donor": "D", "batch": "B", "plate": "P", "clone": "C"}
_DIGITS = 10


class ExportIds:
    """Export ids under one secret.

    Examples
    --------
    >>> ids = ExportIds(bytes(32))
    >>> ids.of("line", "SOD1-07") == ids.of("line", "SOD1-07") != ids.of("donor", "SOD1-07")
    True
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._names: dict[str, tuple[str, str]] = {}

    def digest(self, kind: Kind, name: str) -> str:
        """All 64 hex digits, for columns that hold SHA-256 digests."""
        return keyed_hash(self._secret, kind, name)

    def of(self, kind: Kind, name: str) -> str:
        """A short id such as L-3f0a9b12cd; empty for an empty name.

        Raises ReleaseRefused where two names would have one id.
        """
        if not name:
            return ""
        given = f"{_PREFIX[kind]}-{self.digest(kind, name)[:_DIGITS]}"
        if self._names.setdefault(given, (kind, name)) != (kind, name):
            raise ReleaseRefused(
                f"two {kind}s would be called {given}; delete the release's secret.key and its"
                " folder, and begin the release anew"
            )
        return given


def keyed_hash(secret: bytes, kind: str, name: str) -> str:
    """HMAC-SHA256 (hex) of a name of one kind."""
    return hmac.new(secret, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()
