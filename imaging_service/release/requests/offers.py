"""Releases that a service hands over to the holders of decided requests, over HTTP.

    DATA/releases/ID.zip      the bundle, as it was offered

What is true of a key stands in the release's own folder (`records`): a key that was revoked there,
or has ended, opens nothing at the service from that moment on.
"""

from __future__ import annotations

import hashlib
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session, col, select

from imaging_service.access.roles import Caller
from imaging_service.database.tables import ReleaseRow
from imaging_service.database.tenants import now
from imaging_service.errors import Forbidden, NotFound, ReleaseRefused
from imaging_service.files import remove, written_whole
from imaging_service.release.contents.manifest import NAME, check_manifest
from imaging_service.release.requests.audit import note
from imaging_service.release.requests.records import opens, withdrawn_since
from imaging_service.settings import Settings

# The zip's own clock: the same bundle gives the same bytes.
_WHEN = (1980, 1, 1, 0, 0, 0)


def offer(
    settings: Settings, session: Session, folder: Path, bundle: Path, lab: str, by: str
) -> ReleaseRow:
    """Let the service hand over a bundle; the caller commits. The same bundle is the same offer.

    Parameters
    ----------
    folder
        The release in preparation, whose requests are decided there; it must stay where it is.
    bundle
        Its bundle, which is copied.
    lab, by
        The laboratory that offers it, and who does so.

    Raises
    ------
    ReleaseRefused
        The bundle was changed, the ledger does not know it, a donor has withdrawn since, or another
        laboratory offers it.
    """
    check_manifest(bundle)
    digest = hashlib.sha256((bundle / NAME).read_bytes()).hexdigest()
    if withdrawn_since(folder, digest):
        raise ReleaseRefused(
            f"donors of release {folder.resolve().name} have withdrawn since it was written; write"
            " a new release"
        )
    row = session.get(ReleaseRow, digest[:16])
    if row is not None and row.ended_at is None and row.lab_id != lab:
        raise ReleaseRefused(
            f"release {row.name} is offered by laboratory {row.lab_id}; end that offer first:"
            f" imaging-service release end-offer {row.id}"
        )
    path = offered_file(settings, digest[:16])
    size, sha256 = _zip(bundle, path)
    begun: dict[str, Any] = {"lab_id": lab, "offered_by": by, "offered_at": now(), "ended_at": None}
    if row is None:
        row = ReleaseRow(id=digest[:16], manifest_sha256=digest, **begun)
    elif row.ended_at is not None:
        row.sqlmodel_update(begun)
    row.name, row.folder = folder.resolve().name, str(folder.resolve())
    row.size, row.sha256 = size, sha256
    session.add(row)
    return row


def end_offer(settings: Settings, session: Session, release: str) -> ReleaseRow:
    """Hand a release over no more; the caller commits. Raises NotFound."""
    row = session.get(ReleaseRow, release)
    if row is None or row.ended_at is not None:
        raise NotFound(f"there is no release {release}")
    row.ended_at = now()
    remove(offered_file(settings, release))
    return row


def offers(session: Session, caller: Caller) -> list[ReleaseRow]:
    """What a caller may know of: the release of the key, or those of a member's laboratory.

    A key that is bound to one project knows nothing of the laboratory.
    """
    if not caller.release and caller.lab_role is None:
        return []
    query = select(ReleaseRow).where(
        ReleaseRow.lab_id == caller.lab, col(ReleaseRow.ended_at).is_(None)
    )
    if caller.release:
        query = query.where(ReleaseRow.id == caller.release)
    return list(session.exec(query.order_by(col(ReleaseRow.offered_at).desc())).all())


def caller_with_release_key(session: Session, sent: str) -> Caller | None:
    """The requester whose key this is; None for a key that opens nothing that is offered now."""
    rows = session.exec(select(ReleaseRow).where(col(ReleaseRow.ended_at).is_(None))).all()
    for row in rows:
        try:
            request = opens(Path(row.folder), sent, now())
        except (ValidationError, OSError):
            # A record that cannot be read lets no one in, and keeps no one out of another release.
            continue
        if request is not None and request.manifest_sha256 == row.manifest_sha256:
            return Caller(
                member="", name=request.who, lab=row.lab_id, key=request.id, release=row.id
            )
    return None


def hand_over_file(
    settings: Settings, session: Session, caller: Caller, when: datetime, part: str
) -> tuple[ReleaseRow, Path]:
    """The zip of the caller's release, after a note in the release's audit log.

    `part` says which bytes are asked for; empty for all. Raises NotFound where the offer ended or
    its file was lost, Forbidden where a donor has withdrawn since.
    """
    row = session.get(ReleaseRow, caller.release)
    if row is None or row.ended_at is not None:
        raise NotFound(f"there is no release {caller.release}")
    folder = Path(row.folder)
    gone = withdrawn_since(folder, row.manifest_sha256)
    if gone:
        note(folder, when, caller.name, "hand-over refused", caller.key, "withdrawn donors")
        raise Forbidden(
            f"{gone} donor(s) of release {row.name} have withdrawn since it was written, so it is"
            " handed over no more; ask for the release that follows it"
        )
    path = offered_file(settings, row.id)
    if not path.is_file():
        raise NotFound(
            f"the bundle of release {row.name} is gone; offer it again: imaging-service release"
            " offer"
        )
    detail = "over HTTP" + (f", {part[:100]}" if part else "")
    note(folder, when, caller.name, "handed over", caller.key, detail)
    return row, path


def offered_file(settings: Settings, release: str) -> Path:
    """Where the zip of a release lies."""
    return settings.data_dir.resolve() / "releases" / f"{release}.zip"


def _zip(bundle: Path, target: Path) -> tuple[int, str]:
    """Write the bundle as a zip; its size in bytes and SHA-256 (hex)."""
    # Tables and images are compressed already.
    with written_whole(target) as zipped, zipfile.ZipFile(zipped, "w", zipfile.ZIP_STORED) as out:
        for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(bundle).as_posix(), _WHEN)
            with path.open("rb") as stream, out.open(entry, "w", force_zip64=True) as inside:
                while block := stream.read(2**22):
                    inside.write(block)
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return target.stat().st_size, digest
