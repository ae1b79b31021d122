"""What an upload consists of: relative path, size and SHA-256 of each file, checked as hostile."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from imaging_service.errors import UploadRefused

# More files than a plate of 1536 wells with 9 fields, 5 channels and 20 planes has.
MOST_FILES = 2_000_000
_MOST_DEPTH, _MOST_NAME = 32, 200
# Names that other systems cannot hold, or take for a device.
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")
_FORBIDDEN = frozenset('<>:"\\|?*')
# Scratch files of this service, and what operating systems leave beside images.
_JUNK = re.compile(
    r"(?i)^(\.staged-.*|\._.*|\.ds_store|thumbs\.db|desktop\.ini|@eadir|\.trash.*|__macosx|"
    r"\$recycle\.bin|system volume information)$"
)
_SHA256 = "^[0-9a-f]{64}$"


class ManifestFile(BaseModel):
    """One file of a scan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        description="Relative to the scan, with / between folders.", examples=["Images/r01c01.tiff"]
    )
    size: int = Field(ge=0, description="Bytes.")
    sha256: str = Field(pattern=_SHA256, description="Digest of the content, in hex.")


def is_junk(path: str) -> bool:
    """Whether a file is the operating system's, and no part of a scan."""
    return any(_JUNK.match(part) for part in path.split("/"))


def check_path(path: str) -> None:
    """Raise UploadRefused for a path that leaves the scan, or that not every system can hold."""
    parts = path.split("/")
    control = any(unicodedata.category(c) in ("Cc", "Cs") for c in path)
    bad = next(
        (
            part
            for part in parts
            if part in ("", ".", "..")
            or len(part.encode("utf-8", "replace")) > _MOST_NAME
            or part[-1] in ". "
            or _RESERVED.match(part)
            or set(part) & _FORBIDDEN
        ),
        None,
    )
    if control or bad is not None or len(parts) > _MOST_DEPTH:
        raise UploadRefused(
            f"{path[:200]!r} is not the path of a file inside a scan; rename it, or leave it out"
        )


def check_paths(paths: Iterable[str]) -> None:
    """Check each path, and that no two are one file, or file and folder, on any system."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        check_path(path)
        key = _same(path)
        if key in seen:
            raise UploadRefused(
                f"{seen[key]!r} and {path!r} are one file where upper and lower case are the same;"
                " rename one"
            )
        seen[key] = path
        for end in (i for i, letter in enumerate(key) if letter == "/"):
            folders.setdefault(key[:end], path)
    both = next((key for key in seen if key in folders), None)
    if both is not None:
        raise UploadRefused(f"{seen[both]!r} is a file, and the folder of {folders[both]!r}")


def check_name(name: str) -> None:
    """Raise UploadRefused for a name that a scan's folder cannot have."""
    check_path(name)
    if "/" in name or name.startswith("."):
        raise UploadRefused(
            f"{name[:200]!r} is not a name for a scan's folder; give another --name"
        )


def manifest_id(name: str, files: Sequence[ManifestFile]) -> str:
    """SHA-256 (hex) of a scan's name and files: the same scan is the same upload."""
    lines = sorted(f"{f.path}\t{f.size}\t{f.sha256}" for f in files)
    return hashlib.sha256("\n".join([name, *lines]).encode("utf-8", "replace")).hexdigest()


def _same(path: str) -> str:
    """What two paths share that a file system may take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
