"""The registry of a laboratory: lines with their donors, differentiation batches, compounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import JSONResponse

from imaging_service.access.roles import Role
from imaging_service.api.access import CallerDep, LabDep, SessionDep
from imaging_service.database.compounds import load_compounds, merge_compounds
from imaging_service.database.registry import load_registry, merge_batches, merge_lines
from imaging_service.errors import RegistryRefused
from imaging_service.schemas import RegistryChange
from plate_maps.compounds import write_compounds
from plate_maps.registry import Batch, Line, Record, write

router = APIRouter(tags=["registry"])
_MOST_BYTES = 20 * 2**20


class RegistryFormat(StrEnum):
    """How the registry is sent: as JSON, or as the TSV that is read back."""

    JSON = "json"
    TSV = "tsv"


FormatQuery = Annotated[RegistryFormat, Query(alias="format", description="json or tsv")]
Sheet = Annotated[
    bytes, Body(media_type="text/tab-separated-values", description="TSV with a header row.")
]


@router.get("/lines", summary="Cell lines", response_class=Response)
def get_lines(session: SessionDep, lab: LabDep, fmt: FormatQuery = RegistryFormat.JSON) -> Response:
    """All lines by name.

    Each with its donor, genotype, clone, passage, isogenic parent, consent and the rest of its
    record.
    """
    return _sent(load_registry(session, lab).lines.values(), Line, fmt)


@router.put("/lines", summary="Add or replace cell lines")
def put_lines(sheet: Sheet, session: SessionDep, lab: LabDep) -> RegistryChange:
    """Replace lines of the same name and add the others; after any fault nothing is changed."""
    return merge_lines(session, _text(sheet), "lines.tsv", lab)


@router.get("/batches", summary="Differentiation batches", response_class=Response)
def get_batches(
    session: SessionDep, lab: LabDep, fmt: FormatQuery = RegistryFormat.JSON
) -> Response:
    """All batches by name."""
    return _sent(load_registry(session, lab).batches.values(), Batch, fmt)


@router.put("/batches", summary="Add or replace differentiation batches")
def put_batches(sheet: Sheet, session: SessionDep, lab: LabDep) -> RegistryChange:
    """Replace batches of the same name and add the others; after any fault nothing is changed."""
    return merge_batches(session, _text(sheet), "batches.tsv", lab)


@router.get("/compounds", summary="Compounds", response_class=Response)
def get_compounds(
    session: SessionDep, caller: CallerDep, lab: LabDep, fmt: FormatQuery = RegistryFormat.JSON
) -> Response:
    """All compounds by id, with synonyms, vendor, lot and stock.

    Blinded codes are sent to administrators of the laboratory only.
    """
    codes = caller.everywhere or caller.lab_role is Role.ADMINISTRATOR
    compounds = load_compounds(session, lab, codes=codes).records.values()
    if fmt is RegistryFormat.TSV:
        return Response(write_compounds(compounds), media_type="text/tab-separated-values")
    return JSONResponse([asdict(compound) for compound in compounds])


@router.put("/compounds", summary="Add or replace compounds")
def put_compounds(sheet: Sheet, session: SessionDep, lab: LabDep) -> RegistryChange:
    """Replace compounds of the same id and add the others; after any fault nothing is changed.

    A blinded code that the sheet leaves empty stays as it is.
    """
    return merge_compounds(session, _text(sheet), "compounds.tsv", lab)


def _sent(records: Iterable[Record], kind: type[Record], fmt: RegistryFormat) -> Response:
    if fmt is RegistryFormat.TSV:
        return Response(write(records, kind), media_type="text/tab-separated-values")
    return JSONResponse([asdict(record) for record in records])


def _text(sheet: bytes) -> str:
    if len(sheet) > _MOST_BYTES:
        raise RegistryRefused(
            f"the registry file has {len(sheet):,} bytes; at most {_MOST_BYTES:,} are accepted"
        )
    try:
        return sheet.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegistryRefused(
            f"the registry file is not UTF-8 text ({error}); save it as UTF-8"
        ) from error
