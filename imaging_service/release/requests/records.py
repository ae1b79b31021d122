"""Requests for a controlled release: made, decided by a named person, granted by a key, revoked.

    RELEASE/requests/
        A-0123456789.json     the request, its decision and the digest of its key
        audit.jsonl           everything that happened to requests, in order

The key is shown once. It is for one release, it ends on a day, and only its digest is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imaging_service.errors import ReleaseRefused
from imaging_service.files import staged, write_bytes
from imaging_service.release.contents.manifest import check_manifest
from imaging_service.release.form import read_form
from imaging_service.release.gate.consent import decide as consents
from imaging_service.release.gate.ledger import read_ledger
from imaging_service.release.requests.audit import note
from imaging_service.release.requests.purpose import PURPOSES, Purpose, Verdict, judge
from imaging_service.screens.folder import registry_of
from plate_maps.registry import read_lines

Text = Annotated[str, Field(min_length=1)]
_STRICT = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
MOST_DAYS = 1095
_KEY = re.compile(r"mnr_([0-9a-f]{10})_")


class Decision(BaseModel):
    """What a named person decided, and the key that followed."""

    model_config = _STRICT

    by: Text
    approved: bool
    reason: Text
    decided_at: datetime
    expires_at: datetime | None = None
    conditions: tuple[str, ...] = ()
    key_sha256: str = ""
    revoked_at: datetime | None = None


class Request(BaseModel):
    """A data access request."""

    model_config = _STRICT

    id: str
    release: str
    manifest_sha256: str
    who: Text
    institution: Text
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    purpose: Annotated[str, Field(pattern=rf"^({'|'.join(PURPOSES)})$")]
    disease: Annotated[str, Field(pattern=r"^(MONDO:\d{7})?$")] = ""
    use: Text
    ethics: str = ""
    methods: bool = False
    non_profit: bool = False
    non_commercial: bool = False
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)]
    made_at: datetime
    decision: Decision | None = None


def make_request(folder: Path, bundle: Path, when: datetime, **answers: object) -> Request:
    """Take a request for a bundle of a release.

    `answers` are the fields of Request that the requester gives. Raises ReleaseRefused with every
    answer that is missing or wrong.
    """
    check_manifest(bundle)
    digest = hashlib.sha256((bundle / "manifest-sha256.txt").read_bytes()).hexdigest()
    identity = f"A-{secrets.token_hex(5)}"
    try:
        request = Request.model_validate(
            {
                **answers,
                "id": identity,
                "release": folder.resolve().name,
                "manifest_sha256": digest,
                "made_at": when,
            }
        )
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ReleaseRefused("the request is incomplete:\n  - " + "\n  - ".join(faults)) from error
    _save(folder, request)
    note(folder, when, request.who, "requested", identity, f"{request.purpose}: {request.use}")
    return request


def read_request(folder: Path, identity: str) -> Request:
    """A request by its id. Raises ReleaseRefused."""
    path = folder / "requests" / f"{identity}.json"
    if "/" in identity or not path.is_file():
        raise ReleaseRefused(f"{folder} has no request {identity!r}")
    return Request.model_validate_json(path.read_bytes())


def requests_of(folder: Path) -> list[Request]:
    """All requests of a release, oldest first."""
    paths = sorted((folder / "requests").glob("A-*.json"))
    requests = [Request.model_validate_json(path.read_bytes()) for path in paths]
    return sorted(requests, key=lambda r: (r.made_at, r.id))


def verdict_on(request: Request, bundle: Path) -> Verdict:
    """What the consents in a bundle say of a request."""
    lines = read_lines((bundle / "lines.tsv").read_text(encoding="utf-8"))
    return judge(
        Purpose(
            request.purpose,
            request.disease,
            request.methods,
            request.non_profit,
            request.non_commercial,
            request.ethics,
        ),
        [line.consent for line in lines.values()],
    )


def decide(
    folder: Path,
    bundle: Path,
    identity: str,
    when: datetime,
    *,
    by: str,
    approve: bool,
    reason: str,
) -> tuple[Request, str]:
    """Decide on a request; returns it with its key, which is empty where it was not approved.

    Raises ReleaseRefused for a request that was decided, for one who decides on the own request,
    and for an approval that the donors' consents forbid.
    """
    request = read_request(folder, identity)
    if request.decision is not None:
        raise ReleaseRefused(f"request {identity} was decided by {request.decision.by} already")
    if not by.strip() or not reason.strip():
        raise ReleaseRefused("a decision needs the name of who decides, and a reason")
    if by.strip().casefold() == request.who.casefold():
        note(folder, when, by, "decision refused", identity, "who made the request")
        raise ReleaseRefused(f"{by} made the request, and cannot decide on it")
    verdict = verdict_on(request, bundle)
    if approve and verdict.forbidden:
        note(folder, when, by, "approval refused", identity, "; ".join(verdict.forbidden))
        raise ReleaseRefused(
            f"consents forbid request {identity}, and no approval overrides them:\n  - "
            + "\n  - ".join(verdict.forbidden)
        )
    secret = f"mnr_{identity[2:]}_{secrets.token_urlsafe(32)}" if approve else ""
    decision = Decision(
        by=by,
        approved=approve,
        reason=reason,
        decided_at=when,
        expires_at=when + timedelta(days=request.days) if approve else None,
        conditions=verdict.conditions if approve else (),
        key_sha256=_digest(secret) if approve else "",
    )
    decided = request.model_copy(update={"decision": decision})
    _save(folder, decided)
    note(folder, when, by, "approved" if approve else "rejected", identity, reason)
    return decided, secret


def revoke(folder: Path, identity: str, when: datetime, *, by: str, reason: str) -> Request:
    """End a request's key at once. Raises ReleaseRefused for a request without a valid one."""
    request = read_request(folder, identity)
    decision = request.decision
    if decision is None or not decision.approved or decision.revoked_at is not None:
        raise ReleaseRefused(f"request {identity} has no key to revoke")
    ended = request.model_copy(
        update={"decision": decision.model_copy(update={"revoked_at": when})}
    )
    _save(folder, ended)
    note(folder, when, by, "revoked", identity, reason)
    return ended


