"""Labels that were drawn on one machine, in place of the engine on the one that measures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imaging_service.errors import StoreError, damaged
from imaging_service.files import write_bytes
from segmentation import Field, Segmentation

_LABELS, _CONFIDENCE, _META = "labels-", "confidence-", "meta"


def keep(folder: Path, number: int, frame: int, segmentation: Segmentation) -> None:
    """Write the segmentation of a field and time point, both counted from 1."""
    meta = {
        "engine": segmentation.engine,
        "parameters": segmentation.parameters,
        "warnings": segmentation.warnings,
        "figures": segmentation.figures,
    }
    arrays: dict[str, Any] = {_META: np.array(json.dumps(meta))}
    arrays |= {f"{_LABELS}{name}": labels for name, labels in segmentation.labels.items()}
    arrays |= {f"{_CONFIDENCE}{name}": of for name, of in segmentation.confidence.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    # In the order of `segment_all`, by name.
    write_bytes(folder / f"{number:06d}-{frame:06d}.npz", stream.getvalue())


class Drawn:
    """Gives the segmentations that `keep` wrote, field by field, as `segment_all` asks for them."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(folder.glob("*.npz"))

    def segment_all(self, fields: Iterable[Field]) -> Iterator[Segmentation]:
        """The kept segmentation of each field, in order. Raises StoreError."""
        files = iter(self._files)
        for _ in fields:
            path = next(files, None)
            if path is None:
                raise StoreError(
                    f"{len(self._files)} fields were drawn, and the well has more; try it again"
                )
            yield _read(path)


def _read(path: Path) -> Segmentation:
    # From memory: of a damaged file NumPy would leave its own stream open.
    content = io.BytesIO(path.read_bytes())
    with damaged(StoreError, str(path)), np.load(content, allow_pickle=False) as stored:
        meta = json.loads(str(stored[_META]))
        return Segmentation(
            {n.removeprefix(_LABELS): stored[n] for n in stored if n.startswith(_LABELS)},
            meta["engine"],
            meta["parameters"],
            tuple(meta["warnings"]),
            {n.removeprefix(_CONFIDENCE): stored[n] for n in stored if n.startswith(_CONFIDENCE)},
            meta["figures"],
        )
