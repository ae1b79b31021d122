"""A site's summary as one file, to be sent over the API: a zip with the summary's files, flat."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from imaging_service.errors import SummaryRefused
from imaging_service.files import ZIP_UNREADABLE, staged
from imaging_service.screens.sites import MORE, PARTS

FILES = frozenset(
    {"manifest.json", "signature", "lines.tsv", "plates.json"}
    | {f"{name}.parquet" for name in (*PARTS, *MORE)}
)
# Averages of batches of a large screen are a few MiB.
_MOST_BYTES = 256 * 2**20
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_WHEN = (1980, 1, 1, 0, 0, 0)


def pack(summary: Path) -> bytes:
    """The files of a summary's folder as a zip. Raises SummaryRefused for any other folder."""
    if not (summary / "manifest.json").is_file():
        raise SummaryRefused(
            f"{summary} has no manifest.json; give the --out folder of `screen summary`"
        )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(FILES):
            if (summary / name).is_file():
                entry = zipfile.ZipInfo(name, _WHEN)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, (summary / name).read_bytes())
    return stream.getvalue()


def site_of(content: bytes) -> str:
    """The site that a packed summary names, once its files are those that the site signed.

    Whether the signature is the site's is for the hub, which knows the sites' keys. Raises
    SummaryRefused.
    """
    files = _read(content)
    try:
        manifest: dict[str, Any] = json.loads(files["manifest.json"])
        site, digests = str(manifest["site"]), dict(manifest["files"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise SummaryRefused(f"the summary has no manifest that can be read ({error})") from error
    if not _SITE.fullmatch(site):
        raise SummaryRefused(
            f"site {site[:80]!r} cannot be a name here; use at most 60 letters, digits, - and _"
        )
    if "signature" not in files:
        raise SummaryRefused(f"the summary of site {site} is not signed")
    for name, digest in digests.items():
        if name not in files or hashlib.sha256(files[name]).hexdigest() != digest:
            raise SummaryRefused(
                f"the summary of site {site}: file {name} is missing or not the one that was signed"
            )
    return site


def unpack(content: bytes, folder: Path) -> Path:
    """Write a packed summary's files to a new folder, and return it. Raises SummaryRefused."""
    files = _read(content)
    with staged(folder) as scratch:
        for name, text in files.items():
            (scratch / name).write_bytes(text)
    return folder


def _read(content: bytes) -> dict[str, bytes]:
    """The files of the zip: of known names only, each once, and no more than a summary holds."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if strange := sorted(set(names) - FILES):
                raise SummaryRefused(f"the zip has {strange[0][:80]!r}, which no summary holds")
            if len(names) != len(set(names)):
                raise SummaryRefused("the zip has one file twice")
            if sum(entry.file_size for entry in entries) > _MOST_BYTES:
                raise SummaryRefused(f"the zip unpacks to more than {_MOST_BYTES:,} bytes")
            # A stream is never longer than its entry says: `zipfile` stops there.
            return {entry.filename: archive.read(entry) for entry in entries}
    except SummaryRefused:
        raise
    except ZIP_UNREADABLE as error:
        raise SummaryRefused(f"the summary is not a zip that can be read ({error})") from error