def opens(folder: Path, key: str, when: datetime) -> Request | None:
    """The request whose key this is, if the key is right and valid now; else None.

    A key names its request, of which alone the record is read.
    """
    named = _KEY.match(key)
    path = folder / "requests" / f"A-{named[1]}.json" if named else None
    if path is None or not path.is_file():
        return None
    request = Request.model_validate_json(path.read_bytes())
    decision = request.decision
    if decision is None or not hmac.compare_digest(decision.key_sha256, _digest(key)):
        return None
    ended = decision.revoked_at is not None or decision.expires_at is None
    return None if ended or when >= (decision.expires_at or when) else request


def hand_over(folder: Path, bundle: Path, key: str, out: Path, when: datetime) -> Request:
    """Copy a bundle for the holder of a valid key, and note it.

    Raises ReleaseRefused for any other key, for another bundle than the one that was asked for,
    where a donor has withdrawn since, and where `out` exists.
    """
    request = opens(folder, key, when)
    if request is None:
        note(folder, when, "unknown", "key refused", "")
        raise ReleaseRefused("this key opens nothing here: it is wrong, has ended or was revoked")
    check_manifest(bundle)
    digest = hashlib.sha256((bundle / "manifest-sha256.txt").read_bytes()).hexdigest()
    if digest != request.manifest_sha256:
        raise ReleaseRefused(f"the key is for {request.release}, and this is another bundle")
    gone = withdrawn_since(folder, digest)
    if gone:
        note(folder, when, request.who, "hand-over refused", request.id, "withdrawn donors")
        raise ReleaseRefused(
            f"{gone} donor(s) of release {request.release} have withdrawn since it was written;"
            " begin and write a new release, and decide on the request anew"
        )
    if out.exists():
        raise ReleaseRefused(f"{out} exists; give another --out")
    with staged(out) as scratch:
        shutil.copytree(bundle, scratch, dirs_exist_ok=True)
    note(folder, when, request.who, "handed over", request.id, out.name)
    return request


def withdrawn_since(folder: Path, manifest_sha256: str) -> int:
    """Donors of a written release whose consent does not reach it now, by ledger and registry.

    They have withdrawn, or their line is not registered any more, or its consent became narrower.

    Raises ReleaseRefused for a bundle that the ledger does not know.
    """
    form = read_form(folder)
    written = [e for e in read_ledger(form.ledger) if e.manifest_sha256 == manifest_sha256]
    if not written:
        raise ReleaseRefused(f"the ledger {form.ledger} does not know this bundle")
    lines, entry = registry_of(form.screen).lines, written[0]
    # By their lines as well: a donor may have another code now, and a line may have been taken out.
    now = consents(entry.lines, lines, entry.tier, licence=form.licence)
    gone = {x.donor for x in lines.values() if x.withdrawn == "yes"} & set(entry.donors)
    return len(gone | {d.donor or d.line for d in now if not d.allowed})


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _save(folder: Path, request: Request) -> None:
    path = folder / "requests" / f"{request.id}.json"
    write_bytes(path, request.model_dump_json(indent=1).encode())
