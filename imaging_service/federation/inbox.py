"""Summaries that sites sent to a project of a service, until the hub takes them.

PROJECT/summaries/SITE.zip      as it was sent
PROJECT/summaries/SITE.json     who sent it, when, and its digest
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from imaging_service.errors import Forbidden, NotFound
from imaging_service.federation.parcel import site_of
from imaging_service.files import remove, write_bytes
from imaging_service.schemas import SentSummary


def keep(folder: Path, content: bytes, sender: str, lab: str, when: datetime) -> SentSummary:
    """Keep a site's summary, in place of an earlier one.

    Raises SummaryRefused for files that are not a summary, Forbidden where another laboratory sent
    the one that is there.
    """
    site = site_of(content)
    record = folder / f"{site}.json"
    if record.is_file() and (before := _read(record)).lab != lab:
        raise Forbidden(
            f"the summary of site {site} was sent by laboratory {before.lab}, which alone may"
            " replace it; an administrator of the project can remove it"
        )
    sent = SentSummary(
        site=site,
        lab=lab,
        sender=sender,
        sent_at=when,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    write_bytes(folder / f"{site}.zip", content)
    # The record is the commit point.
    write_bytes(record, sent.model_dump_json(indent=1).encode())
    return sent


def kept(folder: Path) -> list[SentSummary]:
    """What sites sent, by site."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def summary_file(folder: Path, site: str) -> Path:
    """The zip of a site. Raises NotFound."""
    # Compared with the names that are there, so that none leads out of the folder.
    if site not in {sent.site for sent in kept(folder)}:
        raise NotFound(f"there is no summary of site {site[:80]}")
    return folder / f"{site}.zip"


def discard(folder: Path, site: str) -> None:
    """Remove a site's summary. Raises NotFound."""
    path = summary_file(folder, site)
    remove(path.with_suffix(".json"))
    remove(path)


def _read(path: Path) -> SentSummary:
    return SentSummary.model_validate_json(path.read_bytes())
