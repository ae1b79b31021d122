"""Labels of a bundle that reviewers corrected: written over those of the engine.

A run keeps the engine's labels, and its review the corrections. Tables of a reviewed run follow the
corrections, so the labels beside them must, too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from imaging_service.review.log import GRAPH, ReviewLog
from imaging_service.store.labels import read_labels, show
from imaging_service.store.plates import levels_of, well_path
from imaging_service.store.shards import open_array
from plate_maps import Well


def write_corrected(run: Path, labels: Path, wells: Collection[str]) -> int:
    """Write the newest labels of corrected fields into `labels.zarr` of a bundle.

    The traced graph of a corrected field is taken out: it is that of the engine's neurites. Returns
    the number of fields. Raises StoreError for labels or corrections that cannot be read.
    """
    log = ReviewLog(run)
    fields = [(well, field) for well, field in log.corrected() if well in wells]
    for name, field in fields:
        well = Well.parse(name)
        group = labels / well_path(well) / str(field - 1) / "labels"
        for frame in log.corrected_frames(name, field):
            engine = read_labels(run / "labels.zarr", well, field, frame)
            for compartment, image in log.labels(engine, name, field, frame=frame).items():
                for level, scaled in enumerate(levels_of(image, labels=True)):
                    array = open_array(group / compartment / str(level))
                    array[(frame - 1,) if array.ndim > 2 else ()] = scaled
        if (group / GRAPH).is_dir():
            shutil.rmtree(group / GRAPH)
            _change(group, lambda ome: ome | {"labels": [n for n in ome["labels"] if n != GRAPH]})
        show(group.parent)
        _versioned(labels / well_path(well), log.head(name, field))
    return len(fields)


def _change(group: Path, change: Any) -> None:
    path = group / "zarr.json"
    content = json.loads(path.read_bytes())
    content["attributes"]["ome"] = change(content["attributes"]["ome"])
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _versioned(well: Path, version: int) -> None:
    """The highest version of a well's fields stands with the well."""
    path = well / "zarr.json"
    content = json.loads(path.read_bytes())
    kept = content["attributes"].get("motor_neuron", {}).get("label_version", 1)
    content["attributes"]["motor_neuron"] = {"label_version": max(kept, version)}
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
