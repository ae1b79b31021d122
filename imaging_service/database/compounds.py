"""The compound registry in the database: merged as a whole, never in part.

Blinded codes are for administrators of the laboratory only: with a code's name a reviewer would no
longer be blind.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from sqlmodel import Session, select

from imaging_service.database.tables import CompoundRow
from imaging_service.errors import RegistryRefused
from imaging_service.schemas import RegistryChange
from plate_maps.compounds import (
    Compound,
    CompoundError,
    Compounds,
    read_compounds,
    write_compounds,
)


def load_compounds(session: Session, lab: str, *, codes: bool = False) -> Compounds:
    """All compounds of a laboratory, by id; with their blinded codes only where asked for."""
    rows = session.exec(select(CompoundRow).where(CompoundRow.lab_id == lab)).all()
    known = {row.id: _compound(row.content) for row in sorted(rows, key=lambda row: row.id)}
    if not codes:
        known = {id_: replace(compound, blinded_code="") for id_, compound in known.items()}
    return Compounds(known)


def merge_compounds(session: Session, text: str, source: str, lab: str) -> RegistryChange:
    """Add the compounds of a TSV, and replace those of the same id.

    A blinded code that the sheet leaves empty stays as it was: who may not see codes must not
    erase them. The merged registry is checked: two compounds may not share a name. Raises
    RegistryRefused with every fault; then nothing is changed.
    """
    known = dict(load_compounds(session, lab, codes=True).records)
    try:
        given = {
            id_: replace(
                compound,
                blinded_code=compound.blinded_code
                or (known[id_].blinded_code if id_ in known else ""),
            )
            for id_, compound in read_compounds(text, source).records.items()
        }
        merged = known | given
        read_compounds(write_compounds(merged.values()), f"{source} with the registry.tsv")
    except CompoundError as error:
        raise RegistryRefused(str(error)) from error
    for id_, compound in given.items():
        session.merge(CompoundRow(lab_id=lab, id=id_, content=json.dumps(asdict(compound))))
    session.commit()
    return RegistryChange(
        added=sorted(i for i in given if i not in known),
        changed=sorted(i for i in given if i in known and known[i] != given[i]),
        unchanged=sorted(i for i in given if i in known and known[i] == given[i]),
    )


def _compound(content: str) -> Compound:
    values = json.loads(content)
    return Compound(**values | {"synonyms": tuple(values["synonyms"])})
