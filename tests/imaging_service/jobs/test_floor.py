from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import polars as pl
import pytest

from imaging_service.jobs.floor import floor_examples
from imaging_service.jobs.pixels.scan import camera_field
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, load
from imaging_service.store import plates
from imaging_service.web.report import draw_floor
from plate_maps import Well
from segmentation.engines.classical import ClassicalSegmenter
from segmentation.sizes import Sizes


@pytest.fixture(scope="module")
def parts(small_run):
    folder = RunFolder(small_run)
    fields = pl.read_parquet(small_run / "fields.parquet")
    return (
        folder,
        load(RunRecord, folder.record),
        load(Calibration, folder.calibration),
        fields,
    )


def with_floor(record, floor):
    part = replace(record.inputs.protocol.segmentation, neurite_contrast=floor)
    protocol = record.inputs.protocol.model_copy(update={"segmentation": part})
    return replace(record, inputs=replace(record.inputs, protocol=protocol))


def test_three_fields_show_least_middle_and_most(parts):
    examples, why = floor_examples(*parts)
    assert (len(examples), why) == (3, "")
    ratios = [e.ratio for e in examples]
    full = pl.col("neurite_length_um") >= pl.col("neurite_length_um").median()
    every = parts[3].filter(pl.col("valid")).filter(full)["length_ratio_floor_0"]
    assert ratios == sorted(ratios)
    assert (ratios[0], ratios[-1]) == (every.min(), every.max())
    assert all(e.kept.any() and not (e.kept & e.dropped).any() for e in examples)


def test_what_was_dropped_is_what_the_engine_gives_without_a_floor(parts):
    folder, record, calibration, fields = parts
    examples, _ = floor_examples(folder, record, calibration, fields)
    engine = ClassicalSegmenter(sizes=Sizes(neurite_contrast=0.0)).with_thresholds(
        calibration.thresholds
    )
    most = examples[-1]
    pixels, _, _ = plates.read_field(record.plate, Well.parse(most.well), most.field)
    raw = camera_field(pixels, record.roles, record.pixel_size_um, record.inputs.protocol)
    found = engine.segment(calibration.illumination.correct(raw)).labels["neurites"] > 0
    assert ((most.kept | most.dropped) >= found).all()
    assert (most.dropped == (found & ~most.kept)).all()


def test_without_a_floor_or_neurites_there_is_a_reason(parts):
    folder, record, calibration, fields = parts
    examples, why = floor_examples(folder, with_floor(record, 0.0), calibration, fields)
    assert (examples, bool(why)) == ([], True)
    none = fields.with_columns(pl.lit(None, pl.Float64).alias("length_ratio_floor_0"))
    examples, why = floor_examples(folder, record, calibration, none)
    assert (examples, bool(why)) == ([], True)


def test_an_engine_that_is_not_here_costs_the_pictures_only(parts):
    folder, record, calibration, fields = parts
    away = replace(record, inputs=replace(record.inputs, device="cuda"))
    examples, why = floor_examples(folder, away, calibration, fields)
    assert (examples, "classical" in why) == ([], True)


def test_kept_is_blue_and_dropped_is_orange(parts):
    examples, _ = floor_examples(*parts)
    blank = np.zeros((160, 160), bool)
    kept, dropped = blank.copy(), blank.copy()
    kept[20:60, 20:140], dropped[100:120, 20:140] = True, True
    example = replace(examples[0], kept=kept, dropped=dropped)
    image = cv2.imdecode(np.frombuffer(draw_floor(example), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (160, 324, 3)
    blue, green, red = image[110, 164 + 80].astype(int)
    assert red > green > blue + 60
