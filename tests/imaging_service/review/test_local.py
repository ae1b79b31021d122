from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from imaging_service.errors import NotFound, StoreError
from imaging_service.review.crops import Crop
from imaging_service.review.field_image import Window
from imaging_service.review.local import LocalRun
from imaging_service.schemas import Verdict
from imaging_service.store.labels import read_labels
from imaging_service.store.plates import read_field
from plate_maps import Well
from tests.messages import says


def test_a_folder_without_a_record_is_no_run(tmp_path):
    with pytest.raises(NotFound):
        LocalRun(tmp_path)


def test_a_field_is_what_the_stores_hold(small_run):
    run = LocalRun(small_run)
    image = run.read_field("B04", 2)
    assert np.array_equal(image.pixels, read_field(small_run / "plate.zarr", Well(2, 4), 2)[0])
    stored = read_labels(small_run / "labels.zarr", Well(2, 4), 2)
    assert set(image.labels) == set(stored)
    assert all(np.array_equal(image.labels[name], stored[name]) for name in stored)
    assert (image.roles, image.pixel_size_um, image.label_version, image.frames) == (
        ("dna", "neurite", "aggregate"),
        0.65,
        1,
        1,
    )
    assert image.graph.shape == (160, 160)
    part = run.read_field("B04", 2, window=Window(10, 20, 30, 40))
    assert part.origin == (10, 20)
    assert np.array_equal(part.labels["nuclei"], stored["nuclei"][10:40, 20:60])
    assert np.array_equal(part.graph, image.graph[10:40, 20:60])


def test_a_correction_is_seen_in_whole_and_in_part_and_undone(own_run):
    run = LocalRun(own_run)
    before = run.read_field("B04", 1).labels["nuclei"]
    version = run.commit(
        "B04", 1, 1, [Crop("nuclei", 5, 6, np.full((2, 3), 900, np.int32))], "ann", ""
    )
    assert version.version == 2
    image = run.read_field("B04", 1)
    assert (image.labels["nuclei"][5:7, 6:9] == 900).all()
    assert image.graph is None  # not measured again yet
    assert (run.read_field("B04", 1, window=Window(5, 6, 2, 3)).labels["nuclei"] == 900).all()
    assert run.state().model_dump() == {"revision": 2, "applied": 1, "reason": ""}
    run.revert("B04", 1, 1, "ann", "", undoes=2)
    assert np.array_equal(run.read_field("B04", 1).labels["nuclei"], before)


def test_tables_are_those_of_the_review_once_it_was_applied_except_for_a_reading(own_run):
    (own_run / "corrected").mkdir()
    for name in ("wells.csv", "responses.csv", "curves.json", "cells.parquet"):
        shutil.copy(own_run / name, own_run / "corrected" / name)
    text = (own_run / "corrected" / "wells.csv").read_text().replace("L2", "L9")
    (own_run / "corrected" / "wells.csv").write_text(text)
    # without the record they are of an application cut short
    assert {r["line"] for r in LocalRun(own_run).wells()} == {"L1", "L2"}
    (own_run / "corrected" / "corrected.json").write_text(json.dumps({"revision": 4}))
    assert {r["line"] for r in LocalRun(own_run).wells()} == {"L1", "L9"}
    assert {r["line"] for r in LocalRun(own_run, "bob").wells()} == {"L1", "L2"}
    assert LocalRun(own_run).state().applied == 4


def test_rows_are_text_and_cells_are_of_the_field(small_run):
    run = LocalRun(small_run)
    assert [r["well"] for r in run.wells()] == ["B02", "B03", "B04", "B05", "C02", "C03", "C04"]
    assert len(run.responses()) == len(run.curves()) == 4
    cells = pl.read_parquet(small_run / "cells.parquet").filter(
        pl.col("well") == "C02", pl.col("field") == 2
    )
    assert [c["label"] for c in run.cells("C02", 2)] == cells["label"].to_list()


def test_the_next_fields_are_those_that_nobody_judged(own_run):
    run = LocalRun(own_run)
    order = [(e.well, e.field) for e in run.queue()]
    assert run.claim("ann", 3) == order[:3]
    run.judge(
        Verdict(
            well=order[0][0], field=order[0][1], accepted=True, author="ann", time=datetime.now(UTC)
        )
    )
    assert run.claim("bob", 1) == order[1:2]
    (own_run / "review" / "queue.csv").unlink()
    assert run.queue() == []


def test_a_plate_beside_the_record_comes_first(own_run):
    record = json.loads((own_run / "run.json").read_text()) | {"plate": "/away/plate.zarr"}
    (own_run / "run.json").write_text(json.dumps(record))
    assert LocalRun(own_run).plate == own_run / "plate.zarr"
    shutil.rmtree(own_run / "plate.zarr")
    assert str(LocalRun(own_run).plate) == "/away/plate.zarr"


def test_lost_parts_are_said(own_run):
    run = LocalRun(own_run)
    with pytest.raises(StoreError, match=says("stores.well_not_there")):
        run.read_pixels("Z9", 1)
    lost = next(
        p
        for p in sorted((own_run / "labels.zarr/B/4/0/labels/nuclei/0").rglob("*"))
        if p.is_file() and p.name != "zarr.json"
    )
    lost.unlink()
    with pytest.raises(StoreError, match=says("stores.chunks_missing")):
        run.engine_labels("B04", 1)
    (own_run / "cells.parquet").unlink()
    with pytest.raises(StoreError, match=says("run.cells_not_there")):
        run.cells("B04", 1)


def test_levels_of_labels_are_lazy_and_those_of_the_engine(small_run):
    run = LocalRun(small_run)
    levels = run.label_levels("B02", 1)
    whole = run.engine_labels("B02", 1)
    assert set(levels) == set(whole)
    assert all(np.array_equal(levels[name][0][...], image) for name, image in whole.items())
    assert {len(arrays) for arrays in levels.values()} == {len(run.read_pixels("B02", 1).levels)}
