"""Three fields that show what the contrast floor keeps and drops: the protocol's weightiest number.

The engine is asked once more for these fields, without a floor. What it then finds and the run's
labels have not is what the floor dropped.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from imaging_service.errors import ServiceError
from imaging_service.jobs.parallel.engine import load_engine
from imaging_service.jobs.pixels.scan import camera_field
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord
from imaging_service.protocol import AssayProtocol
from imaging_service.store import plates
from imaging_service.store.labels import read_labels
from imaging_service.web.report import FloorExample
from plate_maps import Well

_RATIO = "length_ratio_floor_0"


def floor_examples(
    folder: RunFolder, record: RunRecord, calibration: Calibration, fields: pl.DataFrame
) -> tuple[list[FloorExample], str]:
    """The fields of which the floor drops least, as much as in the middle, and most.

    Of fields with at least the median length of neurites: in a bare one there is little to see.

    None, with the reason, where there is no floor, no neurite, or no engine here to be asked.
    """
    inputs = record.inputs
    if not inputs.protocol.segmentation.neurite_contrast:
        return [], "the protocol sets no contrast floor"
    usable = fields.filter(pl.col("valid") & (pl.col("frame") == 1) & pl.col(_RATIO).is_not_null())
    full = pl.col("neurite_length_um") >= pl.col("neurite_length_um").median()
    ranked = usable.filter(full.fill_null(value=True)).sort(_RATIO, "well", "field")
    if ranked.is_empty():
        return [], "no field has neurites to which the floor was applied"
    chosen = sorted({0, len(ranked) // 2, len(ranked) - 1})
    try:
        engine = load_engine(
            _without_floor(inputs.protocol), inputs.engine, inputs.device, record.engine
        ).with_thresholds(calibration.thresholds)
        examples = []
        for row in ranked[chosen].iter_rows(named=True):
            well = Well.parse(row["well"])
            pixels, _, _ = plates.read_field(record.plate, well, row["field"], 1)
            raw = camera_field(pixels, record.roles, record.pixel_size_um, inputs.protocol)
            neurites = engine.segment(calibration.illumination.correct(raw)).labels.get("neurites")
            kept = read_labels(folder.labels, well, row["field"], 1).get("neurites")
            if neurites is None or kept is None:
                return [], "the engine gives no neurites"
            examples.append(
                FloorExample(
                    row["well"],
                    row["field"],
                    pixels[record.roles.index("neurite")],
                    kept > 0,
                    (neurites > 0) & (kept == 0),
                    row[_RATIO],
                    record.pixel_size_um,
                )
            )
    except (ServiceError, RuntimeError) as error:
        # The wells are measured: a picture that cannot be made must not lose them.
        return [], f"the engine cannot be asked on this machine: {error}"
    return examples, ""


def _without_floor(protocol: AssayProtocol) -> AssayProtocol:
    part = replace(protocol.segmentation, neurite_contrast=0.0)
    return protocol.model_copy(update={"segmentation": part})
