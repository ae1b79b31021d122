"""What a backup holds: `backup.json`, written last and read first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from imaging_service.errors import BackupError
from imaging_service.files import write_bytes

NAME = "backup.json"


@dataclass(frozen=True)
class BackedFile:
    """A file of the data folder: size, time of its last change (ns), SHA-256 (hex)."""

    size: int
    changed: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A whole backup. `files` are by their path in the data folder.

    `data_dir` is where the data folder was: runs name their plates by that path.
    """

    version: str
    made_at: datetime
    data_dir: str
    database: str
    database_sha256: str
    files: dict[str, BackedFile] = field(default_factory=dict)


_ADAPTER = TypeAdapter(Manifest)


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError for a folder that holds no whole backup."""
    path = folder / NAME
    if not path.is_file():
        raise BackupError(
            f"{folder} holds no whole backup: {NAME} is written last, and is not there; make the"
            " backup again, into the same folder"
        )
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except ValidationError as error:
        raise BackupError(f"{path} cannot be read: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Declare a backup whole."""
    write_bytes(folder / NAME, _ADAPTER.dump_json(manifest, indent=1))
