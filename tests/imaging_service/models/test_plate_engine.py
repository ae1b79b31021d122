from __future__ import annotations

import json

import numpy as np
import pytest

from imaging_service.errors import ModelRefused
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, load
from imaging_service.models.fields import TracedField
from imaging_service.models.plate_engine import PlateEngine, learnt_from
from imaging_service.review.local import LocalRun
from imaging_service.store.labels import read_labels
from plate_maps import Well
from segmentation import Field
from segmentation import load as load_engine
from tests.imaging_service.models.drawn_fields import record as drawn_record
from tests.messages import says


@pytest.fixture(scope="module")
def run(small_run):
    folder = RunFolder(small_run)
    return folder, load(RunRecord, folder.record), load(Calibration, folder.calibration)


def truth(folder, record):
    """The first field of B04 as it left the camera."""
    image = LocalRun(folder.root).read_field("B04", 1)
    field = Field(image.pixels, image.roles, record.pixel_size_um)
    return TracedField(drawn_record(well="B04"), field, {})


def test_the_runs_own_numbers_give_the_runs_own_labels(run):
    folder, record, calibration = run
    plate = PlateEngine(load_engine("classical"), record, calibration)
    numbers = tuple(plate.current().items())
    one = plate.as_measured(truth(folder, record))
    again = plate.segment(one)(numbers)
    stored = read_labels(folder.labels, Well.parse("B04"), 1)
    assert all(np.array_equal(again[n], stored[n]) for n in stored)
    assert dict(plate.with_numbers(numbers).describe()["thresholds"]) == dict(
        calibration.thresholds
    )


def test_numbers_reach_the_engine(run):
    folder, record, calibration = run
    plate = PlateEngine(load_engine("classical"), record, calibration)
    changed = dict(plate.current()) | {"min_nucleus_area_um2": 60.0}
    one = plate.as_measured(truth(folder, record))
    few = plate.segment(one)(tuple(changed.items()))["nuclei"]
    many = plate.segment(one)(tuple(plate.current().items()))["nuclei"]
    assert few.max() == many.max() - 2


def test_another_engine_is_calibrated_on_the_same_fields(run, monkeypatch):
    _, record, calibration = run
    engine = load_engine("motornet", device="cpu")
    seen = []
    real = type(engine).calibrate

    def calibrate(self, fields):
        seen.append((len(fields), self.neurite_chance[0]))
        return real(self, fields)

    monkeypatch.setattr(type(engine), "calibrate", calibrate)
    plate = PlateEngine(engine, record, calibration)
    numbers = plate.current()
    assert numbers["neurite_probability"] == 0.5
    for probability in (0.5, 0.7, 0.5, 0.7):
        given = tuple((numbers | {"neurite_probability": probability}).items())
        assert plate.with_numbers(given).neurite_chance[0] == probability
    assert seen == [(len(calibration.fields), 0.5), (len(calibration.fields), 0.7)]


def test_an_engine_without_sizes_is_refused(run):
    class Other:
        name = "other"

    with pytest.raises(ModelRefused, match=says("calibrate.no_sizes")):
        PlateEngine(Other(), run[1], run[2])


def test_what_a_model_learnt_from_is_in_its_lineage(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"")
    content = dict.fromkeys(("name", "licence", "training_data", "origin", "weights_sha256"), "")
    split = {"train": [{"plate_digest": "p", "well": "B02"}]}
    (tmp_path / "lineage.json").write_text(json.dumps(content | {"split": split}))
    assert learnt_from(f"motornet:{tmp_path}") == {("p", "B02")}
    assert learnt_from(f"motornet:{tmp_path / 'weights.safetensors'}") == {("p", "B02")}
    assert learnt_from("motornet") == learnt_from("classical") == set()
