"""The protocol's segmentation engine, loaded once a process. Apart from `well` so that checking a run stays light."""

from __future__ import annotations

from functools import lru_cache

from imaging_service.protocol import AssayProtocol, Segmentation
from segmentation import Segmenter
from segmentation import load as load_segmenter
from segmentation.sizes import Sizes


def load_engine(protocol: AssayProtocol, name: str, device: str) -> Segmenter:
    """The protocol's engine; loaded once a process, since a network takes seconds."""
    return _engine(protocol.segmentation.model_dump_json(), name, device)


@lru_cache(maxsize=2)
def _engine(settings: str, name: str, device: str) -> Segmenter:
    part = Segmentation.model_validate_json(settings)
    sizes = Sizes(part.nucleus_diameter_um, part.min_nucleus_area_um2, part.neurite_width_um, part.max_soma_reach_um)
    pinned = {} if part.checkpoint_sha256 is None else {"sha256": part.checkpoint_sha256}
    return load_segmenter(name, device=device, sizes=sizes, **pinned)
