"""Segmentation engines: weights that this version knows, and the laboratory's own models."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter
from sqlmodel import col, select

from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.database.tables import RunRow
from imaging_service.models.listing import LabModel, lab_models
from imaging_service.schemas import EngineModel

router = APIRouter(prefix="/engines", tags=["engines"])


@router.get("", summary="Engines and their weights")
def list_engines() -> list[EngineModel]:
    """Each by the name that a protocol's `segmentation.engine` has.

    How well weights fit an assay is not among their properties: a run's record says whether it was
    measured on that assay.
    """
    from segmentation.engines.weights import known_models

    return [
        EngineModel(
            engine=model.engine,
            licence=model.card.licence,
            training_data=model.card.training_data,
            origin=model.card.origin,
            sha256=model.sha256,
            shipped=model.shipped,
            here=model.path.is_file(),
            figures=dict(model.figures),
        )
        for model in known_models()
    ]


@router.get("/own", summary="The laboratory's own models")
def list_own(caller: CallerDep, session: SessionDep, settings: SettingsDep) -> list[LabModel]:
    """With the decision on each, its reasons and figures, and what it was trained on.

    They lie in the folder `models` of a scan root of the caller's projects; a model elsewhere under
    the roots is listed once a run used it.
    """
    roots = {root for project in caller.roles for root in settings.roots_of(project, caller.lab)}
    query = select(RunRow.engine, sa.func.count()).group_by(col(RunRow.engine))
    return lab_models(sorted(roots), dict(session.exec(query).all()))
