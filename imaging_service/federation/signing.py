"""Keys of sites, and signatures by which a hub knows who sent what (Ed25519)."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from imaging_service.errors import SummaryRefused

_CONSORTIUM_BYTES = 32


def new_site_key(path: Path) -> str:
    """Make a site's private key, readable by its owner only; returns the public key in hex.

    Raises SummaryRefused where the file exists.
    """
    key = Ed25519PrivateKey.generate()
    _write_new(path, key.private_bytes_raw())
    return key.public_key().public_bytes_raw().hex()


def new_consortium_key(path: Path) -> None:
    """Make the key under which all sites hash their donors; it goes to every site, no further."""
    _write_new(path, secrets.token_bytes(_CONSORTIUM_BYTES))


def read_consortium_key(path: Path) -> bytes:
    """Read a consortium's key. Raises SummaryRefused where it is missing or short."""
    content = path.read_bytes() if path.is_file() else b""
    if len(content) < _CONSORTIUM_BYTES:
        raise SummaryRefused(
            f"{path} is not a consortium key of {_CONSORTIUM_BYTES} bytes; one member makes it"
            " (imaging-service screen keys) and gives it to the others"
        )
    return content


def sign(path: Path, message: bytes) -> bytes:
    """Sign with a site's private key; the signature in hex. Raises SummaryRefused."""
    content = path.read_bytes() if path.is_file() else b""
    if len(content) != 32:
        raise SummaryRefused(f"{path} is not a site's key; make one: imaging-service screen keys")
    return Ed25519PrivateKey.from_private_bytes(content).sign(message).hex().encode()


def is_signed(public: str, message: bytes, signature: bytes) -> bool:
    """Whether the owner of a public key (hex) signed a message."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature.decode("ascii").strip()), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _write_new(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
    except FileExistsError as error:
        raise SummaryRefused(f"{path} exists; a key is never written over") from error
