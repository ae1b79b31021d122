"""Segmentation engines: the weights that this version knows, with licences and figures."""

from __future__ import annotations

from fastapi import APIRouter

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
