"""SHA-256 of every file of a bundle, in the form that `sha256sum --check` reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

from imaging_service.errors import ReleaseRefused
from imaging_service.files import write_bytes

NAME = "manifest-sha256.txt"


def write_manifest(bundle: Path) -> str:
    """Write the manifest of all other files; returns its own SHA-256 (hex)."""
    lines = [f"{digest}  {name}\n" for name, digest in sorted(_digests(bundle).items())]
    content = "".join(lines).encode()
    write_bytes(bundle / NAME, content)
    return hashlib.sha256(content).hexdigest()


def check_manifest(bundle: Path) -> int:
    """Compare every file with the manifest; returns the number of files.

    Raises ReleaseRefused that names files which are missing, changed, or not listed.
    """
    path = bundle / NAME
    if not path.is_file():
        raise ReleaseRefused(f"{bundle} is not a release bundle: it has no {NAME}")
    listed = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    there = _digests(bundle)
    faults = [
        *(f"{name} is missing" for name in sorted(set(listed) - set(there))),
        *(f"{name} is not in the manifest" for name in sorted(set(there) - set(listed))),
        *(f"{n} was changed" for n in sorted(set(there) & set(listed)) if there[n] != listed[n]),
    ]
    if faults:
        raise ReleaseRefused(
            f"{bundle} is not the bundle that was released:\n  - " + "\n  - ".join(faults[:20])
        )
    return len(listed)


def _digests(bundle: Path) -> dict[str, str]:
    digests = {}
    for path in bundle.rglob("*"):
        name = path.relative_to(bundle).as_posix()
        if path.is_file() and name != NAME:
            with path.open("rb") as stream:
                digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests
