"""How an offered release stands: who may have it, until when, and how often it was handed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from imaging_service.database.tables import ReleaseRow
from imaging_service.errors import ReleaseRefused, ServiceError
from imaging_service.release.requests import records
from imaging_service.release.requests.audit import AuditEntry, entries
from imaging_service.release.requests.offers import offered_file
from imaging_service.release.requests.records import Request, requests_of
from imaging_service.settings import Settings


class Grant(StrEnum):
    """What became of a request."""

    WAITS = "waits for a decision"
    REJECTED = "rejected"
    OPENS = "open"
    ENDED = "ended"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Requester:
    """A request for the release.

    `whole` and `parts` count hand-overs of all of it and of ranges of its bytes, None where the
    log cannot be read; `last` is the newest.
    """

    request: Request
    grant: Grant
    whole: int | None
    parts: int | None
    last: datetime | None


@dataclass(frozen=True)
class Standing:
    """What is true of an offer now. `faults` say what cannot be known, and what hinders it."""

    requesters: Sequence[Requester]
    faults: Sequence[str]

    @property
    def open_to(self) -> list[Requester]:
        """Those whose key is valid now."""
        return [r for r in self.requesters if r.grant is Grant.OPENS]


def standing(settings: Settings, row: ReleaseRow, when: datetime) -> Standing:
    """How an offer stands at a time, by the release's own folder, which may be away."""
    folder = Path(row.folder)
    faults = []
    if not offered_file(settings, row.id).is_file():
        faults.append(
            "Its zip is missing on the service's machine, so no key gets it; offer it again:"
            " imaging-service release offer"
        )
    if not folder.is_dir():
        faults.append(
            "The release's own folder is away, so no key opens it and requests cannot be shown; put"
            " it back where it was when it was offered"
        )
        return Standing((), faults)
    try:
        requests = [r for r in requests_of(folder) if r.manifest_sha256 == row.manifest_sha256]
    except (ValidationError, OSError):
        faults.append(
            "A request of it cannot be read, so no key opens it; restore the release's folder"
            " requests from a backup"
        )
        return Standing((), faults)
    log: Sequence[AuditEntry] | None = None
    try:
        log = entries(folder)
    except (ReleaseRefused, OSError):
        faults.append(
            "The log of its requests was changed or is damaged, so downloads are not counted;"
            " restore requests/audit.jsonl from a backup"
        )
    try:
        if gone := records.withdrawn_since(folder, row.manifest_sha256):
            faults.append(
                f"{gone} donor{'' if gone == 1 else 's'} withdrew since it was written, so it is"
                " handed over no more; write the release that follows it, and end this offer:"
                f" imaging-service release end-offer {row.id}"
            )
    except (ServiceError, ValidationError, OSError):
        faults.append(
            "Whether a donor has withdrawn cannot be asked, so it is not handed over; the release's"
            " form, ledger and screen must be where they were"
        )
    return Standing([_requester(r, log, when) for r in requests], faults)


def _requester(request: Request, log: Sequence[AuditEntry] | None, when: datetime) -> Requester:
    if log is None:
        return Requester(request, _grant(request, when), None, None, None)
    given = [e for e in log if e.action == "handed over" and e.request == request.id]
    # As `offers.hand_over_file` notes a range of bytes.
    parts = sum(e.detail.startswith("over HTTP, ") for e in given)
    last = max((e.time for e in given), default=None)
    return Requester(request, _grant(request, when), len(given) - parts, parts, last)


def _grant(request: Request, when: datetime) -> Grant:
    decision = request.decision
    if decision is None:
        return Grant.WAITS
    if not decision.approved:
        return Grant.REJECTED
    if decision.revoked_at is not None:
        return Grant.REVOKED
    open_still = decision.expires_at is not None and when < decision.expires_at
    return Grant.OPENS if open_still else Grant.ENDED
