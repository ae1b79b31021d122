"""Summaries that are sent: as much of one as a service looks at, without a screen behind it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from imaging_service.federation.parcel import FILES


def summary_folder(folder: Path, site: str = "north", text: str = "a") -> Path:
    """The files of a summary, their digests in the manifest, and something for a signature."""
    folder.mkdir(parents=True)
    names = sorted(FILES - {"manifest.json", "signature"})
    for name in names:
        (folder / name).write_text(f"{name} {text}")
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    (folder / "manifest.json").write_text(json.dumps({"site": site, "files": digests}))
    (folder / "signature").write_text("ab")
    return folder
