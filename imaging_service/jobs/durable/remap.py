"""Which runs of a plate a new version of its map concerns."""

from __future__ import annotations

from pathlib import Path

from sqlmodel import Session, col, select

from imaging_service.database.tables import RunRow
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.jobs.records import RunRecord, load
from imaging_service.settings import Settings


def last_records(settings: Settings, session: Session, plate: str) -> list[Path]:
    """The newest record of each protocol and engine that a plate was analysed with."""
    query = select(RunRow).where(RunRow.plate_id == plate).order_by(col(RunRow.submitted_at))
    newest: dict[tuple[str, str], Path] = {}
    for row in session.exec(query).all():
        path = run_folder(settings, row.id).record
        if path.is_file():
            record = load(RunRecord, path)
            newest[record.protocol_digest, record.inputs.engine] = path
    return list(newest.values())
