"""The line registry: lines with their donors and isogenic parents, and differentiation batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import JSONResponse

from imaging_service.api.access import LabDep, SessionDep
from imaging_service.database.registry import load_registry, merge_batches, merge_lines
from imaging_service.errors import RegistryRefused
from imaging_service.schemas import RegistryChange
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
