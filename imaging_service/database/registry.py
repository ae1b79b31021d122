"""The line registry in the database: read, checked and merged as a whole, never in part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.database.tables import BatchRow, DonorRow, LineRow
from imaging_service.database.tenants import LOCAL_LAB
from imaging_service.errors import RegistryRefused
from imaging_service.schemas import RegistryChange
from plate_maps.registry import (
    Batch,
    Line,
    Registry,
    RegistryError,
    read_batches,
    read_lines,
    write,
)


def load_registry(session: Session, lab: str = LOCAL_LAB) -> Registry:
    """All lines and batches of a laboratory, by name."""
    of_lines = select(LineRow).where(LineRow.lab_id == lab)
    of_batches = select(BatchRow).where(BatchRow.lab_id == lab)
    lines = {r.line: Line(**json.loads(r.content)) for r in session.exec(of_lines).all()}
    batches = {r.batch: Batch(**json.loads(r.content)) for r in session.exec(of_batches).all()}
    return Registry(dict(sorted(lines.items())), dict(sorted(batches.items())))


def merge_lines(session: Session, text: str, source: str, lab: str = LOCAL_LAB) -> RegistryChange:
    """Add the lines of a TSV, and replace those of the same name.

    A line may name an isogenic parent that the registry holds already, so the merged registry is
    checked. Raises RegistryRefused with every fault; then nothing is changed.
    """
    known = dict(load_registry(session, lab).lines)
    try:
        given = read_lines(text, source, known)
        merged = known | given
        # Check the merged registry too: a parent's new donor must still be that of its children.
        read_lines(write(merged.values(), Line), f"{source} with the registry")
    except RegistryError as error:
        raise RegistryRefused(str(error)) from error
    change = _change(known, given)
    for donor in {line.donor for line in given.values()}:
        session.merge(DonorRow(lab_id=lab, id=donor))
    session.flush()
    # Parents first: a foreign key asks for the row of a child's parent.
    for line in sorted(given.values(), key=lambda line: _depth(line, merged)):
        row = LineRow(
            lab_id=lab,
            line=line.line,
            donor=line.donor,
            gene=line.gene,
            isogenic_parent=line.isogenic_parent or None,
            content=json.dumps(asdict(line)),
        )
        session.merge(row)
        session.flush()
    # Donors without a line are removed.
    with_lines = select(LineRow.donor).where(LineRow.lab_id == lab)
    session.execute(
        sa.delete(DonorRow).where(col(DonorRow.lab_id) == lab, col(DonorRow.id).not_in(with_lines))
    )
    session.commit()
    return change


def merge_batches(session: Session, text: str, source: str, lab: str = LOCAL_LAB) -> RegistryChange:
    """Add the batches of a TSV, and replace those of the same name.

    Raises RegistryRefused; then nothing is changed.
    """
    known = dict(load_registry(session, lab).batches)
    try:
        given = read_batches(text, source)
    except RegistryError as error:
        raise RegistryRefused(str(error)) from error
    for batch in given.values():
        session.merge(BatchRow(lab_id=lab, batch=batch.batch, content=json.dumps(asdict(batch))))
    session.commit()
    return _change(known, given)


def _change(
    known: Mapping[str, Line] | Mapping[str, Batch], given: Mapping[str, Line] | Mapping[str, Batch]
) -> RegistryChange:
    return RegistryChange(
        added=sorted(n for n in given if n not in known),
        changed=sorted(n for n in given if n in known and known[n] != given[n]),
        unchanged=sorted(n for n in given if n in known and known[n] == given[n]),
    )


def _depth(line: Line, lines: Mapping[str, Line]) -> int:
    """Number of isogenic ancestors of a line."""
    depth, seen = 0, {line.line}
    while line.isogenic_parent and line.isogenic_parent not in seen:
        line = lines[line.isogenic_parent]
        seen.add(line.line)
        depth += 1
    return depth
